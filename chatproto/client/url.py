"""URLs of chat servers: `chat://` for TCP, `chats://` for TLS over TCP."""

import re
from dataclasses import dataclass
from typing import Final, Self, final

_FORM: Final = "chat://HOST:PORT, or chats://HOST:PORT for TLS"
_PORT_MAX: Final = 65535
_URL: Final = re.compile(
    r"(chats?)://(\[[^][/\s]+]|[^][:/?#@\s]+)(?::0*([0-9]{1,5}))?/?", re.IGNORECASE
)


@final
@dataclass(frozen=True, slots=True)
class ChatURL:
    """Where a server is, in one word: `chat://chat.example`, `chats://[2001:db8::1]:3334`.

    A URL has no user, no path and no parameters: it says where the server is, and nothing else.
    """

    host: str
    """A host name or an IP address, which has no brackets here."""

    port: int | None
    """The TCP port; None if the URL has none, which stands for the default of CHAT/1.0, 3333."""

    tls: bool
    """Whether it is `chats://`, for a connection with TLS."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a URL.

        Raises:
            ValueError: It is no URL of a chat server. The message says which form that has.
        """
        match = _URL.fullmatch(text)
        if match is None:
            hint = "; the user's name stands elsewhere" if "@" in text else ""
            raise ValueError(f"{text!r} is not of the form {_FORM}{hint}")
        scheme, host, port = match.groups()
        if port is not None and not 0 < int(port) <= _PORT_MAX:
            raise ValueError(f"the port in {text!r} is not one of 1 to {_PORT_MAX}")
        return cls(host.strip("[]"), None if port is None else int(port), scheme.lower() == "chats")
