"""Clients that reconnect, and give up because the server takes too long."""

import socket
import threading

import pytest

from chatproto import Backoff, ConnectionLostError

from ..clients import Connect, Peer, each_client
from ..servers import TIMEOUT


@each_client
def test_a_timeout_of_the_last_attempt_is_no_timeout_of_the_caller(connect: Connect) -> None:
    """Or a loop that takes one for "nothing yet" would spin for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def let_in_once() -> None:
            with Peer(listener.accept()[0]) as peer:
                peer.let_in()

        server = threading.Thread(target=let_in_once)
        server.start()
        # The system takes later connections, but nobody answers them.
        with connect(
            port=listener.getsockname()[1],
            name="alice",
            timeout=0.2,
            reconnect=Backoff(first=0.01, give_up=0.01),
        ) as alice:
            server.join(TIMEOUT)
            with pytest.raises(ConnectionLostError):
                alice.receive(TIMEOUT)
