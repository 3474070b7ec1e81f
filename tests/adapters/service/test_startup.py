"""`startup`: the greeting."""

import pytest

from chatproto_sync.service.startup import greeting


@pytest.mark.parametrize(
    ("address", "command"),
    [
        ("127.0.0.1:3333", "nc 127.0.0.1 3333"),
        ("0.0.0.0:3333", "nc 127.0.0.1 3333"),
        ("[::]:3333", "nc ::1 3333"),
        ("[::1]:3333", "nc ::1 3333"),
        ("unix:/run/chat", "nc -U /run/chat"),
        ("unix:/run/my chat", "nc -U '/run/my chat'"),
    ],
)
def test_greeting(address: str, command: str) -> None:
    first, second, third = greeting([address, "[::1]:9"]).splitlines()
    assert first == f"Listening on {address}, [::1]:9."
    assert second.endswith(f" {command}")
    assert third.endswith(" CHAT/1.0 LOGIN alice")
