"""Lets `chatproto check --client` check the client of chatproto_sync.

    python examples/checked_client.py 127.0.0.1 3333

It reads lines of CHAT/1.0 from standard input, the first of which is a LOGIN, and does with the
client what they say. It prints each message that the client receives as the line that it came in.

    chatproto check --client 'python examples/checked_client.py {host} {port}'
"""

import sys
import threading

from chatproto import (
    Broadcast,
    ChatConnection,
    ConnectionLostError,
    Group,
    Leave,
    Login,
    Receive,
    Role,
    Send,
)
from chatproto_sync import Client, connect


def run(host: str, port: int) -> None:
    """Do what the lines say, until the input or the connection ends."""
    # Lines of clients are what a server reads.
    lines = ChatConnection(Role.SERVER)
    match lines.receive_data(sys.stdin.buffer.readline()):
        case [Login(name)]:
            pass
        case _:
            sys.exit("checked_client: the first line is no LOGIN")
    with connect(host, port, name=name, groups=False) as client:
        threading.Thread(target=execute, args=(client, lines), daemon=True).start()
        printer = ChatConnection(Role.SERVER)
        try:
            for message in client:
                sys.stdout.buffer.write(printer.send(Receive(message.sender, message.data)))
                sys.stdout.buffer.flush()
        except ConnectionLostError as error:
            sys.exit(f"checked_client: {error}")


def execute(client: Client, lines: ChatConnection) -> None:
    """Execute the lines of standard input with the client. Log out at the end."""
    for line in sys.stdin.buffer:
        for event in lines.receive_data(line):
            match event:
                case Send(to, data):
                    client.send(to, data)
                case Broadcast(group, data):
                    client.broadcast(group, data)
                case Group(group, members):
                    client.group(group, members)
                case Leave(group):
                    client.leave(group)
                case _:
                    raise ValueError(line)
    client.logout()


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]))
