"""Hypothesis strategies, and both ends of a connection with nothing between them."""

from itertools import pairwise
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ..wire.codec import encode
from ..wire.connection import ChatConnection
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
from ..wire.limits import LineLimits
from ..wire.names import NAME_MAX, SERVER_NAME
from ..wire.states import Role

DATA_MAX: Final = 4010
"""So many octets of data fit into any command with any name, by default, and CR LF too."""

# Every white space character is in one of these categories.
_NAME_CHARACTERS: Final = st.characters(codec="utf-8", exclude_categories=("Cc", "Zs", "Zl", "Zp"))

# A few plain names come again and again, or nobody in a test would ever meet anybody.
_EVERYDAY: Final = ("alice", "bob", "carol", "g1")

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
    "\u200b",  # Zero width, and yet no white space.
    "\ufeff",
)

_NO_NAMES: Final = ("", "\ud800", "a\udfff", "a" * (NAME_MAX + 1), "é" * (NAME_MAX // 2) + "a")

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
    """Names that anybody may have: valid and not reserved, often at the edge of validity."""
    free = st.text(_NAME_CHARACTERS, min_size=1, max_size=NAME_MAX).map(_fit).filter(_is_free)
    return st.sampled_from(_EVERYDAY) | st.sampled_from(_NAMES_AT_THE_EDGE) | free


def reserved_names() -> SearchStrategy[str]:
    """Valid names that only the server may have."""
    return st.just(SERVER_NAME) | st.just("*") | names().map(lambda name: _fit("*" + name))


def bad_names() -> SearchStrategy[str]:
    """Strings that are no names: empty, too long, not UTF-8, or with white space or controls."""
    too_long = st.text(_NAME_CHARACTERS, min_size=NAME_MAX + 1, max_size=2 * NAME_MAX)
    around, spoiler = names() | st.just(""), st.sampled_from(_NOT_IN_NAMES)
    spoilt = st.tuples(around, spoiler, around).map("".join)
    return st.sampled_from(_NO_NAMES) | too_long | spoilt


def data(max_size: int = DATA_MAX) -> SearchStrategy[bytes]:
    """Data that a line can hold: any octets without LF, the last one not CR.

    Args:
        max_size: The most octets of it.
    """
    edges = [each for each in (*_DATA_AT_THE_EDGE, b"x" * max_size) if len(each) <= max_size]
    free = st.binary(max_size=max_size).map(lambda octets: octets.replace(b"\n", b"").rstrip(b"\r"))
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
    """All that a client may say."""
    return st.one_of(logins(), logouts(), sends(), broadcasts(), groups(), leaves())


def commands() -> SearchStrategy[Command]:
    """All that travels as a line, in either direction."""
    return client_commands() | receives()


def events() -> SearchStrategy[Event]:
    """All that `ChatConnection` can report, `Invalid` and `ConnectionClosed` included."""
    invalids = st.builds(Invalid, st.sampled_from(ErrorCode), data())
    return commands() | invalids | st.builds(ConnectionClosed)


def valid_lines() -> SearchStrategy[bytes]:
    """Lines as they travel, with LF or CR LF, each of which a reader takes for a command."""
    # A reader drops what follows the name in a LEAVE; no writer of ours says it.
    wordy = st.builds(lambda event, extra: encode(event)[:-1] + b" " + extra, leaves(), data())
    plain = commands().map(lambda event: encode(event)[:-1])
    ends = st.sampled_from((b"\n", b"\r\n"))
    return st.builds(lambda line, end: line + end, plain | wordy, ends)


@st.composite
def near_valid_lines(draw: DrawFn) -> bytes:
    """Valid lines with one thing spoilt. Most are refused, not all; some have lost their end."""
    line = draw(valid_lines())
    at = draw(st.integers(0, len(line) - 1))
    space = draw(st.sampled_from([i for i, octet in enumerate(line[:90]) if octet == 0x20]))
    spoilers = (b"  ", b"", b" ", b"\t", b"\r", b"\0", b"\xff", b"*", "\xa0".encode(), b"\xe3\x80")
    spoiler = draw(st.sampled_from(spoilers))
    version = draw(st.sampled_from((b"CHAT/1.1", b"CHAT/2", b"CHAT/", b"chat/1.0", b"HTTP/1.0")))
    spoilt = (
        line[:space] + spoiler + line[space + 1 :],
        line[: space + 1] + spoiler + line[space + 1 :],
        line[:at] + spoiler + line[at:],
        spoiler + line,
        line[:-1] + spoiler + b"\n",
        line[:at] + b"\n",
        line[:at],
        line.lower(),
        version + line[len(b"CHAT/1.0") :],
        line[:-1] + b"x" * 4096 + b"\n",
    )
    return draw(st.sampled_from(spoilt))


def hostile_lines() -> SearchStrategy[bytes]:
    """What no honest peer sends: noise, and lines at and over the limit; some have no end."""
    starts = st.sampled_from((b"", b" ", b"\0", b"CHAT/1.0", b"CHAT/1.0 SEND bob ", b"CHAT/1.0 \r"))
    sizes = st.sampled_from((0, 1, 4094, 4095, 4096, 4097, 9000))
    ends = st.sampled_from((b"\n", b"\r\n", b"\r\r\n", b""))
    fills = st.sampled_from((b"x", b"\0", b" ", b"\r", b"\xff"))
    long = st.builds(
        lambda start, fill, size, end: start.ljust(size - len(end), fill) + end,
        *(starts, fills, sizes, ends),
    )
    noise = st.builds(lambda start, octets, end: start + octets + end, starts, st.binary(), ends)
    return noise | long


def hostile_bytes() -> SearchStrategy[bytes]:
    """Noise: octets without any sense, long runs of one octet, and hostile lines in a row."""
    runs = st.builds(
        lambda octet, times: octet * times,
        st.sampled_from((b"\n", b"\r", b"\r\n", b"\0", b" ", b"\xff", b"CHAT/1.0 ")),
        st.integers(0, 5000),
    )
    return st.binary() | runs | st.lists(hostile_lines(), max_size=5).map(b"".join)


def streams() -> SearchStrategy[bytes]:
    """Streams in which valid, nearly valid and hostile lines follow each other."""
    return st.lists(st.one_of(valid_lines(), near_valid_lines(), hostile_lines())).map(b"".join)


def chunkings(stream: bytes) -> SearchStrategy[list[bytes]]:
    """Ways in which a stream may arrive: whole, byte by byte, or in any pieces, even empty ones.

    Args:
        stream: What the pieces are put together again.
    """
    whole = [stream]
    bytewise = [stream[at : at + 1] for at in range(len(stream))]
    cuts = st.lists(st.integers(0, len(stream)), max_size=10).map(sorted)
    pieces = cuts.map(lambda cuts: [stream[a:b] for a, b in pairwise([0, *cuts, len(stream)])])
    return st.sampled_from((whole, bytewise)) | pieces


class ConnectionPair:
    """Both ends of one link, with nothing between them.

    Args:
        limits: The limits of both ends.
    """

    __slots__ = ("client", "server")

    def __init__(self, limits: LineLimits = LineLimits()) -> None:
        self.client = ChatConnection(Role.CLIENT, limits)
        """The end that logs in."""
        self.server = ChatConnection(Role.SERVER, limits)
        """The end that delivers."""

    def send(self, role: Role, event: Command) -> list[Event]:
        """Have one end say something.

        Args:
            role: Which end.
            event: What it says.

        Returns:
            What the other end reports, whatever that is.

        Raises:
            LocalProtocolError: The end may not say that now; the other one has heard nothing.
        """
        if role is Role.CLIENT:
            return self.server.receive_data(self.client.send(event))
        return self.client.receive_data(self.server.send(event))


def _fit(name: str) -> str:
    """As much of a string as fits into a name."""
    return name.encode()[:NAME_MAX].decode(errors="ignore")


def _is_free(name: str) -> bool:
    return not name.startswith("*")
