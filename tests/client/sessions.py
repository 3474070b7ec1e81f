"""Sessions of clients, and lines as a server sends them, for tests."""

from chatproto import (
    SERVER_NAME,
    ChatSession,
    CloseReason,
    ConnectionLostError,
    Item,
    Limits,
    Message,
    Notice,
    Ping,
    Receive,
)
from chatproto.server.notices import Notices
from chatproto.wire.codec import decode, encode


def line(sender: str, data: bytes) -> bytes:
    return encode(Receive(sender, data))


HI_LINE = line("bob", b"hi")
HI = Message("bob", b"hi")
CABLE = ConnectionLostError("cable cut")


def notice_line(words: str) -> bytes:
    """A message from the server itself."""
    return line(SERVER_NAME, words.encode())


NO_BOB = notice_line("ERR NO_SUCH_USER SEND bob is not online")


def back(ping: Ping) -> bytes:
    """The line in which a ping comes back."""
    return line(ping.name, ping.data)


class Tokens:
    """Returns `token 1`, `token 2` and so on: tests have to know them."""

    def __init__(self, prefix: bytes = b"token ") -> None:
        self._prefix = prefix
        self._count = 0

    def __call__(self) -> bytes:
        self._count += 1
        return b"%b%d" % (self._prefix, self._count)


def new_session(
    name: str = "alice", *, limits: Limits = Limits(), max_queue: int = 1024
) -> ChatSession:
    """A session without a connection."""
    return ChatSession(name, Tokens(), limits=limits, max_queue=max_queue)


def session_of(
    name: str = "alice", *, limits: Limits = Limits(), max_queue: int = 1024
) -> ChatSession:
    """A session that is logged in and has received nothing else."""
    session = new_session(name, limits=limits, max_queue=max_queue)
    start(session)
    return session


def start(session: ChatSession) -> None:
    """Begin a connection, and log in."""
    _, ping = session.start()
    session.receive_data(back(ping))
    assert came_back(ping)


def came_back(ping: Ping) -> bool:
    return ping.done and ping.error is None


def items(session: ChatSession) -> list[Item]:
    return list(iter(session.take_item, None))


def notices(session: ChatSession) -> list[Notice]:
    return list(iter(session.take_notice, None))


def closing_notice(reason: CloseReason) -> Receive | None:
    """The notice that a server sends before it closes a connection; None when it sends none."""
    data = Notices(Limits(), enabled=True).closing(reason)
    if not data:
        return None
    words = decode(data.removesuffix(b"\n"))
    assert isinstance(words, Receive)
    return words
