"""What a client receives, and the encoding of what it sends."""

from dataclasses import dataclass
from typing import TypeAlias, final

from ..wire.errors import ChatProtocolError, ErrorCode, LocalProtocolError
from ..wire.events import BytesLike


@final
@dataclass(frozen=True, slots=True)
class Message:
    """A message to this client, or to a group that it is a member of."""

    sender: str
    """Who sent it. How sure that is depends on how the server checks logins."""

    data: bytes
    """The data: any bytes but LF, not ending with CR."""

    group: str | None = None
    """The group that it was sent to. None when it was sent to this client's name, and when the
    server does not say which group it is: see the session's `labels`."""

    @property
    def text(self) -> str:
        """The data, decoded as UTF-8. Bytes that are not UTF-8 become U+FFFD.

        Use `visible` before you show it.
        """
        return self.data.decode(errors="replace")


@final
@dataclass(frozen=True, slots=True)
class Notice:
    """A message from the server itself (protocol.md, section 3)."""

    code: str
    """Why the server refused something. If this library knows the code, it is an `ErrorCode`, which
    also equals the same word as a `str`. It is empty if the notice does not have the usual form."""

    command: str
    """The command that the notice answers; `-` when it answers none."""

    text: str
    """The explanation, for people. Use `visible` before you show it."""


@final
@dataclass(frozen=True, slots=True)
class Added:
    """Somebody has added this client's name to a group (protocol.md, section 5)."""

    group: str
    """The group."""

    member: str
    """The new member: the name of this client."""

    by: str
    """Who has added it."""


@final
@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is lost, and the client is going to connect again."""

    error: ChatProtocolError
    """Why: the error that a client without reconnection would raise."""


@final
@dataclass(frozen=True, slots=True)
class Reconnected:
    """The connection was lost and is back. Messages may have been missed in between.

    If the server was restarted without a file for its groups (`--state`), it does not know any
    group: make yours again.
    """

    downtime: float
    """Seconds without a connection."""


Item: TypeAlias = Message | Added | Disconnected | Reconnected
"""What a client receives, in the order in which it happened."""


def read_notice(data: bytes) -> Notice:
    """Parse the data of a message from the server itself.

    Args:
        data: `ERR`, code, command and text, separated by single spaces; or anything else.
    """
    words = data.decode(errors="replace").split(" ", 3)
    if words[0] != "ERR" or len(words) < 4:
        return Notice("", "-", data.decode(errors="replace"))
    _, code, command, text = words
    return Notice(read_code(code), command, text)


def read_code(code: str) -> str:
    """An `ErrorCode` if this library knows the code; otherwise the code as it is."""
    return ErrorCode(code) if code in ErrorCode.__members__ else code


def encode_data(data: str | BytesLike) -> bytes:
    """The data of a message as bytes: text is encoded as UTF-8, bytes stay as they are.

    Raises:
        LocalProtocolError: MALFORMED, for text with a lone surrogate.
        TypeError: It is neither text nor bytes.
    """
    if not isinstance(data, str):
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        # `bytes(5)` would be five NULs, and `str` of a dict is nothing that others can read.
        hint = "; json.dumps makes a str of it" if isinstance(data, dict | list | tuple) else ""
        raise TypeError(f"data is str or bytes, not {type(data).__name__}{hint}")
    try:
        return data.encode()
    except UnicodeEncodeError:
        text = "text holds no lone surrogate"
        raise LocalProtocolError(ErrorCode.MALFORMED, text) from None
