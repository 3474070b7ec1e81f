"""The URL that says where the Redis of a cluster is, and which chat in it is meant."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from chatproto import visible

from ..sockets.addresses import PORT_MAX, join

DEFAULT_REDIS_PORT: Final = 6379
"""The TCP port of Redis."""

DEFAULT_SENTINEL_PORT: Final = 26379
"""The TCP port of Redis Sentinel."""

FOR_SENTINELS: Final = "sentinel-password"
"""What the password of the sentinels is called in a URL."""

_FORMS: Final = (
    "redis://HOST:PORT/NAME, redis+unix:///PATH/OF/SOCKET?name=NAME,"
    " redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/NAME, or with TLS rediss://HOST:PORT/NAME and"
    " rediss+sentinel://HOST:PORT,HOST:PORT/SERVICE/NAME"
)
_SCHEMES: Final = ("redis", "rediss", "redis+unix", "redis+sentinel", "rediss+sentinel")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class RedisURL:
    """A Redis, and a chat in it."""

    chat: str
    """The name of the chat. One Redis can hold several."""
    places: tuple[tuple[str, int], ...] = ()
    """Where it is: a host name or an IP address, and a TCP port. With Sentinel, where the sentinels
    are; empty for a Unix socket."""
    service: str = ""
    """What the sentinels call the Redis; empty for a Redis without Sentinel."""
    unix: str = ""
    """The path of a Unix socket; empty for TCP."""
    tls: bool = False
    """Whether to use TLS."""
    user: str = ""
    """The user to authenticate as; empty for the default one."""
    password: str = field(default="", repr=False)
    """The password of that user; empty for none."""
    sentinel_password: str = field(default="", repr=False)
    """The password of the sentinels; empty for none."""

    @property
    def address(self) -> str:
        """Where Redis is, for people."""
        if self.unix:
            return f"unix:{self.unix}"
        places = ",".join(join(*each) for each in self.places)
        return f"{places}/{self.service}" if self.service else places


def parse_redis_url(
    url: str, password: str | None = None, sentinel_password: str | None = None
) -> RedisURL:
    """Take a URL apart.

    Args:
        url: `redis://HOST:PORT/NAME`, `redis+unix:///PATH/OF/SOCKET?name=NAME`, or with Sentinel
            `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/NAME`; `rediss` in place of `redis` for
            TLS. `USER:PASSWORD@` or `:PASSWORD@` may stand before the first HOST, or before the
            path; `%40` stands for an `@` there, and so on. NAME is the name of the chat: letters,
            digits, `.`, `_` and `-`, and not digits alone. With Sentinel,
            `?sentinel-password=PASSWORD` at the end is the password of the sentinels.
        password: The password, so that it need not stand in the URL; None for none.
        sentinel_password: The same for the sentinels.

    Raises:
        ValueError: It is not such a URL, or there are two passwords, or one for sentinels that are
            not there. The text names no password.
    """
    if not url.isprintable() or " " in url:
        raise ValueError("the URL of the cluster has a space or a control character in it")
    scheme, found, _ = url.partition("://")
    scheme = scheme.lower()
    if not found or scheme not in _SCHEMES:
        raise ValueError(f"the URL of the cluster begins with none of the known schemes: {_FORMS}")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("the URL of the cluster has brackets without an IPv6 address") from None
    if "#" in url:
        raise ValueError("write %23 for each # in the URL of the cluster")
    user = unquote(parts.username or "")
    secret = _one_of(unquote(parts.password or ""), password, "the cluster's password")
    if sentinel_password is not None and not scheme.endswith("+sentinel"):
        raise ValueError(
            "a password of sentinels has no use: the URL of the cluster begins with"
            " redis+sentinel:// if there are some"
        )
    if user and not secret:
        raise ValueError(
            "the URL of the cluster names a user without a password;"
            " a password alone has a colon before it: redis://:PASSWORD@HOST/NAME"
        )
    if scheme == "redis+unix":
        if parts.hostname is not None or len(parts.path) < 2 or "\0" in unquote(parts.path):
            raise ValueError(
                "the URL of the cluster has no path of a Unix socket:"
                " redis+unix:///PATH/OF/SOCKET?name=NAME, with three slashes"
            )
        name = _name_of(_query(parts, known=("name",)).get("name", ""))
        return RedisURL(name, unix=unquote(parts.path), user=user, password=secret)
    service, name, for_sentinels = "", unquote(parts.path.removeprefix("/")), ""
    default_port = DEFAULT_REDIS_PORT
    if scheme.endswith("+sentinel"):
        default_port = DEFAULT_SENTINEL_PORT
        service, _, name = name.partition("/")
        query = _query(parts, known=(FOR_SENTINELS,))
        for_sentinels = _one_of(
            query.get(FOR_SENTINELS, ""), sentinel_password, "the password of the sentinels"
        )
    else:
        _query(parts, known=())
    return RedisURL(
        _name_of(name),
        tuple(_places_of(parts.netloc.rpartition("@")[2], default_port, many=bool(service))),
        service=service,
        tls=scheme.startswith("rediss"),
        user=user,
        password=secret,
        sentinel_password=for_sentinels,
    )


def hide_password(url: str) -> str:
    """A URL for people: with stars in place of passwords."""
    url = re.sub(rf"([?&]{FOR_SENTINELS}=).*", r"\1***", url)
    return re.sub(r"^([^:]*://[^/@]*?:).*@", r"\1***@", url)


def _one_of(in_url: str, separate: str | None, what: str) -> str:
    if separate is None:
        return in_url
    if in_url:
        raise ValueError(f"{what} is given twice, in the URL and separately: remove one")
    return separate


def _query(parts: SplitResult, known: tuple[str, ...]) -> dict[str, str]:
    found = dict(parse_qsl(parts.query, keep_blank_values=True))
    for key in found:
        if key not in known:
            raise ValueError(
                f"the URL of the cluster has the parameter {visible(key)}, which has no meaning;"
                f" the URL is one of {_FORMS}"
            )
    return found


def _name_of(text: str) -> str:
    if not text:
        raise ValueError(f"the URL of the cluster lacks the name of the chat: {_FORMS}")
    if text.isdecimal():
        raise ValueError(
            f"the URL of the cluster ends with {text}, and the name of the chat has to be there"
            " and has to have a letter; the number of a database can't be given: it is always 0"
        )
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"the URL of the cluster ends with {visible(text)}, and the name of the chat there is 1"
            " to 64 letters, digits, dots, underscores and hyphens"
        )
    return text


def _places_of(netloc: str, default_port: int, *, many: bool) -> Iterator[tuple[str, int]]:
    for each in netloc.split(",") if many else [netloc]:
        parts = urlsplit(f"//{each}")
        if not parts.hostname or "," in each:
            raise ValueError(
                f"the URL of the cluster lacks a host, or has several without Sentinel: {_FORMS}"
            )
        try:
            port = default_port if parts.port is None else parts.port
        except ValueError:
            port = 0
        if not 1 <= port <= PORT_MAX:
            raise ValueError(f"the port in the URL of the cluster is a number from 1 to {PORT_MAX}")
        yield parts.hostname, port
