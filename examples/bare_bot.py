"""A bot on a bare socket: `ChatConnection` alone knows the protocol.

    python examples/bare_bot.py 127.0.0.1 3333

It tells whoever writes to `bare` how many octets that was. Ctrl-C ends it.
"""

import socket
import sys

from chatproto import SERVER_NAME, ChatConnection, Login, Receive, Role, Send, State, visible


def run(host: str, port: int) -> None:
    """Answer until the server closes the connection."""
    link = ChatConnection(Role.CLIENT)
    with socket.create_connection((host, port)) as sock:
        sock.sendall(link.send(Login("bare")) + link.send(Send("bare", b"am I in?")))
        while link.state is not State.CLOSED:
            data = sock.recv(65536)
            for event in link.receive_data(data) if data else link.receive_eof():
                match event:
                    case Receive("bare"):
                        # What a client says to itself comes back, once it is logged in.
                        print("logged in as bare", flush=True)
                    case Receive(sender, text) if sender != SERVER_NAME:
                        sock.sendall(link.send(Send(sender, b"%d octets" % len(text))))
                    case _:
                        print(visible(str(event)), flush=True)


if __name__ == "__main__":
    try:
        run(sys.argv[1], int(sys.argv[2]))
    except KeyboardInterrupt:
        print("interrupted")
    except OSError as error:
        sys.exit(f"bare_bot: {error}")
