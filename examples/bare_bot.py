"""A bot on a bare socket, with `ChatConnection` for the protocol.

    python examples/bare_bot.py 127.0.0.1 3333

It answers each message to `bare` with the number of its bytes. Ctrl-C ends it.
"""

import socket
import sys

from chatproto import SERVER_NAME, ChatConnection, Login, Receive, Role, Send, State, visible


def run(host: str, port: int) -> None:
    """Answer until the server closes the connection."""
    connection = ChatConnection(Role.CLIENT)
    with socket.create_connection((host, port)) as sock:
        sock.sendall(connection.send(Login("bare")))
        sock.sendall(connection.send(Send("bare", b"am I logged in?")))
        while connection.state is not State.CLOSED:
            data = sock.recv(65536)
            for event in connection.receive_data(data) if data else connection.receive_eof():
                match event:
                    case Receive("bare"):
                        # A message to oneself comes back when the login was successful.
                        print("logged in as bare", flush=True)
                    case Receive(sender, text) if sender != SERVER_NAME:
                        sock.sendall(connection.send(Send(sender, b"%d bytes" % len(text))))
                    case _:
                        print(visible(str(event)), flush=True)


if __name__ == "__main__":
    try:
        run(sys.argv[1], int(sys.argv[2]))
    except KeyboardInterrupt:
        print("interrupted")
    except OSError as error:
        sys.exit(f"bare_bot: {error}")
