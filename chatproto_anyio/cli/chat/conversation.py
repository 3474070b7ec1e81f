"""A conversation: executes what the user types, and shows what the client receives."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol, assert_never

import anyio

from chatproto import (
    Added,
    Broadcast,
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    Disconnected,
    Group,
    Leave,
    LocalProtocolError,
    Login,
    Message,
    NotSupportedError,
    Reconnected,
    RemoteProtocolError,
    RequestRefusedError,
    Send,
    visible,
    visible_name,
)

from ...client.client import Client
from ...client.time_limit import time_limit
from ..running import NO_LABELS, format_disconnected, format_reconnected
from .lines import OutputLine
from .parsing import (
    USAGES,
    AddMember,
    Hint,
    ListGroups,
    ListMembers,
    OutgoingCommand,
    ParsedInput,
    Recipient,
    ServiceRequest,
    SetRecipient,
    SimpleCommand,
    parse,
)
from .vocabulary import RecentNames, Vocabulary

WAIT_INFO_DELAY: Final = 2.0
"""Seconds without an answer before the user is told that the program waits."""

_WIDTH: Final = max(len(f"{name} {usage.arguments}") for name, usage in USAGES.items())

HELP: Final = [
    *(
        OutputLine.info(f"{f'{name} {usage.arguments}':{_WIDTH}}  {usage.description}")
        for name, usage in USAGES.items()
    ),
    OutputLine.info("Other lines are messages; type // for one that starts with a slash."),
    OutputLine.info("Tab completes, Up goes back, Ctrl-C clears the line."),
    OutputLine.info("Ctrl-D quits, Ctrl-Z goes to the shell, and its command fg comes back."),
]
"""What `/help` shows."""


class UserInterface(Protocol):
    """Where the user types, and where lines are shown."""

    @property
    def flush_timeout(self) -> float | None:
        """Seconds that the server has at the end to confirm the last messages.

        None to wait as long as for any other answer.
        """
        ...

    def read(self) -> AsyncIterator[str]:
        """Read what the user types: each time one line, or several lines that were pasted."""
        ...

    def take_unread(self) -> list[str]:
        """Take what the user has typed and nobody has read: see `read`."""
        ...

    async def show(self, line: OutputLine) -> None:
        """Show a line."""
        ...


class Conversation:
    """What one user does with one client.

    Args:
        client: A client that reconnects.
        recipient: Who gets messages at first; None for nobody.
    """

    def __init__(self, client: Client, recipient: Recipient | None) -> None:
        self._client = client
        self._recipient = recipient
        self._replying_to: Recipient | None = None
        # The line that is being executed, until something is sent for it; and the lines after it.
        self._current: str | None = None
        self._waiting: deque[str] = deque()
        # What was sent, and is not confirmed yet.
        self._unconfirmed: list[OutputLine] = []
        self._has_unconfirmed = anyio.Event()
        self._all_confirmed = anyio.Event()
        # Why some of it may be lost, until the connection is back.
        self._loss: ChatProtocolError | None = None
        # Each entry is the maker's name, a space and the group's name.
        self._made_groups = RecentNames()
        self.is_connected: bool = True
        """Whether there is a connection, by what the client has reported so far."""
        self.vocabulary: Vocabulary = Vocabulary()
        """The words that Tab completes."""
        if recipient is not None:
            self._remember(recipient)

    @property
    def prompt(self) -> str:
        """The user's name and the recipient's, safe to show."""
        name = visible_name(self._client.name)
        return f"{name}: " if self._recipient is None else f"{name} -> {self._recipient}: "

    @property
    def reply_command(self) -> str | None:
        """The command that `/reply` stands for now, up to its text; None before the first message.

        It changes with each message that arrives.
        """
        return None if self._replying_to is None else self._replying_to.command

    async def run(self, interface: UserInterface) -> None:
        """Run until the input ends or the user quits, then log out.

        Raises:
            ChatProtocolError: The connection is lost for good, or the server has not confirmed the
                last messages. In a group.
        """
        if not self._client.labels:
            await interface.show(OutputLine.info(NO_LABELS))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._receive, interface)
            confirming = anyio.CancelScope()
            tasks.start_soon(self._confirm, interface, confirming)
            try:
                await self._execute_all(interface)
                await self._wait_until_confirmed(interface)
                if self._loss is not None:
                    raise self._loss
            except BaseException:
                lines = "\n".join([*self._waiting, *interface.take_unread()]).split("\n")
                await self._show_unsent(interface, *lines)
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    # Ends the tasks that receive, once they have shown what arrived before.
                    await self._client.logout()
                confirming.cancel()

    async def _receive(self, interface: UserInterface) -> None:
        """Show what arrives, until logout.

        Raises:
            ChatProtocolError: The connection is lost for good.
        """
        lost = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._receive_notices, interface)
            try:
                await self._receive_messages(interface)
            except ChatProtocolError as error:
                # Raised below, when the notices that came before it are shown.
                lost = error
        if lost is not None:
            raise lost

    async def _receive_messages(self, interface: UserInterface) -> None:
        async for item in self._client.items():
            match item:
                case Message(sender, _, group):
                    self.vocabulary.users.add(sender)
                    if group is None:
                        self._replying_to = Recipient(sender)
                    else:
                        self._replying_to = Recipient(group, group=True)
                        self.vocabulary.groups.add(group)
                    await interface.show(OutputLine.received(item))
                case Added(group, _, by):
                    self.vocabulary.users.add(by)
                    self.vocabulary.groups.add(group)
                    await interface.show(OutputLine.added(item))
                case Disconnected():
                    self.is_connected = False
                    await interface.show(OutputLine.info(format_disconnected(item)))
                case Reconnected():
                    self.is_connected = True
                    self._loss = None
                    await interface.show(OutputLine.info(format_reconnected(item)))

    async def _receive_notices(self, interface: UserInterface) -> None:
        while True:
            try:
                notice = await self._client.receive_notice()
            except ChatProtocolError:
                # This client has logged out, or `_receive_messages` raises the same.
                return
            await interface.show(OutputLine.notice(notice))

    async def _execute_all(self, interface: UserInterface) -> None:
        async for text in interface.read():
            self._waiting.extend(text.split("\n"))
            while self._waiting:
                line = self._waiting.popleft()
                try:
                    parsed = parse(line, self._recipient, self._replying_to)
                except LocalProtocolError as error:
                    await interface.show(OutputLine.error(visible(str(error))))
                    continue
                if parsed is SimpleCommand.QUIT:
                    return
                if parsed is not None:
                    if isinstance(parsed, Send | Broadcast | Group | Leave):
                        self._current = line
                    await self._execute(parsed, interface)

    async def _execute(self, parsed: ParsedInput, interface: UserInterface) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_show_wait_info, interface)
            try:
                await self._execute_parsed(parsed, interface)
            except LocalProtocolError as error:
                self._current = None
                await interface.show(OutputLine.error(visible(str(error))))
            except ChatProtocolError as error:
                # When the connection is lost for good, `_receive_messages` raises the same.
                if not isinstance(error, ConnectionLostError | RemoteProtocolError):
                    await interface.show(OutputLine.error(visible(str(error))))
                await self._show_unsent(interface)
            tasks.cancel_scope.cancel()

    async def _execute_parsed(self, parsed: ParsedInput, interface: UserInterface) -> None:
        match parsed:
            case Hint(text):
                await interface.show(OutputLine.info(text))
            case SimpleCommand.HELP:
                for line in HELP:
                    await interface.show(line)
            case SimpleCommand.PING:
                milliseconds = 1000 * await self._client.ping()
                text = f"to the server and back: {milliseconds:.1f} ms"
                await interface.show(OutputLine.info(text))
            case SimpleCommand.QUIT:
                pass
            case SetRecipient(recipient):
                self._recipient = recipient
                if recipient is not None:
                    self._remember(recipient)
                await interface.show(OutputLine.info(f"you talk to {recipient or 'nobody'}"))
            case ListMembers() | AddMember() | ListGroups():
                await interface.show(await self._request(parsed, interface))
            case _:
                await interface.show(await self._send(parsed))

    async def _send(self, command: OutgoingCommand) -> OutputLine:
        """Send a command to the server.

        Returns:
            What to show for it.
        """
        match command:
            case Send(to, data):
                self._remember(Recipient(to))
                await self._client.send(to, data)
                return self._sent(OutputLine.sent(command))
            case Broadcast(group, data):
                self._remember(Recipient(group, group=True))
                await self._client.broadcast(group, data)
                return self._sent(OutputLine.sent(command))
            case Group(name, members):
                recipient = Recipient(name, group=True)
                self._remember(recipient)
                for member in members:
                    self._remember(Recipient(member))
                await self._client.group(name, members)
                self._made_groups.add(f"{self._client.name} {name}")
                return self._sent(OutputLine.info(f"asked for {recipient} of {_join(members)}"))
            case Leave(name):
                await self._client.leave(name)
                text = f"asked to leave {Recipient(name, group=True)}"
                if f"{self._client.name} {name}" in self._made_groups:
                    # Section 4 of protocol.md: BROADCAST by someone not a member.
                    text += "; you made it, so you can send to it while others are in it"
                return self._sent(OutputLine.info(text))
            case Login(name):
                await self._client.login(name)
                return OutputLine.info(f"you are {visible_name(name)}")
            case _:
                assert_never(command)

    async def _request(self, request: ServiceRequest, interface: UserInterface) -> OutputLine:
        """Ask the service for groups.

        Returns:
            What to show for the answer.
        """
        try:
            return await self._answer(request)
        except (LocalProtocolError, NotSupportedError, RequestRefusedError):
            raise
        except BaseException:
            # The connection is lost, the time is over, or the program ends.
            with anyio.CancelScope(shield=True):
                await interface.show(OutputLine.error(f"this is not answered: {request}"))
            raise

    async def _answer(self, request: ServiceRequest) -> OutputLine:
        match request:
            case ListMembers(group):
                names = await self._client.members(group.name)
                self.vocabulary.groups.add(group.name)
                self.vocabulary.users.fill(names)
                return OutputLine.info(f"in {group}: {_join(names)}")
            case AddMember(group, member):
                await self._client.add(group.name, member.name)
                self._remember(group)
                self._remember(member)
                return OutputLine.info(f"{member} is in {group} now")
            case ListGroups():
                names = await self._client.groups()
                self.vocabulary.groups.fill(names)
                return OutputLine.info(f"your groups: {_join(names)}")
            case _:
                assert_never(request)

    def _sent(self, line: OutputLine) -> OutputLine:
        """Note that something was sent. `line` shows it."""
        self._current = None
        if not self._unconfirmed:
            self._all_confirmed = anyio.Event()
        self._unconfirmed.append(line)
        self._has_unconfirmed.set()
        return line

    async def _confirm(self, interface: UserInterface, scope: anyio.CancelScope) -> None:
        """Flush what was sent, until the scope is cancelled, and note what the server has handled.

        When a connection is lost, what was sent last may be lost with it. Then this shows it.
        """
        with scope:
            while True:
                await self._has_unconfirmed.wait()
                count = len(self._unconfirmed)
                try:
                    await self._client.flush()
                except LocalProtocolError:
                    # This client has logged out.
                    return
                except ChatProtocolError as error:
                    self._loss = _not_confirmed() if isinstance(error, ChatTimeoutError) else error
                    await self._show_unconfirmed(interface, count)
                else:
                    self._loss = None
                    del self._unconfirmed[:count]
                if not self._unconfirmed:
                    self._has_unconfirmed = anyio.Event()
                    self._all_confirmed.set()

    async def _show_unconfirmed(self, interface: UserInterface, count: int | None = None) -> None:
        """Show what may be lost: all that is not confirmed, or the first of it."""
        lines = self._unconfirmed[:count]
        del self._unconfirmed[:count]
        with anyio.CancelScope(shield=True):
            for line in lines:
                await interface.show(OutputLine.error(f"this may be lost: {line}"))

    async def _show_unsent(self, interface: UserInterface, *others: str) -> None:
        """Show the current line if nothing was sent for it, and other lines that stay unsent."""
        lines = [self._current or "", *others]
        self._current = None
        with anyio.CancelScope(shield=True):
            for line in filter(str.strip, lines):
                await interface.show(OutputLine.error(f"this is not sent: {visible(line)}"))

    def _remember(self, recipient: Recipient) -> None:
        names = self.vocabulary.groups if recipient.group else self.vocabulary.users
        names.add(recipient.name)

    async def _wait_until_confirmed(self, interface: UserInterface) -> None:
        """Wait until the server has handled everything, or it is known what may be lost.

        Raises:
            ConnectionLostError: The time for it is over.
        """
        if not self._unconfirmed:
            return
        try:
            with time_limit(interface.flush_timeout):
                await self._all_confirmed.wait()
        except ChatTimeoutError:
            await self._show_unconfirmed(interface)
            raise _not_confirmed() from None


def _join(names: Sequence[str]) -> str:
    """Join names to one line, safe to show, with a comma and a space between them."""
    return ", ".join(map(visible_name, names)) or "none"


def _not_confirmed() -> ConnectionLostError:
    return ConnectionLostError("the server has not confirmed the last messages in time")


async def _show_wait_info(interface: UserInterface) -> None:
    await anyio.sleep(WAIT_INFO_DELAY)
    await interface.show(OutputLine.info("no answer from the server so far: waiting"))
