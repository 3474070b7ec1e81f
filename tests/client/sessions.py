"""A client's session and the lines that a server would have for it, for tests."""

from chatproto import (
    SERVER_NAME,
    ChatSession,
    CloseReason,
    ConnectionLostError,
    Echo,
    Limits,
    Message,
    Notice,
    Receive,
    Reconnected,
)
from chatproto.server.notices import Notices
from chatproto.wire.codec import decode, encode


def line(sender: str, data: bytes) -> bytes:
    return encode(Receive(sender, data))


HI = line("bob", b"hi")
HEARD = Message("bob", b"hi")
CABLE = ConnectionLostError("cable cut")


def told(words: str) -> bytes:
    """The server's own words."""
    return line(SERVER_NAME, words.encode())


def back(echo: Echo) -> bytes:
    """What a client has said to itself, as it comes back."""
    return line(echo.name, echo.data)


def session_of(
    name: str = "alice", *, limits: Limits = Limits(), max_queue: int = 1024
) -> ChatSession:
    """A session that is logged in and has heard nothing else."""
    session = ChatSession(name, limits=limits, max_queue=max_queue)
    start_again(session, b"n")
    return session


def start_again(session: ChatSession, nonce: bytes) -> None:
    _, echo = session.start(nonce)
    session.hear(back(echo))
    assert came_back(echo)


def came_back(echo: Echo) -> bool:
    return echo.done and echo.error is None


def items(session: ChatSession) -> list[Message | Reconnected]:
    return list(iter(session.take_item, None))


def notices(session: ChatSession) -> list[Notice]:
    return list(iter(session.take_notice, None))


def last_words(reason: CloseReason) -> Receive | None:
    """What a server says before it closes a connection; None when that is nothing."""
    octets = Notices(Limits(), enabled=True).last_words(reason)
    if not octets:
        return None
    words = decode(octets.removesuffix(b"\n"))
    assert isinstance(words, Receive)
    return words
