"""A client without its sockets: what it says to log in and to ping, and what it has heard."""

from collections import deque
from typing import Final

from ..wire.connection import ChatConnection
from ..wire.errors import (
    ChatProtocolError,
    ConnectionLostError,
    ErrorCode,
    LoginRefusedError,
    RemoteProtocolError,
    again,
    logged_out,
)
from ..wire.events import Command, ConnectionClosed, Event, Invalid, Login, Logout, Receive, Send
from ..wire.limits import Limits
from ..wire.names import SERVER_NAME
from ..wire.states import Role
from .messages import Message, Notice, Reconnected, read_notice
from .ping import ECHO, Echo

NOTICES_KEPT: Final = 100
"""The most notices that wait to be looked at; the oldest go first."""


class ChatSession:
    """A client that only needs somebody to carry its bytes, over one connection after another.

    An adapter does `start` for each connection, writes what that and the other methods return
    before it calls another one that returns something, and reports what happens to the connection
    with `hear` and `lose`. Once `ended` is set, the connection is to be
    closed. What was heard before is kept.

    Args:
        name: Who to log in as.
        limits: `max_line` and `bad_lines` are the ones that count here.
        max_queue: The most messages that may wait to be taken. One call of `hear` may
            exceed it; then nothing more should be read until `hungry`.

    Raises:
        LocalProtocolError: BAD_NAME or NAME_RESERVED.
        ValueError: `max_queue` is less than 1.
    """

    def __init__(self, name: str, *, limits: Limits = Limits(), max_queue: int = 1024) -> None:
        if max_queue < 1:
            raise ValueError("max_queue is at least 1")
        Login(name)
        self.name: str = name
        """Who this client is, as far as it is known: the name of the last login that succeeded."""
        self.items: deque[Message | Reconnected] = deque()
        """What was heard, oldest first, to be taken from the left."""
        self.notices: deque[Notice] = deque(maxlen=NOTICES_KEPT)
        """What the server had to say, oldest first."""
        self.ended: ChatProtocolError | None = None
        """Why the connection is over; None as long as it is not."""
        self.invalid_lines = 0
        """Lines from the server that could not be read and were skipped."""
        self._limits = limits
        self._max_queue = max_queue
        self._connection = ChatConnection(Role.CLIENT, limits)
        self._nonce = b""
        self._count = 0
        # In the order in which they were said, which is that of the answers.
        self._echoes: deque[Echo] = deque()
        # How much was said, and how much of it an echo has proved to be handled, or is known to be
        # lost; and the loss of something that nobody knows of yet.
        self._said = self._proved = 0
        self._doubt: ChatProtocolError | None = None
        self._logged_in = False
        # How many items there were when this connection began.
        self._early = 0
        self.logged_out = False
        """Whether this client has said its last."""
        self._last_words: Notice | None = None

    @property
    def hungry(self) -> bool:
        """Whether there is room for more. After a logout nothing needs any."""
        return self.logged_out or len(self.items) < self._max_queue

    def take_item(self) -> Message | Reconnected | None:
        """The next of `items`; None when there is none."""
        if not self.items:
            return None
        self._early = max(0, self._early - 1)
        return self.items.popleft()

    def take_notice(self) -> Notice | None:
        """The next of `notices`; None when there is none."""
        return self.notices.popleft() if self.notices else None

    # What the client says

    def start(self, nonce: bytes) -> tuple[bytes, Echo]:
        """Begin on a new connection, by logging in.

        Args:
            nonce: Something that nobody has used before and that others can't guess. Several
                clients may share a name and hear each other's echoes.

        Returns:
            See `login`.
        """
        self.lose(ConnectionLostError("this client has another connection now"))
        self._connection = ChatConnection(Role.CLIENT, self._limits)
        self._nonce = nonce
        self._logged_in = False
        self._early = len(self.items)
        self._last_words = None
        self.ended = None
        return self.login(self.name)

    def login(self, name: str) -> tuple[bytes, Echo]:
        """Take a name. Say nothing else until it is decided, or it is not known who says it.

        Args:
            name: Who to be.

        Returns:
            What to write, and the echo that decides it; its error may be `LoginRefusedError`.

        Raises:
            LocalProtocolError: BAD_NAME, NAME_RESERVED; or this client has logged out.
        """
        line = self.send(Login(name))
        data, echo = self._say_to_self(name, login=True)
        return line + data, echo

    def send(self, command: Command) -> bytes:
        """Say something.

        Returns:
            What to write.

        Raises:
            LocalProtocolError: It does not fit into a line, it is no client's to say, or this
                client has logged out.
        """
        if self.logged_out:
            raise logged_out()
        data = self._connection.send(command)
        self.logged_out = isinstance(command, Logout)
        return data

    def ping(self) -> tuple[bytes, Echo]:
        """Ask for a sign that everything said before this has been handled.

        Returns:
            What to write, and the echo that is the sign.

        Raises:
            ConnectionLostError: What was said on an earlier connection may be lost. Only the first
                ping after that says so.
            LocalProtocolError: This client has logged out.
        """
        if self._doubt is not None:
            doubt, self._doubt = self._doubt, None
            raise again(doubt)
        return self._say_to_self(self.name, login=False)

    def _say_to_self(self, name: str, *, login: bool) -> tuple[bytes, Echo]:
        self._count += 1
        data = b"%b%b %d" % (ECHO, self._nonce, self._count)
        echo = Echo(name, data, login=login, said=self._said)
        data = self.send(Send(name, echo.data))
        self._echoes.append(echo)
        return data, echo

    # What the adapter reports

    def said(self, *, lost: bool = False) -> None:
        """Take note that what `send` has returned is written: a ping can prove it handled.

        Args:
            lost: Whether that was on a connection that has been lost since.
        """
        self._said += 1
        if lost:
            self._proved = self._said
            self._doubt = ConnectionLostError("what was said last went down with a connection")

    def abandon(self, echo: Echo) -> None:
        """Take note that nobody waits for an echo any more."""
        if echo in self._echoes:
            self._echoes.remove(echo)

    def hear(self, data: bytes) -> None:
        """Take what has arrived.

        Args:
            data: The next octets of the stream; none for its end. A line that it ends in is not
                heard.
        """
        if not data:
            self.lose(self._farewell())
        for event in self._connection.receive_data(data):
            if self.ended is not None:
                # Or what is heard would depend on how the stream is cut.
                break
            if isinstance(event, ConnectionClosed):
                text = "too many lines from the server could not be read"
                self.lose(RemoteProtocolError(ErrorCode.TOO_MANY, text))
            else:
                self._hear(event)

    def lose(self, error: ChatProtocolError) -> None:
        """Take note that the connection is over. What was not answered never will be.

        Args:
            error: Why; ignored when that is known already.
        """
        if self.ended is None:
            self.ended = error
        if self._said > self._proved and not self._echoes:
            self._doubt = self.ended
        self._proved = self._said
        for echo in self._echoes:
            echo.decide(self.ended)
        self._echoes.clear()

    def reconnected(self, downtime: float) -> None:
        """Have those who listen know that they may have missed something.

        Args:
            downtime: For how many seconds there was no connection.
        """
        self.items.insert(self._early, Reconnected(downtime))

    def _farewell(self) -> ChatProtocolError:
        """Why the server has ended its stream."""
        if self.logged_out:
            return logged_out()
        if self._last_words is None:
            return ConnectionLostError("the server has closed the connection")
        code, text = self._last_words.code, self._last_words.text
        return ConnectionLostError(f"the server has closed the connection: {text}", code)

    def _hear(self, event: Event) -> None:
        self._last_words = None
        match event:
            case Receive(sender, data) if data.startswith(ECHO):
                self._hear_echo(sender, data)
            case Receive(sender, data) if sender == SERVER_NAME:
                self._hear_server(read_notice(data))
            case Receive(sender, data) if not self.logged_out:
                self.items.append(Message(sender, data))
                if not self._logged_in and len(self.items) - self._early > self._max_queue:
                    text = "the server says a lot, but not whether this client may log in"
                    self.lose(RemoteProtocolError(ErrorCode.TOO_MANY, text))
            case Invalid(code, _, text):
                self.invalid_lines += 1
                # Later, somebody else may have made a careless server say it.
                if not self._logged_in:
                    text = f"this does not look like a chat server: {text}"
                    self.lose(RemoteProtocolError(code, text))
            case _:
                # What was under way when this client logged out.
                pass

    def _hear_echo(self, sender: str, data: bytes) -> None:
        if not any(echo.data == data and echo.name == sender for echo in self._echoes):
            # Of another client with this name, or of one that has given up waiting.
            return
        while True:
            echo = self._echoes.popleft()
            if echo.data == data:
                break
            # Answers come in order. One that was left out tells that a LOGIN was not obeyed; for
            # anything else, this is as good a sign that it has been handled.
            echo.decide(LoginRefusedError("", "the server did not say why") if echo.login else None)
        if echo.login:
            self.name, self._logged_in = echo.name, True
        self._proved = echo.said
        echo.decide()

    def _hear_server(self, notice: Notice) -> None:
        login = next((echo for echo in self._echoes if echo.login), None)
        if notice.command == "LOGIN" and login is not None:
            self._echoes.remove(login)
            login.decide(LoginRefusedError(notice.code, notice.text))
            return
        if notice.command == "SEND" and not self._logged_in:
            # It answers the echo of a login that was refused.
            return
        if notice.command == "-":
            self._last_words = notice
        self.notices.append(notice)
