"""A conversation: executes what the user types, and shows what the client receives."""

import math
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Final, Protocol, assert_never

import anyio
from anyio.abc import TaskGroup

from chatproto import (
    PING_PREFIX,
    Added,
    Broadcast,
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    Disconnected,
    ErrorCode,
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
from ..running import NO_LABELS, format_disconnected, format_reconnected
from .lines import OutputLine
from .parsing import (
    USAGES,
    AddMember,
    Hint,
    LastMessage,
    ListGroups,
    ListMembers,
    ParsedInput,
    Recipient,
    ServiceRequest,
    SetRecipient,
    SimpleCommand,
    parse_lines,
)
from .vocabulary import RecentNames, Vocabulary

WAIT_INFO_DELAY: Final = 2.0
"""Seconds without an answer before the user is told that the program waits."""

SHOW_DELAY: Final = 0.3
"""Seconds without an answer before the user sees what was sent. Usually the answer comes first, and
a line that the server has refused is marked when it is shown."""

FLUSH_TIMEOUT: Final = 2.0
"""Seconds without an answer after which the program gives up when the user has quit."""

RETRY_TIME: Final = 10.0
"""For how many seconds after an outage messages to users who are not online are tried again: others
need some time to come back too."""

RETRY_INTERVAL: Final = 0.5
"""Seconds between two such attempts."""

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

    def read(self) -> AsyncIterator[str]:
        """Read what the user types: each time one line, or several lines that were pasted."""
        ...

    def take_unread(self) -> list[str]:
        """Take what the user has typed and nobody has read: see `read`."""
        ...

    async def wait_until_ended(self) -> None:
        """Wait until the user has quit, and waits for the program to end."""
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
        self.last_message: LastMessage | None = None
        """What `/reply` and `/r` answer. It changes with each message that arrives."""
        # The line that is being executed, as it was typed, until the server has handled it; and the
        # lines after it, with what they ask for.
        self._current: str | None = None
        self._waiting: deque[tuple[str, ParsedInput]] = deque()
        # What shows the line that is being executed; and the same until it is shown.
        self._line = OutputLine.info("")
        self._unshown: OutputLine | None = None
        # Whether it may have been sent.
        self._may_be_sent = False
        # How many lines were executed.
        self._executed = 0
        # Whether the server confirms what is sent.
        self._confirms = client.labels
        # Until when messages to users who are not online are tried again.
        self._retry_until = -math.inf
        # The groups that this user is known to be in.
        self._own_groups = RecentNames()
        # The name that the user was warned of.
        self._warned_of: str | None = None
        # Why what was sent last may be lost, until the connection is back.
        self._loss: ChatProtocolError | None = None
        # Each entry is the maker's name, a space and the group's name.
        self._made_groups = RecentNames()
        self.is_connected: bool = True
        """Whether there is a connection, by what the client has reported so far."""
        self.is_waiting: bool = False
        """Whether the server takes long to answer."""
        self.vocabulary: Vocabulary = Vocabulary()
        """The words that Tab completes."""
        if recipient is not None:
            self._remember(recipient)

    @property
    def prompt(self) -> str:
        """The user's name and the recipient's, safe to show."""
        name = visible_name(self._client.name)
        return f"{name}: " if self._recipient is None else f"{name} -> {self._recipient}: "

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
            try:
                await self._execute_all(interface)
                if self._loss is not None:
                    raise self._loss
            except BaseException:
                waiting = [line for line, _ in self._waiting]
                lines = "\n".join([*waiting, *interface.take_unread()]).split("\n")
                await self._show_unsent(interface, *lines)
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    # Ends the tasks that receive, once they have shown what arrived before.
                    await self._client.logout()

    async def _receive(self, interface: UserInterface) -> None:
        """Show what arrives, until logout.

        Raises:
            ChatProtocolError: The connection is lost for good.
        """
        lost = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._receive_notices, interface)
            if self._client.labels:
                tasks.start_soon(self._compare_groups, interface)
            try:
                await self._receive_messages(interface, tasks)
            except ChatProtocolError as error:
                # Raised below, when the notices that came before it are shown.
                lost = error
        if lost is not None:
            raise lost

    async def _receive_messages(self, interface: UserInterface, tasks: TaskGroup) -> None:
        async for item in self._client.items():
            match item:
                case Message(sender, _, group):
                    self.vocabulary.users.add(sender)
                    if sender == self._client.name:
                        # It has come back, so the server has handled it.
                        await self._show_line(interface)
                    source = user = Recipient(sender)
                    if group is not None:
                        source = Recipient(group, group=True)
                        self.vocabulary.groups.add(group)
                        self._own_groups.add(group)
                    self.last_message = LastMessage(user, source)
                    await interface.show(OutputLine.received(item, self._client.name))
                case Added(group, _, by):
                    self.vocabulary.users.add(by)
                    self.vocabulary.groups.add(group)
                    self._own_groups.add(group)
                    await interface.show(OutputLine.added(item))
                case Disconnected():
                    self.is_connected = False
                    await interface.show(OutputLine.info(format_disconnected(item)))
                case Reconnected():
                    self.is_connected = True
                    self._loss = None
                    self._confirms = self._client.labels
                    # What waited for the connection is on its way.
                    self._may_be_sent = True
                    self._retry_until = anyio.current_time() + RETRY_TIME
                    await interface.show(OutputLine.info(format_reconnected(item)))
                    if self._confirms:
                        tasks.start_soon(self._compare_groups, interface)

    async def _receive_notices(self, interface: UserInterface) -> None:
        while True:
            try:
                notice = await self._client.receive_notice()
            except ChatProtocolError:
                # This client has logged out, or `_receive_messages` raises the same.
                return
            await interface.show(OutputLine.notice(notice))

    async def _compare_groups(self, interface: UserInterface) -> None:
        """Ask which groups this user is in, and tell which of those before are gone."""
        before = list(self._own_groups)
        try:
            names = await self._client.groups()
        except ChatProtocolError:
            # There is another outage, or the list is too long.
            return
        self.vocabulary.groups.fill(names)
        gone = [name for name in before if name not in names]
        for name in gone:
            self._own_groups.pop(name, None)
        self._own_groups.fill(names)
        if gone:
            text = f"these groups are gone, or you are not in them any more: {_join(gone)}"
            await interface.show(OutputLine.info(f"{text}; /group makes one again"))

    async def _execute_all(self, interface: UserInterface) -> None:
        """Execute what the user types, one line after the other.

        Raises:
            ConnectionLostError: The user has quit, and the server does not answer.
        """
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._limit_end, interface, scope)
                async for text in interface.read():
                    if not await self._execute_lines(text, interface):
                        break
                tasks.cancel_scope.cancel()
        if scope.cancelled_caught:
            raise _not_confirmed()

    async def _limit_end(self, interface: UserInterface, scope: anyio.CancelScope) -> None:
        """Cancel a scope when the user has quit and nothing is executed any more."""
        await interface.wait_until_ended()
        executed = -1
        while executed != self._executed:
            executed = self._executed
            await anyio.sleep(FLUSH_TIMEOUT)
        scope.cancel()

    async def _execute_lines(self, text: str, interface: UserInterface) -> bool:
        """Execute a line, or several that were pasted.

        Returns:
            Whether to go on: false when the user wants to quit.
        """
        try:
            commands = parse_lines(text, self._recipient, self.last_message)
        except LocalProtocolError as error:
            await interface.show(OutputLine.error(visible(str(error))))
            return True
        lines = text.split("\n")
        self._waiting.extend(zip(lines, commands, strict=False))
        while self._waiting:
            line, parsed = self._waiting.popleft()
            if parsed is SimpleCommand.QUIT:
                return False
            if isinstance(parsed, Send | Broadcast | Group | Leave):
                self._current = line
            await self._execute(parsed, interface)
            self._executed += 1
        return True

    async def _execute(self, parsed: ParsedInput, interface: UserInterface) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._show_progress, interface)
            try:
                await self._execute_parsed(parsed, interface)
            except LocalProtocolError as error:
                self._current = None
                await interface.show(OutputLine.error(visible(str(error))))
            except ChatProtocolError as error:
                # When the connection is lost for good, `_receive_messages` raises the same.
                if not isinstance(error, ConnectionLostError | RemoteProtocolError):
                    await interface.show(OutputLine.error(visible(str(error))))
                if self._current is not None and self._may_be_sent:
                    self._loss = _not_confirmed() if isinstance(error, ChatTimeoutError) else error
                await self._show_unsent(interface)
            tasks.cancel_scope.cancel()
        self.is_waiting = False

    async def _show_progress(self, interface: UserInterface) -> None:
        """Show what was sent if there is no answer so far, and then that the program waits."""
        await anyio.sleep(SHOW_DELAY)
        if self.is_connected:
            await self._show_line(interface)
        await anyio.sleep(max(0.0, WAIT_INFO_DELAY - SHOW_DELAY))
        self.is_waiting = True
        text = "no answer from the server so far: waiting"
        if not self.is_connected:
            text = "there is no connection: waiting until it is back"
        await interface.show(OutputLine.info(text))

    async def _show_line(self, interface: UserInterface) -> None:
        """Show what was sent, unless it is shown already."""
        line, self._unshown = self._unshown, None
        if line is not None:
            with anyio.CancelScope(shield=True):
                await interface.show(line)

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
            case Login(name):
                await interface.show(await self._rename(name))
            case _:
                await self._send(parsed, interface)

    async def _rename(self, name: str) -> OutputLine:
        """Log in under another name, but warn of a name that somebody else has.

        Returns:
            What to show for it.
        """
        shown = visible_name(name)
        if name not in (self._warned_of, self._client.name) and await self._is_in_use(name):
            self._warned_of = name
            return OutputLine.error(
                f"somebody else is {shown}, and gets what is sent to that name:"
                f" to take it all the same, type /nick {shown} again"
            )
        self._warned_of = None
        await self._client.login(name)
        # Membership goes by name.
        self._own_groups.clear()
        return OutputLine.info(f"you are {shown}")

    async def _is_in_use(self, name: str) -> bool:
        """Whether somebody is logged in under a name, if the server says so."""
        if not self._confirms:
            return False
        try:
            # The login will send the same to all who have the name. Clients do not show it.
            await self._client.send(name, PING_PREFIX, confirm=True)
        except (NotSupportedError, RequestRefusedError):
            return False
        return True

    async def _send(
        self, command: Send | Broadcast | Group | Leave, interface: UserInterface
    ) -> None:
        """Send a command to the server, and show it when the server has handled it."""
        self._line = self._unshown = self._describe(command)
        try:
            await self._transmit(command, interface)
        except LocalProtocolError:
            self._unshown = None
            raise
        except RequestRefusedError as error:
            self._current = self._unshown = None
            await interface.show(self._line.failed())
            await interface.show(OutputLine.error(visible(str(error))))
        else:
            self._current = self._loss = None
            await self._show_line(interface)
            self._note(command)

    async def _transmit(
        self, command: Send | Broadcast | Group | Leave, interface: UserInterface
    ) -> None:
        """Send a command, and wait until the server has handled it.

        After an outage, try again for some time what is for a user who is not back yet.

        Raises:
            RequestRefusedError: The server refuses it.
        """
        is_first = True
        while True:
            try:
                await self._confirmed(command)
            except RequestRefusedError as error:
                left = self._retry_until - anyio.current_time()
                if error.code != ErrorCode.NO_SUCH_USER or left <= 0:
                    raise
            else:
                return
            self._may_be_sent = False
            if is_first and isinstance(command, Send):
                to = Recipient(command.to)
                text = f"{to} is not back yet: trying again for {left:.0f} s"
                await interface.show(OutputLine.info(text))
            is_first = False
            await anyio.sleep(RETRY_INTERVAL)

    async def _confirmed(self, command: Send | Broadcast | Group | Leave) -> None:
        # Without a connection, nothing is sent before there is one: see `_receive_messages`.
        confirm = self._confirms
        self._may_be_sent = confirm and self.is_connected
        try:
            match command:
                case Send(to, data):
                    await self._client.send(to, data, confirm=confirm)
                case Broadcast(group, data):
                    await self._client.broadcast(group, data, confirm=confirm)
                case Group(name, members):
                    await self._client.group(name, members, confirm=confirm)
                case Leave(name):
                    await self._client.leave(name, confirm=confirm)
                case _:
                    assert_never(command)
        except NotSupportedError:
            # After an outage, another server may be there.
            return
        if not confirm:
            self._may_be_sent = True
            await self._client.flush()

    def _describe(self, command: Send | Broadcast | Group | Leave) -> OutputLine:
        """What to show for a command. Its names are remembered for Tab."""
        match command:
            case Send(to):
                self._remember(Recipient(to))
                return OutputLine.sent(command)
            case Broadcast(name):
                self._remember(Recipient(name, group=True))
                return OutputLine.sent(command)
            case Group(name, members):
                group = Recipient(name, group=True)
                self._remember(group)
                for member in members:
                    self._remember(Recipient(member))
                return OutputLine.info(f"asked for {group} of {_join(members)}")
            case Leave(name):
                text = f"asked to leave {Recipient(name, group=True)}"
                if f"{self._client.name} {name}" in self._made_groups:
                    # Section 4 of protocol.md: BROADCAST by someone not a member.
                    text += "; you made it, so you can send to it while others are in it"
                return OutputLine.info(text)
            case _:
                assert_never(command)

    def _note(self, command: Send | Broadcast | Group | Leave) -> None:
        """Note what the server has executed."""
        match command:
            case Group(name, members):
                self._made_groups.add(f"{self._client.name} {name}")
                if self._client.name in members:
                    self._own_groups.add(name)
            case Leave(name):
                self._own_groups.pop(name, None)
            case _:
                pass

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
                self._own_groups.fill(names)
                return OutputLine.info(f"your groups: {_join(names)}")
            case _:
                assert_never(request)

    async def _show_unsent(self, interface: UserInterface, *others: str) -> None:
        """Show what becomes of the current line, and other lines that stay unsent."""
        current, lines = self._current, list(others)
        self._current = self._unshown = None
        with anyio.CancelScope(shield=True):
            if current is not None and self._may_be_sent:
                await interface.show(OutputLine.error(f"this may be lost: {self._line}"))
            elif current is not None:
                lines.insert(0, current)
            for line in filter(str.strip, lines):
                await interface.show(OutputLine.error(f"this is not sent: {visible(line)}"))

    def _remember(self, recipient: Recipient) -> None:
        names = self.vocabulary.groups if recipient.group else self.vocabulary.users
        names.add(recipient.name)


def _join(names: Sequence[str]) -> str:
    """Join names to one line, safe to show, with a comma and a space between them."""
    return ", ".join(map(visible_name, names)) or "none"


def _not_confirmed() -> ConnectionLostError:
    return ConnectionLostError("the server has not confirmed the last messages in time")
