"""The options of the two commands that run a server, in one table."""

import ast
import inspect
import logging
import re
from collections.abc import Callable
from dataclasses import Field, dataclass, fields
from enum import Enum
from itertools import pairwise
from math import isfinite
from typing import Any, Final

from chatproto import Limits, Policy, ProxyNetworks

from ..sockets.addresses import DEFAULT_PORT, PORT_MAX, check_host
from .hooks import parse_place
from .logs import JsonFormatter
from .units import SIZE, TIME, Unit

POLICIES: Final = {"default": Policy(), "reference": Policy.reference()}
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final[dict[str, logging.Formatter]] = {
    "text": logging.Formatter("%(asctime)s %(levelname)s %(message)s"),
    "json": JsonFormatter(),
}


_MODE: Final = "MODE"
"""What the help calls the text of a file mode."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option, for `argparse`, for click, for the environment and for a configuration file."""

    name: str
    """`max-line` for `--max-line` and `CHATPROTO_MAX_LINE`."""
    help: str
    """What the option is for, without a full stop."""
    parse: Callable[[str], Any] = str
    """Turns the text into a value, or raises ValueError with words for people. Flags and options
    with `choices` do not need it."""
    default: Any = None
    """The value if the option is not given."""
    metavar: str | None = None
    """The name of the text in the help."""
    choices: tuple[str, ...] = ()
    """The texts allowed, in small letters; empty for any."""
    is_flag: bool = False
    """Whether the option has no text."""
    is_multiple: bool = False
    """Whether the option can be given several times. The value is a tuple then, and so is the
    default."""
    needs: str = ""
    """The name of the option without which this one has no use; empty for none."""
    unit: Unit | None = None
    """What the number counts. Its text may have a suffix then, in a configuration file too. None
    for a plain number, or if it is no number."""
    toml: type = str
    """The type of the value in a configuration file, an array of it if `is_multiple`. A float may
    be written as an integer there."""
    in_file: bool = True
    """Whether a configuration file may set the option."""
    is_live: bool = False
    """Whether a change takes effect while the server runs. SIGHUP asks for it."""

    @property
    def key(self) -> str:
        """The name as a Python name."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that does the same."""
        return f"CHATPROTO_{self.key.upper()}"

    def text_of(self, value: Any) -> str:
        """A text that stands for a value; empty for None, and for no values."""
        if value is None:
            return ""
        if self.is_multiple:
            return ",".join(value)
        if self.is_flag:
            return "yes" if value else "no"
        if self.metavar == _MODE:
            return f"{value:o}"
        return str(value) if self.unit is None else self.unit.text_of(value)

    @property
    def default_words(self) -> str:
        """What an option is that is not given, for people; empty for nothing to tell."""
        _, _, words = self.help.partition(" (default: ")
        if words or self.is_flag:
            return words.removesuffix(")")
        return self.text_of(self.default)

    def value_of(self, text: str) -> Any:
        """The value that a text stands for. Those of flags and choices may be in any case.

        Raises:
            ValueError: The text stands for no value. The error has words for people.
        """
        if self.is_flag:
            return _yes_or_no(text)
        if not self.choices:
            return self.parse(text)
        if text.lower() not in self.choices:
            raise ValueError(f"{text!r} is none of {', '.join(self.choices)}")
        return text.lower()


def _yes_or_no(text: str) -> bool:
    match text.lower():
        case "1" | "true" | "t" | "yes" | "y" | "on":
            return True
        case "0" | "false" | "f" | "no" | "n" | "off":
            return False
        case _:
            raise ValueError(f"{text!r} is neither yes nor no")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > PORT_MAX:
        raise ValueError(f"{text!r} is not in the range 0 to {PORT_MAX}")
    return int(text)


def _not_empty(text: str) -> str:
    if not text:
        raise ValueError("it is empty")
    return text


def _host(text: str) -> str:
    check_host(_not_empty(text))
    return text


def _mode(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ValueError(f"{text!r} is not a file mode such as 660")
    return mode


def _network(text: str) -> str:
    try:
        ProxyNetworks([text])
    except ValueError:
        raise ValueError(
            f"{text!r} is no network such as 10.0.0.0/8, no IP address, and not 'unix'"
        ) from None
    return text


def _node(text: str) -> str:
    if not text or not text.isprintable() or set(text) & set(" #"):
        raise ValueError(f"{text!r} is no name of a server: use letters, digits, - and .")
    return text


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


def _pause(text: str) -> float:
    seconds: float = TIME.value_of(text)
    if not (isfinite(seconds) and seconds > 0):
        raise ValueError(f"{text!r} is not more than 0 seconds")
    return seconds


def _policy_options() -> tuple[Option, ...]:
    """The options of single rules: of each field of `Policy` that is an enum."""
    docs = _field_docs(Policy)
    return tuple(
        Option(
            each.name.replace("_", "-"),
            f"{_first_sentence(docs[each.name])} (default: as --policy has it)",
            choices=tuple(str(choice.value) for choice in type(each.default)),
            is_live=True,
        )
        for each in fields(Policy)
        if isinstance(each.default, Enum)
    )


_FOR_PROGRAMS: Final = {
    "max_name",
    "high_water",
    "drain_rate",
    "linger",
    "close_timeout",
    "notice_burst",
    "notice_rate",
}
"""The limits without an option: no operator has a reason to change them."""


def _limit_options() -> tuple[Option, ...]:
    docs = _field_docs(Limits)
    return tuple(
        _limit_option(each, docs[each.name])
        for each in fields(Limits)
        if each.name not in _FOR_PROGRAMS
    )


def _limit_option(field: Field[Any], docs: str) -> Option:
    """The option of a limit. Its help is the first sentence of the docstring below the field."""
    is_whole = field.type in (int, int | None)
    text = _first_sentence(docs)
    if of_none := re.search(r"None for (.+?)\.", docs):
        text += f" (default: {of_none[1]})"
    unit = None
    if docs.startswith("Seconds "):
        unit = TIME
    elif re.search(r"\bbytes\b", text):
        unit = SIZE
    metavar, parse = ("N", _integer) if is_whole else ("X", _number)
    return Option(
        field.name.replace("_", "-"),
        text,
        parse if unit is None else unit.value_of,
        field.default,
        metavar if unit is None else unit.metavar,
        unit=unit,
        toml=int if is_whole else float,
        is_live=True,
    )


def _first_sentence(docs: str) -> str:
    """The first sentence of a docstring, as the help of an option."""
    text = docs.partition(". ")[0].removesuffix(".")
    return text[0].lower() + text[1:]


def _field_docs(cls: type) -> dict[str, str]:
    """The docstrings below the fields of a class and its bases, each on one line."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__[:-1]):
        [node] = ast.parse(inspect.getsource(each)).body
        assert isinstance(node, ast.ClassDef)  # noqa: S101 - the source of a class
        for field, docs in pairwise(node.body):
            match field, docs:
                case ast.AnnAssign(target=ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                    found[name] = " ".join(text.split())
    return found


OPTIONS: Final = (
    Option(
        "config",
        "file with options, in TOML; SIGHUP makes the server read it again",
        _not_empty,
        metavar="PATH",
        in_file=False,
    ),
    Option(
        "check",
        "check the configuration, show the value of each option and where it comes from, and exit",
        default=False,
        is_flag=True,
        in_file=False,
    ),
    Option(
        "host",
        "name or address to listen on, or * for all; repeat it for several"
        " (default: 127.0.0.1, none with --unix)",
        _host,
        (),
        "HOST",
        is_multiple=True,
    ),
    Option(
        "port",
        "TCP port to listen on, or 0 for any free one",
        _port,
        DEFAULT_PORT,
        "PORT",
        toml=int,
    ),
    Option(
        "reuse-port",
        "let other processes of the same user listen on the same TCP port; Linux spreads the"
        " connections over them",
        default=False,
        is_flag=True,
        toml=bool,
    ),
    Option(
        "unix",
        "Unix socket to listen on; repeat it for several",
        _not_empty,
        (),
        "PATH",
        is_multiple=True,
    ),
    Option(
        "unix-mode",
        "file mode of the Unix sockets, such as 660",
        _mode,
        metavar=_MODE,
        needs="unix",
    ),
    Option(
        "tls-cert",
        "certificate chain for TLS, PEM; SIGHUP makes the server read it again",
        metavar="PATH",
        is_live=True,
    ),
    Option(
        "tls-key",
        "its private key, PEM (default: in the same file)",
        metavar="PATH",
        needs="tls-cert",
        is_live=True,
    ),
    Option(
        "tls-key-password-file",
        "file whose first line is the pass phrase of the private key",
        metavar="PATH",
        needs="tls-cert",
        is_live=True,
    ),
    Option(
        "tls-client-ca",
        "CA of the clients' certificates, PEM; clients then need one for the name that they use",
        metavar="PATH",
        needs="tls-cert",
        is_live=True,
    ),
    Option(
        "proxy-protocol",
        "network of your balancers, such as 10.0.0.0/8, or unix; connections from there must begin"
        " with a PROXY header, which has the client's address; repeat it for several",
        _network,
        (),
        "NETWORK",
        is_multiple=True,
    ),
    Option(
        "policy",
        "rules for what CHAT/1.0 leaves open",
        default="default",
        choices=tuple(POLICIES),
        is_live=True,
    ),
    *_policy_options(),
    Option(
        "no-notices",
        "never tell clients why something was refused",
        default=False,
        is_flag=True,
        toml=bool,
        is_live=True,
    ),
    Option(
        "hooks",
        "hooks of your own: a table, or a function that makes it, in a Python module in the current"
        " directory or installed, such as rules:HOOKS",
        parse_place,
        metavar="MODULE:NAME",
    ),
    Option(
        "state",
        "file to keep the groups and bans in, so that they survive a restart",
        _not_empty,
        metavar="PATH",
    ),
    Option(
        "admin-socket",
        "Unix socket for chatproto admin, which only root and the user of the server can use",
        _not_empty,
        metavar="PATH",
    ),
    Option(
        "cluster",
        "URL of the Redis or Valkey over which several servers are one chat, such as"
        " redis://HOST:6379/NAME; rediss://, redis+unix:// and redis+sentinel:// are possible too",
        _not_empty,
        metavar="URL",
    ),
    Option(
        "cluster-password-file",
        "file whose first line is the password of that Redis",
        _not_empty,
        metavar="PATH",
        needs="cluster",
    ),
    Option(
        "sentinel-password-file",
        "file whose first line is the password of the sentinels, if the URL has some",
        _not_empty,
        metavar="PATH",
        needs="cluster",
    ),
    Option(
        "node",
        "name of this server in the cluster, different for each (default: host name and port)",
        _node,
        metavar="ID",
        needs="cluster",
    ),
    Option(
        "node-timeout",
        "seconds without a sign of life after which another server counts as dead, and its users"
        " as offline",
        _pause,
        10.0,
        TIME.metavar,
        needs="cluster",
        unit=TIME,
        toml=float,
    ),
    Option(
        "patience",
        "seconds that clients wait while Redis does not answer, before the server refuses what"
        " needs the other servers",
        _pause,
        3.0,
        TIME.metavar,
        needs="cluster",
        unit=TIME,
        toml=float,
    ),
    *_limit_options(),
    Option(
        "metrics-host",
        "name or address to serve metrics and health on",
        _host,
        "127.0.0.1",
        "HOST",
        needs="metrics-port",
    ),
    Option(
        "metrics-port",
        "TCP port to serve /metrics and /health on, or 0 for any free one",
        _port,
        metavar="PORT",
        toml=int,
    ),
    Option("log-level", "lowest level to log", default="info", choices=LOG_LEVELS, is_live=True),
    Option("log-format", "format of the log", default="text", choices=tuple(LOG_FORMATS)),
)
"""All options, in the order of the help."""
