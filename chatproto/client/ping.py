"""Pings: messages that a client sends to itself."""

from typing import Final

from ..wire.errors import ChatProtocolError

PING_PREFIX: Final = b"\0chatproto echo "
"""The data of each ping starts with this. A client shows no message that starts with it."""


class Ping:
    """A message that a client has sent to itself, to see it come back (protocol.md, section 3).

    It is pending until `done`.

    Args:
        name: The name that it was sent to, and will come from.
        data: The message's data.
        login: Whether a LOGIN under that name was sent just before it.
        heartbeat: Whether it is a heartbeat: no caller waits for it.
        sent_before: How many commands had been reported as sent before it.
    """

    __slots__ = ("awaited", "data", "done", "error", "heartbeat", "login", "name", "sent_before")

    def __init__(
        self,
        name: str,
        data: bytes,
        *,
        login: bool = False,
        heartbeat: bool = False,
        sent_before: int = 0,
    ) -> None:
        self.name: str = name
        self.data: bytes = data
        self.login: bool = login
        self.heartbeat: bool = heartbeat
        self.sent_before: int = sent_before
        self.awaited: bool = not heartbeat
        """Whether a caller waits for it."""
        self.done: bool = False
        """Whether it has come back, or never will."""
        self.error: ChatProtocolError | None = None
        """Why it will not come back; None while it is pending, and after it has come back."""

    def finish(self, error: ChatProtocolError | None = None) -> None:
        """Set `done`.

        Args:
            error: Why the ping will not come back; None when it has.
        """
        self.done, self.error = True, error
