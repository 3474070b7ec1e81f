"""A client without its sockets: it logs in, sends, pings, and sorts what it receives."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from ..wire.connection import ChatConnection
from ..wire.errors import (
    ChatProtocolError,
    ConnectionLostError,
    ErrorCode,
    LocalProtocolError,
    LoginRefusedError,
    RemoteProtocolError,
)
from ..wire.events import (
    Broadcast,
    BytesLike,
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
from ..wire.names import GROUPS_NAME, SERVER_NAME
from ..wire.states import Role
from .confirmation import Confirmation
from .group_requests import GroupRequest, check_words, read_label, read_words
from .heartbeat import Heartbeat
from .messages import Added, Disconnected, Item, Message, Notice, Reconnected, read_notice
from .ping import PING_PREFIX, Ping

NOTICES_KEPT: Final = 100
"""The most notices that wait to be taken; each further one replaces the oldest."""

MOST_REQUESTS: Final = 1000
"""The most requests about groups that may be pending, also if no caller waits for them."""


class ChatSession:
    """A client without its sockets, over one connection after another.

    An adapter calls `start` for each new connection. It writes the bytes that `start`, `login`,
    `send`, `confirm`, `ping` and `request` return, all of them before it calls one of these methods
    again. It reports what happens on the connection with `receive_data`, `receive_eof` and
    `connection_lost`, and closes the connection once `error` is set. What was received before can
    still be taken. With a heartbeat it also calls `tick`, and writes what `take_heartbeat` returns.

    Args:
        name: The name to log in under.
        new_token: Returns bytes that nobody can guess, different ones each time. They make a ping
            unique, because other clients may share the name and receive what is sent to it.
        limits: Bounds on lines.
        max_queue: The most messages that may wait to be taken. One call of `receive_data` may
            exceed it; then read nothing more until `wants_data`.
        groups: Whether to ask the server, on each connection, to say which group each message was
            sent to.
        heartbeat: Seconds of silence after which the client asks the server for a sign of life. The
            server then has as many seconds to answer. None for no heartbeats.

    Raises:
        LocalProtocolError: BAD_NAME or NAME_RESERVED.
        ValueError: `max_queue` is less than 1, or `heartbeat` is not more than 0.
    """

    LOGOUT_TIMEOUT: ClassVar[float] = 2.0
    """Seconds that an adapter waits for the server to close the connection after a LOGOUT."""

    def __init__(
        self,
        name: str,
        new_token: Callable[[], bytes],
        *,
        limits: LineLimits = LineLimits(),
        max_queue: int = 1024,
        groups: bool = True,
        heartbeat: float | None = None,
    ) -> None:
        if max_queue < 1:
            raise ValueError("max_queue is at least 1")
        Login(name)
        self.name: str = name
        """The name of the last login that is known to have succeeded."""
        self.error: ChatProtocolError | None = None
        """Why the connection is over; None as long as it is not."""
        self.invalid_lines: int = 0
        """How many lines from the server were not valid and were skipped."""
        self.logged_out: bool = False
        """Whether this client has sent LOGOUT, or is closed: it sends nothing more."""
        self.first_byte: bytes = b""
        """The first byte that the connection has brought; empty for none. It shows whether the
        server speaks TLS, whose first byte starts no line of CHAT/1.0."""
        self.labels: bool = False
        """Whether the server says, on this connection, which group each message was sent to."""
        self._wants_labels = groups
        self._new_token = new_token
        self._limits = limits
        self._max_queue = max_queue
        self.heartbeat: float | None = heartbeat
        """Seconds of silence before a heartbeat; None for none."""
        self._heartbeat = Heartbeat(heartbeat)
        # Whether something has arrived since the last `tick`.
        self._heard = False
        self._items: deque[Item] = deque()
        # How many of them came from the server. Only these count for `max_queue`.
        self._items_received = 0
        # Seconds of earlier outages whose item was removed, because the next outage had begun.
        self._earlier_downtime = 0.0
        # How many of the items are from before this connection.
        self._earlier_items = 0
        self._notices: deque[Notice] = deque(maxlen=NOTICES_KEPT)
        self._connection = ChatConnection(Role.CLIENT, limits)
        self._logged_in = False
        # In the order in which they were sent, which is the order of the answers.
        self._pings: deque[Ping] = deque()
        # In the same order. Those whose pings are done are removed later.
        self._requests: deque[GroupRequest] = deque()
        # In the same order, without those that no caller waits for.
        self._confirmations: list[Confirmation] = []
        # How many commands were sent, and how many of them are settled: a ping has proved that they
        # were handled, or they are known to be lost.
        self._sent = self._settled = 0
        # The loss of a command that no caller knows of yet.
        self._loss: ChatProtocolError | None = None
        # The last line from the server, if it was a notice that answers no command. If the stream
        # ends after it, it is the server's reason for closing.
        self._last_notice: Notice | None = None

    @property
    def wants_data(self) -> bool:
        """Whether to read from the connection.

        It is always true before the login is decided, because the answer comes after other lines.
        It is also always true after a LOGOUT, because nothing more is queued then.
        """
        return self.logged_out or not self._logged_in or self._items_received < self._max_queue

    def take_item(self) -> Item | None:
        """Take the oldest item that was received; None when there is none."""
        if not self._items:
            return None
        self._earlier_items = max(0, self._earlier_items - 1)
        item = self._items.popleft()
        self._items_received -= isinstance(item, Message | Added)
        return item

    def take_message(self) -> Message | None:
        """Take the oldest message, and drop the items before it; None when there is none."""
        while (item := self.take_item()) is not None:
            if isinstance(item, Message):
                return item
        return None

    def take_notice(self) -> Notice | None:
        """Take the oldest notice; None when there is none."""
        return self._notices.popleft() if self._notices else None

    # What the client sends

    def start(self) -> tuple[bytes, Ping]:
        """Begin a new connection, with a login.

        Returns:
            See `login`.

        Raises:
            LocalProtocolError: This client has logged out.
        """
        self.connection_lost(ConnectionLostError("this client has another connection now"))
        self._connection = ChatConnection(Role.CLIENT, self._limits)
        self._logged_in = self.labels = False
        self._earlier_items = len(self._items)
        self._last_notice = None
        self._heard = True
        self.first_byte = b""
        self.error = None
        return self.login(self.name)

    def login(self, name: str) -> tuple[bytes, Ping]:
        """Log in under a name.

        Send nothing else until the ping is done: before that, the sender's name is not known.

        Args:
            name: The name.

        Returns:
            The bytes to write, and a ping. When the ping is done, the login is decided; the ping's
            error is `LoginRefusedError` if the server has refused it.

        Raises:
            LocalProtocolError: BAD_NAME, NAME_RESERVED; or this client has logged out.
        """
        line = self.send(Login(name))
        if not self._wants_labels or self._logged_in:
            data, ping = self._send_ping(name, login=True)
        else:
            # The answer comes before the ping, so that costs no further round trip.
            data, request = self._send_request(["on"], name, login=True)
            ping = request.ping
        return line + data, ping

    def send(self, command: Command) -> bytes:
        """Send a command.

        Returns:
            The bytes to write. Call `sent` when they are written.

        Raises:
            LocalProtocolError: The command does not fit into a line, a client must not send it, or
                this client has logged out.
        """
        if self.logged_out:
            raise _logged_out()
        data = self._connection.send(command)
        self.logged_out = isinstance(command, Logout)
        return data

    def confirm(self, command: Send | Broadcast | Group | Leave) -> tuple[bytes, Confirmation]:
        """Send a command, and ask the server whether it refuses it.

        Args:
            command: The command.

        Returns:
            The bytes to write, and the confirmation. When its ping is done, it has a result. If it
            is a refusal, `take_notice` does not return that notice.

        Raises:
            LocalProtocolError: As from `send`; or TOO_MANY, as from `request`.
        """
        self._check_requests()
        line = self.send(command)
        before, fence = b"", None
        if self._sent > self._settled:
            before, fence = self._send_ping(self.name)
            fence.awaited = False
        self._sent += 1
        # Nothing changes by this request. Its answer shows that the server sends notices.
        after, request = self._send_request(["on" if self.labels else "off"], self.name)
        confirmation = Confirmation(command, request, fence)
        self._confirmations.append(confirmation)
        return before + line + after, confirmation

    def ping(self) -> tuple[bytes, Ping]:
        """Ask the server for a sign that it has handled everything that was sent before.

        Returns:
            The bytes to write, and the ping whose return is the sign.

        Raises:
            ConnectionLostError: Commands sent on an earlier connection may be lost. Only the first
                ping after that raises it.
            LocalProtocolError: This client has logged out.
        """
        if self._loss is not None:
            loss, self._loss = self._loss, None
            raise loss.copy()
        return self._send_ping(self.name)

    def request(self, *words: str) -> tuple[bytes, GroupRequest]:
        """Ask about groups: `list`, `members` of a group, or `add` a member (section 5).

        Args:
            words: The words of the request: `list`; `members` and a group; `add`, a group and a
                name.

        Returns:
            The bytes to write, and the request. When its ping is done, it has a result.

        Raises:
            LocalProtocolError: BAD_NAME; TOO_MANY when 1000 requests are pending; or this client
                has logged out.
        """
        check_words(words)
        self._check_requests()
        return self._send_request(words, self.name)

    def close(self) -> LocalProtocolError:
        """End this client without a LOGOUT: the connection is over, and nothing more is sent.

        Returns:
            The error for each later use of the client.
        """
        self.logged_out = True
        error = _logged_out()
        self.connection_lost(error)
        return error

    def _send_ping(
        self, name: str, *, login: bool = False, heartbeat: bool = False
    ) -> tuple[bytes, Ping]:
        data = PING_PREFIX + self._new_token()
        ping = Ping(name, data, login=login, heartbeat=heartbeat, sent_before=self._sent)
        line = self.send(Send(name, data))
        self._pings.append(ping)
        return line, ping

    def _check_requests(self) -> None:
        self._drop_answered()
        if len(self._requests) >= MOST_REQUESTS:
            text = f"the server has not answered the last {MOST_REQUESTS} requests about groups"
            raise LocalProtocolError(ErrorCode.TOO_MANY, text)

    def _send_request(
        self, words: Sequence[str], name: str, *, login: bool = False
    ) -> tuple[bytes, GroupRequest]:
        line = self.send(Send(GROUPS_NAME, " ".join(words).encode()))
        data, ping = self._send_ping(name, login=login)
        request = GroupRequest(words, ping)
        self._requests.append(request)
        return line + data, request

    # The heartbeat

    @property
    def next_tick(self) -> float:
        """When to call `tick` at the latest; infinity when there is no heartbeat."""
        return self._heartbeat.next_tick

    def tick(self, now: float) -> None:
        """Apply the heartbeat. If the server does not answer, the connection is over: see `error`.

        Call it once the login has succeeded, after each `receive_data`, and at `next_tick`. Read
        what has arrived before each call, and do not call it while `wants_data` is false. After it,
        call `take_heartbeat`.

        Args:
            now: The time in seconds, on a clock that does not run backwards.
        """
        if self._heard or self.logged_out or not self._knows_its_name:
            self._heard = False
            self._heartbeat.heard(now)
        elif (silence := self._heartbeat.tick(now)) is not None:
            text = f"the server does not answer: nothing has come for {round(silence, 1):g} s"
            self.connection_lost(ConnectionLostError(text))

    @property
    def heartbeat_due(self) -> bool:
        """Whether `take_heartbeat` would return something."""
        return (
            self._heartbeat.due
            and self.error is None
            and not self.logged_out
            and self._knows_its_name
        )

    def take_heartbeat(self, now: float) -> bytes:
        """Take the heartbeat if one is due: a ping that no caller waits for.

        Args:
            now: The time.

        Returns:
            The bytes to write, maybe none. Call this when they can be written at once, or added to
            what is written next. Otherwise try again at `next_tick`.
        """
        if not self.heartbeat_due:
            return b""
        self._heartbeat.asked(now)
        # Older ones are not needed any more, and would pile up.
        for ping in [each for each in self._pings if each.heartbeat]:
            self._pings.remove(ping)
        return self._send_ping(self.name, heartbeat=True)[0]

    @property
    def _knows_its_name(self) -> bool:
        """Whether no login is under way. The server may take as long as it likes to answer one."""
        return self._logged_in and not any(ping.login for ping in self._pings)

    # What the adapter reports

    def sent(self, *, lost: bool = False) -> None:
        """Report that the bytes from `send` are written. A later ping proves them handled.

        Args:
            lost: Whether they were written to a connection that has been lost since.
        """
        self._sent += 1
        if lost:
            self._settled = self._sent
            self._loss = ConnectionLostError("what was sent last was lost with a connection")

    def forget(self, ping: Ping) -> None:
        """Drop a pending ping, for which no caller waits any more."""
        ping.awaited = False
        self._confirmations = [each for each in self._confirmations if each.ping is not ping]
        # The ping of a request stays: the answer is still to come, and must not be taken for the
        # answer to the next request.
        if ping in self._pings and all(each.ping is not ping for each in self._requests):
            self._pings.remove(ping)

    def receive_data(self, data: BytesLike) -> None:
        """Take the next bytes from the server."""
        self._heard = True
        if not self.first_byte:
            self.first_byte = bytes(data[:1])
        for event in self._connection.receive_data(data):
            if self.error is not None:
                # Otherwise the items would depend on how the stream is cut.
                break
            if isinstance(event, ConnectionClosed):
                text = "too many lines from the server could not be read"
                self.connection_lost(RemoteProtocolError(ErrorCode.TOO_MANY, text))
            else:
                self._handle(event)

    def receive_eof(self) -> None:
        """Take the end of the server's stream. An unfinished line is dropped."""
        self.connection_lost(self._eof_error())

    def connection_lost(self, error: ChatProtocolError) -> None:
        """Report that the connection is over. Pending pings will not come back.

        Args:
            error: Why; ignored when `error` is set already.
        """
        if self.error is None:
            self.error = error
        if self._sent > self._settled and not any(ping.awaited for ping in self._pings):
            self._loss = self.error
        self._settled = self._sent
        for ping in self._pings:
            ping.finish(self.error)
        self._pings.clear()
        self._requests.clear()
        self._confirmations.clear()

    def disconnected(self, error: ChatProtocolError) -> None:
        """Add a `Disconnected` to the items: there will be another connection.

        If the last item is a `Reconnected`, it is removed instead: two outages with nothing between
        them count as one. This bounds the items when nobody takes them.

        Args:
            error: Why the connection is over.
        """
        if self._items and isinstance(last := self._items[-1], Reconnected):
            self._items.pop()
            self._earlier_downtime += last.downtime
        else:
            self._items.append(Disconnected(error))

    def reconnected(self, downtime: float) -> None:
        """Add a `Reconnected` to the items, before all that this connection has brought.

        Args:
            downtime: Seconds without a connection.
        """
        item = Reconnected(self._earlier_downtime + downtime)
        self._earlier_downtime = 0.0
        self._items.insert(self._earlier_items, item)

    def _eof_error(self) -> ChatProtocolError:
        """Why the server has ended its stream."""
        if self.logged_out:
            return _logged_out()
        if self._last_notice is None:
            return ConnectionLostError("the server has closed the connection")
        code, text = self._last_notice.code, self._last_notice.text
        return ConnectionLostError(f"the server has closed the connection: {text}", code)

    def _handle(self, event: Event) -> None:
        self._last_notice = None
        match event:
            case Receive(sender, data) if data.startswith(PING_PREFIX):
                self._handle_ping(sender, data)
            case Receive(sender, data) if sender == SERVER_NAME:
                self._handle_notice(read_notice(data))
            case Receive(sender, data) if sender == GROUPS_NAME:
                item = self._handle_groups(data)
                if item is not None and not self.logged_out:
                    self._add(item)
            case Receive(sender, data) if not self.logged_out:
                self._add(Message(sender, data))
            case Invalid(code, _, text):
                self.invalid_lines += 1
                # After the login, it only counts: another client may have made a careless server
                # send it.
                if not self._logged_in:
                    text = f"this does not look like a chat server: {text}"
                    self.connection_lost(RemoteProtocolError(code, text))
            case _:
                # A message that was under way when this client logged out.
                pass

    def _handle_groups(self, data: bytes) -> Message | Added | None:
        """Take what comes from the service for groups.

        Some servers let users log in under its name. There, any user may have sent what comes from
        it. So the client believes labels only on a connection where the server answered the request
        for them in time.

        Returns:
            The item to add; None for the answer to a request, and for a ping with a label.
        """
        if self.labels and (message := read_label(data)) is not None:
            # With or without a label, pings are not shown.
            return None if message.data.startswith(PING_PREFIX) else message
        words = read_words(data)
        if self._is_answer(words):
            return None
        match words:
            case ["added", group, member, by] if self.labels:
                return Added(group, member, by)
            case _:
                return Message(GROUPS_NAME, data)

    def _is_answer(self, words: list[str]) -> bool:
        """Give what the service for groups says to the oldest pending request, if it fits."""
        self._drop_answered()
        if not self._requests or not self._requests[0].receive(words):
            return False
        if self._requests[0].too_long:
            text = "the server sends an answer that does not end"
            self.connection_lost(RemoteProtocolError(ErrorCode.TOO_MANY, text))
        elif words == ["on"]:
            self.labels = True
        return True

    def _drop_answered(self) -> None:
        """Drop the requests whose answers are complete."""
        while self._requests and self._requests[0].ping.done:
            self._requests.popleft()
        while self._confirmations and self._confirmations[0].ping.done:
            del self._confirmations[0]

    def _add(self, item: Message | Added) -> None:
        """Add an item that was received."""
        self._items.append(item)
        self._items_received += 1
        if not self._logged_in and len(self._items) - self._earlier_items > self._max_queue:
            text = "the server sends a lot, but does not answer the login"
            self.connection_lost(RemoteProtocolError(ErrorCode.TOO_MANY, text))

    def _handle_ping(self, sender: str, data: bytes) -> None:
        if not any(ping.data == data and ping.name == sender for ping in self._pings):
            # Another client with the same name sent it, or this client has forgotten it.
            return
        while True:
            ping = self._pings.popleft()
            if ping.data == data:
                break
            # Answers come in order. If the ping after a LOGIN is missing, the LOGIN was refused.
            # Any other ping was handled before this one.
            ping.finish(LoginRefusedError("", "the server did not say why") if ping.login else None)
        if ping.login:
            self.name, self._logged_in = ping.name, True
        self._settled = ping.sent_before
        ping.finish()

    def _handle_notice(self, notice: Notice) -> None:
        login = next((ping for ping in self._pings if ping.login), None)
        if notice.command == "LOGIN" and login is not None:
            self._pings.remove(login)
            login.finish(LoginRefusedError(notice.code, notice.text))
            return
        if notice.command == "SEND" and not self._logged_in:
            # It answers the ping after a login that was refused.
            return
        self._drop_answered()
        if any(each.receive(notice) for each in self._confirmations):
            return
        if notice.command == "-":
            self._last_notice = notice
        self._notices.append(notice)


def _logged_out() -> LocalProtocolError:
    return LocalProtocolError(ErrorCode.NOT_LOGGED_IN, "this client has logged out")
