"""`addresses`: addresses for people, and the options of connected sockets."""

import re
import socket
import ssl
import sys

import pytest

from chatproto_sync.sockets.addresses import Endpoint, describe, make_endpoint, prepare


@pytest.mark.parametrize(
    ("address", "family", "words"),
    [
        (("127.0.0.1", 3333), socket.AF_INET, "127.0.0.1:3333"),
        (("::1", 3333, 0, 0), socket.AF_INET6, "[::1]:3333"),
        ("/run/chat", socket.AF_UNIX, "unix:/run/chat"),
        (b"\0abstract", socket.AF_UNIX, "unix:\0abstract"),
        ("", socket.AF_UNIX, "unix"),
    ],
)
def test_describe(address: object, family: int, words: str) -> None:
    assert describe(address, family) == words


def endpoint(host: str, port: int = 3333, ssl: ssl.SSLContext | bool = False) -> Endpoint[object]:
    return make_endpoint(host, port, None, None, ssl, None)


@pytest.mark.parametrize(
    ("url", "port", "words"),
    [
        ("chat://chat.example", 3333, "chat.example:3333"),
        ("chat://chat.example", 3334, "chat.example:3334"),
        ("chat://chat.example:3335", 3333, "chat.example:3335"),
        ("chat://[::1]:3335", 3335, "[::1]:3335"),
    ],
)
def test_a_url_in_place_of_a_host(url: str, port: int, words: str) -> None:
    plain, over_tls = endpoint(url, port), endpoint(url.replace("chat:", "chats:"), port)
    assert (str(plain), str(over_tls)) == (words, words)
    assert (plain.ssl, plain.server_hostname) == (None, None)
    assert over_tls.ssl is not None
    assert over_tls.server_hostname == over_tls.host


def test_a_url_for_tls_takes_a_context() -> None:
    context = ssl.create_default_context()
    assert endpoint("chats://chat.example", ssl=context).ssl is context


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of the options")
def test_a_peer_that_vanishes_is_noticed_after_90_seconds() -> None:
    """In silence by keepalive, otherwise by what it does not acknowledge."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        prepare(client)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        silence, interval, count, unacknowledged = (
            client.getsockopt(socket.IPPROTO_TCP, option)
            for option in (
                socket.TCP_KEEPIDLE,
                socket.TCP_KEEPINTVL,
                socket.TCP_KEEPCNT,
                socket.TCP_USER_TIMEOUT,
            )
        )
        assert silence + interval * count == 90
        assert unacknowledged == 90_000


@pytest.mark.parametrize("host", ["127.0.0.1:3333", "localhost:3333", "[::1]:3333", "/run/chat"])
def test_a_host_with_more_than_a_host(host: str) -> None:
    with pytest.raises(ValueError, match=f"^'{re.escape(host)}' is neither a host name nor an IP"):
        endpoint(host)


@pytest.mark.parametrize("host", ["localhost", "::1", "[::1]", "fe80::1%eth0", "*"])
def test_hosts(host: str) -> None:
    assert endpoint(host).host == host.strip("[]")
