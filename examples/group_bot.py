"""A bot with a group of its own, which it makes again when the server was restarted.

    python examples/group_bot.py 127.0.0.1 3333 alice bob

It logs in as `teapot`, and makes the group `tea` of itself and the users that you name. It adds
each user who sends it `join` to the group. It answers `kettle` where it was asked, in the group or
in private. Ctrl-C logs the bot out. It needs only the standard library.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence

from chatproto import (
    ChatProtocolError,
    ChatTimeoutError,
    ConnectionLostError,
    Disconnected,
    Message,
    NotSupportedError,
    Reconnected,
    RequestRefusedError,
    visible,
)
from chatproto_sync import Client, connect


def serve_tea(chat: Client, members: Sequence[str]) -> None:
    """Make the group, and answer until interrupted."""
    chat.group("tea", [chat.name, *members])
    for item in chat.items():
        try:
            match item:
                case Disconnected(error):
                    print(visible(str(error)), flush=True)
                case Reconnected(downtime):
                    print(f"there was no connection for {downtime:.1f} s", flush=True)
                    # A server that was restarted may know no groups. Any other says GROUP_EXISTS.
                    chat.group("tea", [chat.name, *members])
                case Message(sender, b"kettle"):
                    chat.reply(item, f"{sender} has put the kettle on")
                case Message(sender, b"join"):
                    chat.reply(item, add(chat, sender))
        except (ChatTimeoutError, ConnectionLostError):
            # An outage has begun, or is longer than the timeout. After it, a `Reconnected` comes.
            print("nobody was told", flush=True)


def add(chat: Client, member: str) -> str:
    """Add a member to the group.

    Returns:
        What to tell them.
    """
    try:
        chat.add("tea", member)
    except (NotSupportedError, RequestRefusedError) as error:
        return str(error)
    return "welcome to tea"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run a bot that serves tea to a group.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("members", nargs="*")
    arguments = parser.parse_args()
    try:
        with (
            contextlib.suppress(KeyboardInterrupt),
            connect(
                arguments.host, arguments.port, name="teapot", reconnect=True, heartbeat=30
            ) as chat,
        ):
            print("logged in as", chat.name, flush=True)
            serve_tea(chat, arguments.members)
    except ChatProtocolError as error:
        sys.exit(f"group_bot: {error}")
