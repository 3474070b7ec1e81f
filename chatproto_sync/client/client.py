"""A chat client on blocking sockets, which threads may share."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Self, cast

from chatproto import (
    Broadcast,
    BytesLike,
    ChatProtocolError,
    ChatSession,
    Group,
    Item,
    Leave,
    LocalProtocolError,
    Message,
    Notice,
    Ping,
    Send,
    encode_data,
)

from .connection import ClientConnection
from .deadline import Deadline


class Client:
    """A chat client, made by `connect`.

    Any thread may use it; one may receive while others send. Iterating over it yields what
    `receive` returns, until this client logs out. It reads from the socket only while a method
    waits, and once before each line that it sends. (`send` waits while the server takes nothing.)
    If a client does not read, the server slows down the users who send to it, and in the end closes
    the connection of that client.

    Methods that wait raise

    * `ConnectionLostError` when the connection is lost, or, with a heartbeat, when the server does
      not answer. A client that reconnects raises it only once it has given up;
    * `RemoteProtocolError` when the server does not speak CHAT/1.0;
    * `ChatTimeoutError` when they take longer than the `timeout` that `connect` was given;
    * `LocalProtocolError` when a command would break the protocol, or this client has logged out.

    After any of them the client is as usable as before, with one exception. If the timeout passes
    while a line is being written, or an exception such as KeyboardInterrupt interrupts the writing,
    the client closes the connection, because nothing may follow half a line.
    """

    def __init__(
        self, session: ChatSession, connection: ClientConnection, timeout: float | None
    ) -> None:
        self._session = session
        self._connection = connection
        self._timeout = timeout

    @property
    def name(self) -> str:
        """The name that this client is logged in under."""
        return self._session.name

    @property
    def invalid_lines(self) -> int:
        """How many lines from the server were not valid and were skipped."""
        return self._session.invalid_lines

    @property
    def labels(self) -> bool:
        """Whether the server says, on this connection, which group each message was sent to."""
        return self._session.labels

    def send(self, to: str, data: str | BytesLike, *, confirm: bool = False) -> None:
        """Send to one user. If nobody has that name, the server may say so in a notice.

        It returns when the system has taken the line; with `confirm`, when the server has handled
        it. While a client that reconnects has no connection, it waits for the next one and uses
        that. If the connection is lost before the server has confirmed it, `confirm` raises
        `ConnectionLostError`: it was executed or not.

        Args:
            to: The user's name.
            data: Text, which is sent as UTF-8, or bytes, in any type that holds them: no LF, and no
                CR at the end.
            confirm: Whether to wait until the server has handled it, and to raise what it refuses.

        Raises:
            RequestRefusedError: With `confirm`: the server has refused it, for example with
                NO_SUCH_USER.
            NotSupportedError: With `confirm`: it was sent, but this server does not say what it
                refuses, because it has notices turned off or is another server.
        """
        self._send(Send(to, encode_data(data)), confirm)

    def broadcast(self, group: str, data: str | BytesLike, *, confirm: bool = False) -> None:
        """Send to all other members of a group; otherwise like `send`.

        Args:
            group: The group's name.
            data: Text, which is sent as UTF-8, or bytes, in any type that holds them: no LF, and no
                CR at the end.
            confirm: See `send`. The server refuses it with NO_SUCH_GROUP or NOT_A_MEMBER, but not
                because nobody else is there.
        """
        self._send(Broadcast(group, encode_data(data)), confirm)

    def group(self, name: str, members: Iterable[str] = (), *, confirm: bool = False) -> None:
        """Make a group of exactly these members.

        Args:
            name: The group's name.
            members: The members' names. This client may broadcast to the group in any case, but is
                a member only if its name is among them.
            confirm: See `send`. The server refuses it with GROUP_EXISTS or TOO_MANY.
        """
        self._send(Group(name, members), confirm)

    def leave(self, group: str, *, confirm: bool = False) -> None:
        """Leave a group.

        Args:
            group: The group's name.
            confirm: See `send`. The server refuses it with NO_SUCH_GROUP or NOT_A_MEMBER.
        """
        self._send(Leave(group), confirm)

    def reply(self, message: Message, data: str | BytesLike, *, confirm: bool = False) -> None:
        """Answer where a message came from: in its group, or to its sender.

        If the server has not said which group it was, the answer goes to the sender: see
        `Message.group`.

        Args:
            message: The message.
            data: Text, which is sent as UTF-8, or bytes, in any type that holds them: no LF, and no
                CR at the end.
            confirm: See `send`.
        """
        if message.group is None:
            self.send(message.sender, data, confirm=confirm)
        else:
            self.broadcast(message.group, data, confirm=confirm)

    def groups(self) -> list[str]:
        """Ask which groups this client is a member of (section 5).

        Raises:
            NotSupportedError: The server does not answer requests about groups.
            RequestRefusedError: The answer is too long for the server's limits.
        """
        return self._request("list")

    def members(self, group: str) -> list[str]:
        """Ask who is in a group.

        Args:
            group: The group's name.

        Returns:
            The members' names, whether they are online or not.

        Raises:
            NotSupportedError: The server does not answer requests about groups.
            RequestRefusedError: NO_SUCH_GROUP: there is no such group, or this client neither is a
                member nor has made it. TOO_MANY: the answer is too long for the server's limits.
        """
        return self._request("members", group)

    def add(self, group: str, member: str) -> None:
        """Add a member to a group. Clients of that name that are online get an `Added`.

        Args:
            group: The group's name.
            member: The name of the new member, who need not be online. If it is a member already,
                nothing changes.

        Raises:
            NotSupportedError: The server does not answer requests about groups.
            RequestRefusedError: NO_SUCH_GROUP: see `members`. NOT_ALLOWED: by default, only the
                user who has made the group may add members. NAME_RESERVED. TOO_MANY: the server's
                limits allow no more members.
        """
        self._request("add", group, member)

    def login(self, name: str) -> None:
        """Take another name, and wait for the server's decision. Groups keep the old name.

        If the wait ends early, the client closes the connection, because it does not know which
        name the connection has.

        Args:
            name: The new name.

        Raises:
            LoginRefusedError: The server refuses the name; this client keeps the old one.
        """
        deadline = self._connection.deadline(self._timeout)
        # Other lines wait until the server has decided which name they come from.
        with self._connection.write_lock(deadline):
            ping = self._connection.write(lambda: self._session.login(name), deadline)
            try:
                self._wait_for(ping, deadline)
            finally:
                if not ping.done:
                    self._connection.abort("it was not decided in time who this client is")

    def flush(self) -> None:
        """Wait until the server has handled everything that was sent before (section 3)."""
        deadline = self._connection.deadline(self._timeout)
        with self._connection.write_lock(deadline):
            ping = self._connection.write(self._session.ping, deadline)
        self._wait_for(ping, deadline)

    def ping(self) -> float:
        """Measure the round trip to the server, in seconds."""
        start = self._connection.monotonic()
        self.flush()
        return self._connection.monotonic() - start

    def receive(self, timeout: float | None = None) -> Message:
        """Wait for the next message.

        Args:
            timeout: Seconds to wait; None for ever.
        """
        return self._connection.wait_for(
            self._session.take_message, self._connection.deadline(timeout)
        )

    def receive_item(self, timeout: float | None = None) -> Item:
        """Wait for the next message, or for other news.

        `receive` and iterating over the client drop this news.

        Args:
            timeout: Seconds to wait; None for ever.

        Returns:
            A `Message`, or an `Added` when somebody has added this client to a group. From a client
            that reconnects also a `Disconnected` when the connection is lost, and a `Reconnected`
            when it is back.
        """
        # mypy infers `object` for a union.
        return cast(
            "Item",
            self._connection.wait_for(self._session.take_item, self._connection.deadline(timeout)),
        )

    def items(self) -> Iterator[Item]:
        """Iterate over what `receive_item` returns, until this client logs out."""
        while True:
            try:
                item = self.receive_item()
            except LocalProtocolError:
                return
            yield item

    def receive_notice(self, timeout: float | None = None) -> Notice:
        """Wait for the next notice from the server; the last 100 are kept.

        Args:
            timeout: Seconds to wait; None for ever.
        """
        return self._connection.wait_for(
            self._session.take_notice, self._connection.deadline(timeout)
        )

    def take_notices(self) -> list[Notice]:
        """The notices since the last call, without waiting. Call `flush` before."""
        # All at once: a loop would run for as long as another thread receives more.
        return self._connection.take(lambda: list(iter(self._session.take_notice, None))) or []

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        try:
            return self.receive()
        except LocalProtocolError:
            raise StopIteration from None

    def logout(self) -> None:
        """Log out, and wait until the server has closed the connection.

        By then the server has handled all that was sent. The wait takes two seconds at most. If the
        connection is lost already, this raises nothing. What was received before can still be
        taken.
        """
        deadline = self._connection.deadline(self._session.LOGOUT_TIMEOUT)
        try:
            with contextlib.suppress(ChatProtocolError):
                self._connection.log_out(deadline)
        finally:
            self.close()

    def close(self) -> None:
        """Close the connection at once, without a logout. Threads that wait in methods raise."""
        self._connection.close()

    def _send(self, command: Send | Broadcast | Group | Leave, confirm: bool) -> None:
        deadline = self._connection.deadline(self._timeout)
        with self._connection.write_lock(deadline):
            if not confirm:
                self._connection.write(lambda: (self._session.send(command), None), deadline)
                return
            sent = self._connection.write(lambda: self._session.confirm(command), deadline)
        self._wait_for(sent.ping, deadline)
        sent.check()

    def _request(self, *words: str) -> list[str]:
        deadline = self._connection.deadline(self._timeout)
        with self._connection.write_lock(deadline):
            request = self._connection.write(lambda: self._session.request(*words), deadline)
        self._wait_for(request.ping, deadline)
        return request.result()

    def _wait_for(self, ping: Ping, deadline: Deadline) -> None:
        try:
            self._connection.wait_for(lambda: ping.done or None, deadline)
        finally:
            if not ping.done:
                self._connection.take(lambda: self._session.forget(ping))
        if ping.error is not None:
            raise ping.error.copy()
