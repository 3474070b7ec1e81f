"""What a client says to itself."""

from typing import Final

from ..wire.errors import ChatProtocolError

ECHO: Final = b"\0chatproto echo "
"""What a client says to itself starts with this, and nothing that does is shown to anybody."""


class Echo:
    """Something that a client has said to itself, to see it come back (protocol.md, section 3).

    Args:
        name: The name that it was said to, and will come from.
        data: What was said.
        login: Whether a LOGIN under that name was said just before.
        said: How much was said before it.
    """

    __slots__ = ("data", "done", "error", "login", "name", "said")

    def __init__(self, name: str, data: bytes, *, login: bool, said: int) -> None:
        self.name = name
        self.data = data
        self.login = login
        self.said = said
        self.done = False
        """Whether it is decided."""
        self.error: ChatProtocolError | None = None
        """What it is decided by, when it is not that it came back."""

    def decide(self, error: ChatProtocolError | None = None) -> None:
        """Have those who wait for it go on."""
        self.done, self.error = True, error
