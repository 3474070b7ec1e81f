"""What can go wrong: the codes that travel in notices, and the exceptions that callers see."""

from copy import copy
from enum import StrEnum
from typing import Self


class ErrorCode(StrEnum):
    """Why a line or a connection was refused (protocol.md, section 3).

    The value is what stands in a notice on the wire, so it never changes once published.
    """

    MALFORMED = "MALFORMED"
    """The line does not follow the grammar."""
    UNSUPPORTED_VERSION = "UNSUPPORTED_VERSION"
    """The line starts with `CHAT/` and a version other than 1.0."""
    UNSUPPORTED_COMMAND = "UNSUPPORTED_COMMAND"
    """The second word is not a command; commands are upper case."""
    LINE_TOO_LONG = "LINE_TOO_LONG"
    """The line, or the RECEIVE that it would become, is too long."""
    BAD_NAME = "BAD_NAME"
    """A name is empty, over 64 bytes, not UTF-8, or has white space or control characters."""
    NAME_RESERVED = "NAME_RESERVED"
    """LOGIN or GROUP uses a name that starts with `*`."""
    NAME_IN_USE = "NAME_IN_USE"
    """Another connection is logged in under that name, or has just taken it over."""
    NOT_LOGGED_IN = "NOT_LOGGED_IN"
    """The command needs a LOGIN first."""
    WRONG_DIRECTION = "WRONG_DIRECTION"
    """Only the other side may send that command."""
    TRUNCATED = "TRUNCATED"
    """The stream ended in the middle of a line."""
    NO_SUCH_USER = "NO_SUCH_USER"
    """Nobody is logged in under the name in a SEND."""
    NO_SUCH_GROUP = "NO_SUCH_GROUP"
    """The group does not exist."""
    GROUP_EXISTS = "GROUP_EXISTS"
    """The group of a GROUP exists already; it stays as it is."""
    NOT_A_MEMBER = "NOT_A_MEMBER"
    """The sender of a BROADCAST or LEAVE is not a member of the group."""
    NOT_ALLOWED = "NOT_ALLOWED"
    """The server's policy does not let this user do that."""

    TOO_MANY = "TOO_MANY"
    """There are too many of something; the words say of what."""
    AUTH_FAILED = "AUTH_FAILED"
    """The server did not accept that the client is who the LOGIN says."""
    SLOW_CONSUMER = "SLOW_CONSUMER"
    """The client did not read what was sent to it."""
    REFUSED = "REFUSED"
    """A rule of this server's operators does not let that through."""
    UNAVAILABLE = "UNAVAILABLE"
    """The servers of a chat of many can't reach one another now."""
    SHUTTING_DOWN = "SHUTTING_DOWN"
    """The server shuts down."""


class ChatProtocolError(Exception):
    """The root of every exception that this package raises on purpose."""

    def copy(self) -> Self:
        """The same error, to be raised once more, maybe in another thread.

        Returns:
            A copy with the same `__cause__` and without a traceback.
        """
        twin = copy(self)
        twin.__cause__ = self.__cause__
        return twin


class ProtocolError(ChatProtocolError):
    """One side broke CHAT/1.0; the subclass says which.

    Args:
        code: Which rule.
        text: What happened, in words for people.
    """

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        """Which rule was broken."""
        self.text = text
        """What happened, in words for people."""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class LocalProtocolError(ProtocolError):
    """This side tried to do something that the protocol does not allow.

    Nothing was sent, and no state has changed.
    """


class RemoteProtocolError(ProtocolError):
    """The peer sent something that the protocol does not allow."""


class ConnectionLostError(ChatProtocolError):
    """The connection could not be made, or is gone. The exception's cause is the system's error.

    Args:
        text: What happened, in words for people.
        code: The server's reason for closing; empty if it gave none.
    """

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text, code)
        self.text = text
        """What happened, in words for people."""
        self.code = code
        """The server's reason for closing: an `ErrorCode` if this library knows it, empty if the
        server gave none."""

    def __str__(self) -> str:
        return self.text


class LoginRefusedError(ChatProtocolError):
    """The server does not accept this client under that name.

    Args:
        code: Why; an `ErrorCode` if this library knows it.
        text: The server's words for people.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        """Why; an `ErrorCode` if this library knows it."""
        self.text = text
        """The server's words for people."""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}" if self.code else self.text


class NotSupportedError(ChatProtocolError):
    """The server does not do what was asked, maybe because it does not know how."""


class RequestRefusedError(ChatProtocolError):
    """The server refuses a request about groups (section 5), or what was sent with `confirm`.

    Args:
        code: Why; an `ErrorCode` if this library knows it.
        text: What that means here, in words for people.
    """

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        """Why; an `ErrorCode` if this library knows it."""
        self.text = text
        """What that means here, in words for people."""

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class ChatTimeoutError(ChatProtocolError, TimeoutError):
    """The operation took longer than the caller wanted to wait."""
