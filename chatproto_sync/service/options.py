"""The options that both commands that run a server have, in one table."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from chatproto import Limits, Policy

from ..sockets.addresses import DEFAULT_PORT, PORT_MAX
from .logs import JsonFormatter

POLICIES: Final = {"default": Policy(), "reference": Policy.reference()}
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final[dict[str, logging.Formatter]] = {
    "text": logging.Formatter("%(asctime)s %(levelname)s %(message)s"),
    "json": JsonFormatter(),
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option, for `argparse` and for click."""

    name: str
    """`max-line` for `--max-line` and `CHATPROTO_MAX_LINE`."""
    help: str
    """What it does, for people; without a full stop."""
    parse: Callable[[str], Any] = str
    """Makes a value of the text, or raises ValueError with words for people."""
    default: Any = None
    """The value if it is not given."""
    metavar: str | None = None
    """What to call the text in the help."""
    choices: tuple[str, ...] = ()
    """The texts that may be given, if not any."""
    is_flag: bool = False
    """Whether it is there or not, without a text."""

    @property
    def key(self) -> str:
        """The name as a Python name."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that stands for it."""
        return f"CHATPROTO_{self.key.upper()}"


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > PORT_MAX:
        raise ValueError(f"{text!r} is not in the range 0 to {PORT_MAX}")
    return int(text)


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ValueError(f"{text!r} is no file mode such as 660")
    return mode


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None


# What `Limits` says of each of its fields, in one line.
_LIMITS: Final = {
    "max_line": "longest line in octets",
    "max_name": "longest name in octets that somebody may log in under",
    "max_connections": "most connections (default: as many as there are descriptors for)",
    "max_connections_per_address": "most connections from one IPv4 address or IPv6 /64;"
    " this machine's own are not counted",
    "handshake_timeout": "seconds that a TLS handshake may take",
    "login_timeout": "seconds that a connection has to log in",
    "auth_timeout": "seconds that it may take to decide on a login",
    "rate": "lines a second of one connection that are acted on, the others later"
    " (default: any number)",
    "max_groups": "most groups",
    "max_groups_per_connection": "most groups that one connection has made",
    "max_members": "most members that a group is made with",
    "bad_lines": "so many bad lines in a row close a connection",
    "high_water": "senders wait for a queue of more octets than this",
    "drain_rate": "octets a second that a queue has to lose for a group to wait for it",
    "queue_age": "seconds until a connection that does not take what is queued is closed",
    "queue_bytes": "octets until a connection that does not take what is queued is closed",
    "total_queue_bytes": "octets in all queues until the longest one's connection is closed",
    "linger": "seconds that a connection being closed has to take what is queued",
    "goodbye": "seconds that it then has to close its half",
    "grace": "seconds that the end of the server may take",
    "notice_burst": "notices that one connection may be sent at once",
    "notice_rate": "notices a second that one connection may be sent in the long run",
}


def _limit(name: str, default: Any) -> Option:
    whole = type(default) is int or name == "max_connections"
    return Option(
        name.replace("_", "-"),
        _LIMITS[name],
        _integer if whole else _number,
        default,
        "N" if whole else "SECONDS" if "seconds" in _LIMITS[name].split()[:1] else "X",
    )


OPTIONS: Final = (
    Option("host", "name or address to listen on", default="127.0.0.1"),
    Option("port", "TCP port to listen on, 0 for a free one", _port, DEFAULT_PORT, "PORT"),
    Option("unix", "Unix socket to listen on instead of TCP", metavar="PATH"),
    Option("unix-mode", "that socket's file mode, such as 660", _mode, metavar="MODE"),
    Option(
        "tls-cert", "certificate chain to do TLS with, PEM; read again at SIGHUP", metavar="PATH"
    ),
    Option("tls-key", "its private key, PEM (default: in the same file)", metavar="PATH"),
    Option(
        "tls-client-ca",
        "CA of clients' certificates, PEM: who logs in needs one with that name",
        metavar="PATH",
    ),
    Option("policy", "rule set", default="default", choices=tuple(POLICIES)),
    Option(
        "no-notices", "never tell clients why something was refused", default=False, is_flag=True
    ),
    *(_limit(each.name, each.default) for each in fields(Limits)),
    Option("metrics-port", "port on the same host for Prometheus to ask", _port, metavar="PORT"),
    Option("log-level", "least serious thing to log", str.lower, "info", choices=LOG_LEVELS),
    Option("log-format", "how to log", default="text", choices=tuple(LOG_FORMATS)),
)
"""All of them, in the order in which the help shows them."""


def limits_of(values: Mapping[str, Any]) -> Limits:
    """The limits among the values of options.

    Raises:
        ValueError: They make no sense.
    """
    return Limits(**{name: values[name] for name in _LIMITS})
