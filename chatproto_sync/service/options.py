"""The options of the two commands that run a server, in one table."""

import ast
import inspect
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields
from itertools import pairwise
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
    """What the option is for, without a full stop."""
    parse: Callable[[str], Any] = str
    """Turns the text into a value, or raises ValueError with words for people."""
    default: Any = None
    """The value if the option is not given."""
    metavar: str | None = None
    """The name of the text in the help."""
    choices: tuple[str, ...] = ()
    """The texts allowed; empty for any."""
    is_flag: bool = False
    """Whether the option has no text."""

    @property
    def key(self) -> str:
        """The name as a Python name."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable that does the same."""
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
        raise ValueError(f"{text!r} is not a file mode such as 660")
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
    text = docs.partition(". ")[0].removesuffix(".")
    if of_none := re.search(r"None for (.+?)\.", docs):
        text += f" (default: {of_none[1]})"
    return Option(
        field.name.replace("_", "-"),
        text[0].lower() + text[1:],
        _integer if is_whole else _number,
        field.default,
        "N" if is_whole else "SECONDS" if docs.startswith("Seconds ") else "X",
    )


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


_LIMIT_OPTIONS: Final = _limit_options()

OPTIONS: Final = (
    Option("host", "name or address to listen on", default="127.0.0.1"),
    Option("port", "TCP port to listen on, 0 for a free one", _port, DEFAULT_PORT, "PORT"),
    Option("unix", "Unix socket to listen on instead of TCP", metavar="PATH"),
    Option("unix-mode", "file mode of that socket, such as 660", _mode, metavar="MODE"),
    Option("tls-cert", "certificate chain for TLS, PEM; SIGHUP has it read again", metavar="PATH"),
    Option("tls-key", "its private key, PEM (default: in the same file)", metavar="PATH"),
    Option(
        "tls-key-password-file",
        "file whose first line is the pass phrase of the private key",
        metavar="PATH",
    ),
    Option(
        "tls-client-ca",
        "CA of clients' certificates, PEM; to log in, a client needs one for that name",
        metavar="PATH",
    ),
    Option("policy", "rules where servers may differ", default="default", choices=tuple(POLICIES)),
    Option(
        "no-notices", "never tell clients why something was refused", default=False, is_flag=True
    ),
    *_LIMIT_OPTIONS,
    Option("metrics-host", "name or address to serve metrics on", default="127.0.0.1"),
    Option("metrics-port", "TCP port to serve metrics on, 0 for a free one", _port, metavar="PORT"),
    Option("log-level", "lowest level to log", str.lower, "info", choices=LOG_LEVELS),
    Option("log-format", "format of the log", default="text", choices=tuple(LOG_FORMATS)),
)
"""All options, in the order of the help."""


def limits_of(values: Mapping[str, Any]) -> Limits:
    """The limits that the values of the options say.

    Raises:
        ValueError: The limits make no sense.
    """
    return Limits(**{each.key: values[each.key] for each in _LIMIT_OPTIONS})
