"""`listeners`: opening the sockets that a server listens on."""

import socket

import pytest

from chatproto_sync.sockets.listeners import open_listeners


def test_nothing_stays_open_when_an_address_is_not_available(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    addresses = [("127.0.0.1", port), ("192.0.2.1", port)]
    with monkeypatch.context() as patch:
        patch.setattr(
            socket,
            "getaddrinfo",
            lambda *_, **__: [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", each) for each in addresses
            ],
        )
        with pytest.raises(OSError, match="assign"):
            open_listeners("two.example", port)
    listeners = open_listeners("127.0.0.1", port)
    assert [each.getsockname() for each in listeners.sockets] == [("127.0.0.1", port)]
    listeners.close()
