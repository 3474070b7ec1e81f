"""A chat in progress: what is typed is done, and what is heard is shown."""

from collections.abc import AsyncIterator
from typing import Final, Protocol, assert_never

import anyio

from chatproto import (
    Broadcast,
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    Group,
    Leave,
    LocalProtocolError,
    Login,
    Message,
    Reconnected,
    RemoteProtocolError,
    Send,
    visible,
)

from ...client.client import Client
from ...client.time_limit import time_limit
from .lines import Line, heard, noticed, remark, said, trouble
from .parsing import USAGES, Hint, Meaning, Recipient, Speech, TalkTo, Wish, parse
from .vocabulary import Vocabulary

WONDER: Final = 2.0
"""Seconds without an answer after which somebody wonders why."""

_WIDTH: Final = max(len(f"{command} {usage.arguments}") for command, usage in USAGES.items())

HELP: Final = [
    *(
        remark(f"{f'{command} {usage.arguments}':{_WIDTH}}  {usage.meaning}")
        for command, usage in USAGES.items()
    ),
    remark("Other lines go to whom you talk to; // is a slash that they start with."),
    remark("Tab completes, Up goes back, Ctrl-C clears the line, Ctrl-D quits."),
]
"""What `/help` shows."""


class Screen(Protocol):
    """What a conversation is typed and shown on."""

    @property
    def patience(self) -> float | None:
        """Seconds that the server has in the end to confirm what was said last.

        None for as many as any answer may take.
        """
        ...

    def typed(self) -> AsyncIterator[str]:
        """What is typed, as it is: one line, or several that were pasted."""
        ...

    async def show(self, line: Line) -> None:
        """Show a line."""
        ...


class Conversation:
    """What one person does with one client.

    Args:
        client: It reconnects.
        recipient: Who is talked to at first.
    """

    def __init__(self, client: Client[Message | Reconnected], recipient: Recipient | None) -> None:
        self._client = client
        self._recipient = recipient
        self._has_spoken = False
        self.vocabulary = Vocabulary()
        """Knows who has been talked about."""
        if recipient is not None:
            self._meet(recipient)

    @property
    def prompt(self) -> str:
        """Who talks to whom; it is `visible`."""
        name = visible(self._client.name)
        return f"{name}: " if self._recipient is None else f"{name} -> {self._recipient}: "

    async def run(self, screen: Screen) -> None:
        """Go on until nothing more is typed or somebody wants to quit, and log out.

        Args:
            screen: Where.

        Raises:
            ChatProtocolError: There is no connection and will be none, or the server has not
                confirmed what was said last. In a group.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hear, screen)
            try:
                await self._obey_all(screen)
                if self._has_spoken:
                    await self._confirm(screen.patience)
            finally:
                with anyio.CancelScope(shield=True):
                    # The tasks that listen show what has come, and end.
                    await self._client.logout()

    async def _hear(self, screen: Screen) -> None:
        """Show what others say. Here ends a conversation without a connection."""
        lost = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hear_server, screen)
            try:
                await self._hear_people(screen)
            except ChatProtocolError as error:
                # What the server has said before is shown first.
                lost = error
        if lost is not None:
            raise lost

    async def _hear_people(self, screen: Screen) -> None:
        async for item in self._client:
            match item:
                case Message(sender):
                    self.vocabulary.people.meet(sender)
                    await screen.show(heard(item))
                case Reconnected(downtime):
                    text = f"the connection was lost for {downtime:.1f} s and is there again: "
                    await screen.show(remark(f"{text}messages may have been missed"))

    async def _hear_server(self, screen: Screen) -> None:
        while True:
            try:
                notice = await self._client.receive_notice()
            except ChatProtocolError:
                # This side has logged out, or the connection is lost.
                return
            await screen.show(noticed(notice))

    async def _obey_all(self, screen: Screen) -> None:
        async for text in screen.typed():
            for line in text.split("\n"):
                try:
                    meaning = parse(line, self._recipient)
                except LocalProtocolError as error:
                    await screen.show(trouble(visible(str(error))))
                    continue
                if meaning is Wish.QUIT:
                    return
                await self._obey(meaning, screen)

    async def _obey(self, meaning: Meaning, screen: Screen) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_tell_of_waiting, screen)
            try:
                await self._do(meaning, screen)
            except (ConnectionLostError, RemoteProtocolError):
                # The task that listens ends with that.
                pass
            except ChatProtocolError as error:
                await screen.show(trouble(visible(str(error))))
            tasks.cancel_scope.cancel()

    async def _do(self, meaning: Meaning, screen: Screen) -> None:
        match meaning:
            case None | Wish.QUIT:
                pass
            case Hint(text):
                await screen.show(remark(text))
            case Wish.HELP:
                for line in HELP:
                    await screen.show(line)
            case Wish.PING:
                milliseconds = 1000 * await self._client.ping()
                await screen.show(remark(f"to the server and back: {milliseconds:.1f} ms"))
            case TalkTo(recipient):
                self._recipient = recipient
                if recipient is not None:
                    self._meet(recipient)
                await screen.show(remark(f"you talk to {recipient or 'nobody'}"))
            case _:
                await screen.show(await self._say(meaning))

    async def _say(self, speech: Speech) -> Line:
        """Say something to the server.

        Returns:
            What to show for it.
        """
        self._has_spoken = True
        match speech:
            case Send(to, data):
                self._meet(Recipient(to))
                await self._client.send(to, data)
                return said(speech)
            case Broadcast(group, data):
                self._meet(Recipient(group, group=True))
                await self._client.broadcast(group, data)
                return said(speech)
            case Group(name, members):
                recipient = Recipient(name, group=True)
                self._meet(recipient)
                for member in members:
                    self._meet(Recipient(member))
                await self._client.group(name, members)
                return remark(f"asked for {recipient} of {', '.join(map(visible, members))}")
            case Leave(name):
                await self._client.leave(name)
                return remark(f"asked to leave {Recipient(name, group=True)}")
            case Login(name):
                await self._client.login(name)
                return remark(f"you are {visible(name)}")
            case _:
                assert_never(speech)

    def _meet(self, recipient: Recipient) -> None:
        names = self.vocabulary.groups if recipient.group else self.vocabulary.people
        names.meet(recipient.name)

    async def _confirm(self, patience: float | None) -> None:
        """Wait until the server has handled everything."""
        try:
            with time_limit(patience):
                await self._client.flush()
        except ChatTimeoutError:
            text = "the server has not confirmed what was said last"
            raise ConnectionLostError(text) from None


async def _tell_of_waiting(screen: Screen) -> None:
    """Say why nothing happens, once somebody may wonder."""
    await anyio.sleep(WONDER)
    await screen.show(remark("no answer from the server so far: waiting"))
