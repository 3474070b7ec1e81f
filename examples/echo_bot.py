"""An echo bot on asyncio or trio, which reconnects when its server is back.

    python examples/echo_bot.py 127.0.0.1 3333
    python examples/echo_bot.py 127.0.0.1 3333 --backend trio

It sends each message to `echo` back to the sender. It is silent in groups. Ctrl-C ends it. It needs
the extra `anyio`, and trio for the backend `trio`.
"""

import argparse
import sys

import anyio

from chatproto import ChatProtocolError, ChatTimeoutError, Message, Reconnected, visible
from chatproto_anyio import connect


async def main(host: str, port: int) -> None:
    """Answer until interrupted."""
    async with connect(host, port, name="echo", reconnect=True) as chat:
        print("logged in as", chat.name, flush=True)
        async for item in chat.items():
            match item:
                case Reconnected(downtime):
                    print(f"there was no connection for {downtime:.1f} s", flush=True)
                # Another client may have the same name. Messages to it reach both. And in a group,
                # two bots that answer everything would never stop.
                case Message(sender, data, None) if sender != chat.name:
                    try:
                        await chat.send(sender, data)
                    except ChatTimeoutError:
                        # The outage is longer than the timeout. Drop the answer, not the bot.
                        print("no answer for", visible(sender), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run an echo bot.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    arguments = parser.parse_args()
    problem = None
    # Otherwise trio would raise KeyboardInterrupt anywhere, even while a `with` is entered.
    at_checkpoints = {"restrict_keyboard_interrupt_to_checkpoints": True}
    try:
        anyio.run(
            main,
            arguments.host,
            arguments.port,
            backend=arguments.backend,
            backend_options=at_checkpoints if arguments.backend == "trio" else {},
        )
    except* KeyboardInterrupt:
        print("interrupted")
    except* ChatProtocolError as group:
        problem = f"echo_bot: {group.exceptions[0]}"
    sys.exit(problem)
