"""`startup`: the greeting, and the error of a server that cannot start."""

import ssl

import pytest

from chatproto_sync.service.startup import cannot_start, greeting


@pytest.mark.parametrize(
    ("address", "netcat", "openssl"),
    [
        ("127.0.0.1:3333", "127.0.0.1 3333", "-connect 127.0.0.1:3333"),
        ("0.0.0.0:3333", "127.0.0.1 3333", "-connect 127.0.0.1:3333"),
        ("[::]:3333", "::1 3333", "-connect [::1]:3333"),
        ("[::1]:3333", "::1 3333", "-connect [::1]:3333"),
        ("unix:/run/chat", "-U /run/chat", "-unix /run/chat"),
        ("unix:/run/my chat", "-U '/run/my chat'", "-unix '/run/my chat'"),
    ],
)
def test_greeting(address: str, netcat: str, openssl: str) -> None:
    encrypted, identified = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    identified.verify_mode = ssl.CERT_REQUIRED
    for tls, command in (
        (None, f"nc {netcat}"),
        (encrypted, f"openssl s_client -quiet {openssl}"),
        (identified, f"openssl s_client -quiet {openssl} -cert alice.pem -key alice.key"),
    ):
        first, second, third = greeting([address, "[::1]:9"], tls).splitlines()
        assert first == f"Listening on {address}, [::1]:9."
        assert second == f"To talk to it, run   {command}"
        assert third.endswith(" CHAT/1.0 LOGIN alice")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(13, "Permission denied", "[::1]:80"), "listen on [::1]:80: Permission denied"),
        (OSError(2, "No such file", "unix:/a\x1b"), r"listen on unix:/a\x1b: No such file"),
        (OSError(24, "Too many open files"), "start: Too many open files"),
    ],
)
def test_the_error_of_a_server_that_cannot_start(error: OSError, words: str) -> None:
    assert str(cannot_start(error)) == f"can't {words}"
