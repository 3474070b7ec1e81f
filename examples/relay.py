"""A relay between two servers, on asyncio.

    python examples/relay.py 127.0.0.1 3333 127.0.0.1 4444

It is `relay` on both. When alice sends `bob hello` to it on one of them, bob on the other one gets
`alice: hello`, and his answer takes the same way back as `alice hello yourself`. She is told what
could not be delivered: `* bob is not online`. Ctrl-C or SIGTERM ends it. It needs the extra
`anyio`.

A message waits until the one before it is known to be delivered or not. That is slow, and if both
sides say more at once than the clients keep, some of it is reported as late.
"""

import argparse
import signal
import sys
from collections.abc import AsyncIterator

import anyio

from chatproto import ChatProtocolError, Message, Reconnected
from chatproto_anyio import Client, connect


class Side:
    """The relay on one of the servers."""

    def __init__(self, chat: Client[Message | Reconnected]) -> None:
        self.chat = chat
        self._lock = anyio.Lock()

    async def deliver(self, to: str, data: bytes) -> str | None:
        """Send something, and wait for what the server has to say about it.

        Args:
            to: Whom to send it to.
            data: What to send.

        Returns:
            Why it was not delivered, in words for people; None when nothing is known against it.
        """
        # One at a time, so that it is clear what the server's notices are about.
        async with self._lock:
            self.chat.take_notices()
            try:
                await self.chat.send(to, data)
                await self.chat.flush()
            except ChatProtocolError as error:
                return str(error)
            return next((notice.text for notice in self.chat.take_notices()), None)


async def relay(source: Side, target: Side) -> None:
    """Pass on what people on one server say to those on the other."""
    async for item in source.chat:
        # What somebody on the other side wrote to `relay` comes back from its own name.
        if isinstance(item, Reconnected) or item.sender == source.chat.name:
            continue
        to, _, data = item.data.partition(b" ")
        # Complaints look like this. Two relays that pass on each other's would never stop.
        if to.startswith(b"*"):
            continue
        line = b"%b: %b" % (item.sender.encode(), data)
        problem = await target.deliver(to.decode(errors="replace"), line)
        if problem is not None:
            await source.deliver(item.sender, f"* {problem}".encode())


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
