"""A bot with two threads, which needs only the standard library.

    python examples/blocking_bot.py 127.0.0.1 3333 alice

One thread answers the messages `time` and `ping`, which users send to `clock` or to a group with
clock in it. Each answer goes where the message came from. The other thread tells alice once a
minute, or every `--every` seconds, how many answers there were. Ctrl-C logs the bot out.
"""

import argparse
import contextlib
import sys
import threading
import time

from chatproto import ChatProtocolError
from chatproto_sync import Client, connect


class Clock:
    """What the two threads do.

    Args:
        chat: The connection that both use.
    """

    def __init__(self, chat: Client) -> None:
        self._chat = chat
        self._answers = 0

    def answer(self) -> None:
        """Answer until interrupted."""
        with contextlib.suppress(KeyboardInterrupt):
            for message in self._chat:
                match message.data:
                    case b"time":
                        text = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
                    case b"ping":
                        text = "pong"
                    case _:
                        # Two bots that answer everything would never stop.
                        continue
                self._chat.reply(message, text)
                self._answers += 1

    def report(self, to: str, every: float) -> None:
        """Tell a user again and again how many answers there were.

        Args:
            to: The user, who may be offline.
            every: Seconds between two reports.
        """
        # The other thread handles the end of the connection.
        with contextlib.suppress(ChatProtocolError):
            while True:
                time.sleep(every)
                self._chat.send(to, f"answers so far: {self._answers}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run a clock that reports to a user.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("report_to")
    parser.add_argument("--every", type=float, default=60.0)
    arguments = parser.parse_args()
    try:
        with (
            contextlib.suppress(KeyboardInterrupt),
            connect(arguments.host, arguments.port, name="clock") as chat,
        ):
            print("logged in as", chat.name, flush=True)
            clock = Clock(chat)
            threading.Thread(
                target=clock.report, args=(arguments.report_to, arguments.every), daemon=True
            ).start()
            clock.answer()
    except ChatProtocolError as error:
        sys.exit(f"blocking_bot: {error}")
