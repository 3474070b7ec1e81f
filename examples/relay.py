"""A relay between two servers, on asyncio.

    python examples/relay.py 127.0.0.1 3333 127.0.0.1 4444

It logs in as `relay` on both. When alice sends it `bob hello` on one server, bob gets
`alice: hello` on the other. Bob answers in the same way, with `alice hello yourself`. When a
message cannot be delivered, its sender gets the reason: `* bob is not online`. Ctrl-C or SIGTERM
ends the relay. It needs the extra `anyio`.

Each message waits until the server has handled the one before it. That is slow. If both sides send
more than the clients keep, messages arrive late.
"""

import argparse
import signal
import sys
from collections.abc import AsyncIterator

import anyio

from chatproto import ChatProtocolError
from chatproto_anyio import Client, connect


class Side:
    """The relay on one of the servers."""

    def __init__(self, chat: Client) -> None:
        self.chat = chat
        self._lock = anyio.Lock()

    async def deliver(self, to: str, data: bytes) -> str | None:
        """Send a message, and wait until the server has handled it.

        Args:
            to: The recipient.
            data: The message.

        Returns:
            Why it was not delivered, in words for people; None if there was no notice.
        """
        # One at a time, so that it is clear which message a notice is about.
        async with self._lock:
            self.chat.take_notices()
            try:
                await self.chat.send(to, data)
                await self.chat.flush()
            except ChatProtocolError as error:
                return str(error)
            return next((notice.text for notice in self.chat.take_notices()), None)


async def relay(source: Side, target: Side) -> None:
    """Pass messages on from one server to the other."""
    async for message in source.chat:
        # A message to `relay` from the other side comes back, because both have this name. And what
        # is said in a group is not meant for the other side.
        if message.sender == source.chat.name or message.group is not None:
            continue
        to, _, data = message.data.partition(b" ")
        # Such messages are about failures. Two relays would pass them on for ever.
        if to.startswith(b"*"):
            continue
        line = b"%b: %b" % (message.sender.encode(), data)
        problem = await target.deliver(to.decode(errors="replace"), line)
        if problem is not None:
            await source.deliver(message.sender, f"* {problem}".encode())


async def main(source: tuple[str, int], target: tuple[str, int]) -> None:
    """Relay until interrupted."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end, signals, tasks.cancel_scope)
            async with (
                connect(*source, name="relay", reconnect=True) as one,
                connect(*target, name="relay", reconnect=True) as other,
            ):
                print("logged in as", one.name, "on both", flush=True)
                here, there = Side(one), Side(other)
                tasks.start_soon(relay, here, there)
                await relay(there, here)


async def end(signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
    """Cancel everything at the first signal."""
    await anext(signals)
    scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run a relay between two servers.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("other_host")
    parser.add_argument("other_port", type=int)
    arguments = parser.parse_args()
    problem = None
    try:
        anyio.run(
            main,
            (arguments.host, arguments.port),
            (arguments.other_host, arguments.other_port),
        )
    except* ChatProtocolError as group:
        problem = f"relay: {group.exceptions[0]}"
    sys.exit(problem)
