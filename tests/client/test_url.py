"""chatproto.client.url: where a server is, in one word."""

import pytest

from chatproto import ChatURL


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("chat://chat.example", ChatURL("chat.example", None, tls=False)),
        ("chats://chat.example/", ChatURL("chat.example", None, tls=True)),
        ("chats://chat.example:03334", ChatURL("chat.example", 3334, tls=True)),
        ("CHAT://192.0.2.1:65535/", ChatURL("192.0.2.1", 65535, tls=False)),
        ("chats://[2001:db8::1]:1", ChatURL("2001:db8::1", 1, tls=True)),
        ("chat://[fe80::1%eth0]", ChatURL("fe80::1%eth0", None, tls=False)),
        ("chat://bücher.example", ChatURL("bücher.example", None, tls=False)),
    ],
)
def test_urls(text: str, url: ChatURL) -> None:
    assert ChatURL.parse(text) == url


@pytest.mark.parametrize(
    "text",
    [
        "http://chat.example",
        "chat.example",
        "chat:chat.example",
        "chat://",
        "chat://:3333",
        "chat://chat.example:",
        "chat://chat.example:x",
        "chat://chat.example:123456",
        "chat://2001:db8::1",
        "chat://[2001:db8::1",
        "chat://[]",
        "chat://chat.example/tea",
        "chat://chat.example?tls=1",
        "chat://chat.example#tea",
        "chat://chat example",
        " chat://chat.example",
        "chat://chat.example\n",
    ],
)
def test_what_is_no_url_of_a_chat_server(text: str) -> None:
    with pytest.raises(ValueError, match="is not of the form chat://HOST:PORT, or chats"):
        ChatURL.parse(text)


def test_a_url_has_no_user() -> None:
    with pytest.raises(ValueError, match="the user's name stands elsewhere"):
        ChatURL.parse("chat://alice@chat.example")


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_that_does_not_exist(port: int) -> None:
    with pytest.raises(ValueError, match="is not one of 1 to 65535"):
        ChatURL.parse(f"chat://chat.example:{port}")
