"""Hypothesis strategies for names, events, lines and streams of CHAT/1.0."""

from importlib.util import find_spec
from itertools import pairwise
from typing import Final

if find_spec("hypothesis") is None:
    raise ModuleNotFoundError(
        "the strategies of chatproto.testing need the package hypothesis: "
        "pip install 'chatproto-sansio[testing]', or '.[testing]' in a checkout",
        name="hypothesis",
    )

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ..wire.codec import encode
from ..wire.errors import ErrorCode
from ..wire.events import (
    Broadcast,
    Command,
    ConnectionClosed,
    Event,
    Group,
    Invalid,
    Leave,
    Login,
    Logout,
    Receive,
    Send,
)
from ..wire.names import NAME_MAX, SERVER_NAME

__all__ = [
    "DATA_MAX",
    "bad_names",
    "broadcasts",
    "chunkings",
    "client_commands",
    "commands",
    "data",
    "events",
    "groups",
    "hostile_bytes",
    "hostile_lines",
    "leaves",
    "logins",
    "logouts",
    "names",
    "near_valid_lines",
    "receives",
    "reserved_names",
    "sends",
    "streams",
    "valid_lines",
]

DATA_MAX: Final = 4010
"""The most bytes of data that fit into a line of the default limit, whatever its command and name,
and with CR LF at its end."""

# All white space and all control characters are in these categories.
_NAME_CHARACTERS: Final = st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp"))

# A few names come often, so that senders and recipients have the same ones.
_COMMON: Final = ("alice", "bob", "carol", "g1")

_NAMES_AT_THE_EDGE: Final = (
    "a",
    "a" * NAME_MAX,
    "é" * (NAME_MAX // 2),
    "語" * (NAME_MAX // 3),
    "😀" * (NAME_MAX // 4),
    "e\u0301",  # Not the same name as é: names are not normalised.
    "a*",
    "LOGIN",
    "CHAT/1.0",
    "\u200b",  # Zero width, but no white space.
    "\ufeff",
)

_BAD_NAMES: Final = ("", "\ud800", "a\udfff", "a" * (NAME_MAX + 1), "é" * (NAME_MAX // 2) + "a")

_NOT_IN_NAMES: Final = " \t\n\v\f\r\0\x1b\x1c\x7f\x85\xa0\u1680\u2003\u2028\u2029\u202f\u3000"

_DATA_AT_THE_EDGE: Final = (
    b"",
    b"  hi  there ",
    b"\0",
    b"\r.",
    b"a\rb",
    b"\xff\xfe",
    b"\x1b[2J",
    b"CHAT/1.0 LOGOUT",
)


def names() -> SearchStrategy[str]:
    """Names that a client may have: valid and not reserved, often nearly invalid."""
    free = st.text(_NAME_CHARACTERS, min_size=1, max_size=NAME_MAX).map(_fit).filter(_is_free)
    return st.sampled_from(_COMMON) | st.sampled_from(_NAMES_AT_THE_EDGE) | free


def reserved_names() -> SearchStrategy[str]:
    """Valid names that only the server may have."""
    return st.just(SERVER_NAME) | st.just("*") | names().map(lambda name: _fit("*" + name))


def bad_names() -> SearchStrategy[str]:
    """Strings that are no names: empty, too long, with a surrogate, white space or a control."""
    too_long = st.text(_NAME_CHARACTERS, min_size=NAME_MAX + 1, max_size=2 * NAME_MAX)
    part, bad = names() | st.just(""), st.sampled_from(_NOT_IN_NAMES)
    with_bad = st.tuples(part, bad, part).map("".join)
    return st.sampled_from(_BAD_NAMES) | too_long | with_bad


def data(max_size: int = DATA_MAX) -> SearchStrategy[bytes]:
    """Data that a line can hold: any bytes without LF, the last one not CR.

    Args:
        max_size: The most bytes.
    """
    edges = [each for each in (*_DATA_AT_THE_EDGE, b"x" * max_size) if len(each) <= max_size]
    free = st.binary(max_size=max_size).map(lambda raw: raw.replace(b"\n", b"").rstrip(b"\r"))
    return st.sampled_from(edges) | free


def logins() -> SearchStrategy[Login]:
    """`Login` events."""
    return st.builds(Login, names())


def logouts() -> SearchStrategy[Logout]:
    """`Logout` events, which are all equal."""
    return st.builds(Logout)


def sends() -> SearchStrategy[Send]:
    """`Send` events, some of them to reserved names."""
    return st.builds(Send, names() | reserved_names(), data())


def broadcasts() -> SearchStrategy[Broadcast]:
    """`Broadcast` events, some of them to reserved names."""
    return st.builds(Broadcast, names() | reserved_names(), data())


def groups() -> SearchStrategy[Group]:
    """`Group` events with few or many members, some of them named twice."""
    return st.builds(Group, names(), st.lists(names(), max_size=60))


def leaves() -> SearchStrategy[Leave]:
    """`Leave` events, some of them of reserved names."""
    return st.builds(Leave, names() | reserved_names())


def receives() -> SearchStrategy[Receive]:
    """`Receive` events, from users and from the server."""
    return st.builds(Receive, names() | reserved_names(), data())


def client_commands() -> SearchStrategy[Command]:
    """All events that a client may send."""
    return st.one_of(logins(), logouts(), sends(), broadcasts(), groups(), leaves())


def commands() -> SearchStrategy[Command]:
    """All events that travel as a line, in either direction."""
    return client_commands() | receives()


def events() -> SearchStrategy[Event]:
    """All events that `ChatConnection` returns, `Invalid` and `ConnectionClosed` included."""
    invalids = st.builds(Invalid, st.sampled_from(ErrorCode), data())
    return commands() | invalids | st.builds(ConnectionClosed)


def valid_lines() -> SearchStrategy[bytes]:
    """Lines that can be parsed as a command, with LF or CR LF at the end."""
    # What follows the name in a LEAVE is ignored; `encode` never writes it.
    long_leaves = st.builds(
        lambda event, extra: encode(event)[:-1] + b" " + extra, leaves(), data()
    )
    plain = commands().map(lambda event: encode(event)[:-1])
    ends = st.sampled_from((b"\n", b"\r\n"))
    return st.builds(lambda line, end: line + end, plain | long_leaves, ends)


@st.composite
def near_valid_lines(draw: DrawFn) -> bytes:
    """Valid lines with one thing changed. Most, not all, are invalid; some have no end."""
    line = draw(_VALID_LINES)
    at = draw(st.integers(0, len(line) - 1))
    space = draw(st.sampled_from([i for i, byte in enumerate(line[:90]) if byte == 0x20]))
    change, version = draw(_CHANGES), draw(_OTHER_VERSIONS)
    changed = (
        line[:space] + change + line[space + 1 :],
        line[: space + 1] + change + line[space + 1 :],
        line[:at] + change + line[at:],
        change + line,
        line[:-1] + change + b"\n",
        line[:at] + b"\n",
        line[:at],
        line.lower(),
        version + line[len(b"CHAT/1.0") :],
        line[:-1] + b"x" * 4096 + b"\n",
    )
    return draw(st.sampled_from(changed))


def hostile_lines() -> SearchStrategy[bytes]:
    """Lines that no honest peer sends: noise, and lines at and over the limit; some have no end."""
    starts = st.sampled_from((b"", b" ", b"\0", b"CHAT/1.0", b"CHAT/1.0 SEND bob ", b"CHAT/1.0 \r"))
    sizes = st.sampled_from((0, 1, 4094, 4095, 4096, 4097, 9000))
    ends = st.sampled_from((b"\n", b"\r\n", b"\r\r\n", b""))
    fills = st.sampled_from((b"x", b"\0", b" ", b"\r", b"\xff"))
    long = st.builds(
        lambda start, fill, size, end: start.ljust(size - len(end), fill) + end,
        *(starts, fills, sizes, ends),
    )
    noise = st.builds(lambda start, raw, end: start + raw + end, starts, st.binary(), ends)
    return noise | long


def hostile_bytes() -> SearchStrategy[bytes]:
    """Noise: random bytes, long runs of one byte, and hostile lines in a row."""
    runs = st.builds(
        lambda piece, times: piece * times,
        st.sampled_from((b"\n", b"\r", b"\r\n", b"\0", b" ", b"\xff", b"CHAT/1.0 ")),
        st.integers(0, 5000),
    )
    return st.binary() | runs | st.lists(hostile_lines(), max_size=5).map(b"".join)


def streams() -> SearchStrategy[bytes]:
    """Streams of valid, nearly valid and hostile lines."""
    return st.lists(st.one_of(valid_lines(), near_valid_lines(), hostile_lines())).map(b"".join)


def chunkings(stream: bytes) -> SearchStrategy[list[bytes]]:
    """Ways in which a stream may arrive: whole, byte by byte, or in any chunks, even empty ones.

    Args:
        stream: The stream that the chunks make up.
    """
    sizes = st.sampled_from((len(stream) or 1, 1))
    equal = sizes.map(lambda size: [stream[at : at + size] for at in range(0, len(stream), size)])
    cuts = st.lists(st.integers(0, len(stream)), max_size=10).map(sorted)
    unequal = cuts.map(lambda cuts: [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])])
    return equal | unequal


def _fit(name: str) -> str:
    """Cut a string to the longest name."""
    return name.encode()[:NAME_MAX].decode(errors="ignore")


def _is_free(name: str) -> bool:
    return not name.startswith("*")


# For `near_valid_lines`. They are built once: Hypothesis checks each new strategy, and that takes
# longer than to draw from it.
_VALID_LINES: Final = valid_lines()
_CHANGES: Final = st.sampled_from(
    (b"  ", b"", b" ", b"\t", b"\r", b"\0", b"\xff", b"*", "\xa0".encode(), b"\xe3\x80")
)
_OTHER_VERSIONS: Final = st.sampled_from(
    (b"CHAT/1.1", b"CHAT/2", b"CHAT/", b"chat/1.0", b"HTTP/1.0")
)
