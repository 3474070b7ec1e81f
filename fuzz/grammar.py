"""A slow reader of CHAT/1.0, written straight from sections 1 and 4 of docs/protocol.md.

It shares no code with `chatproto.wire`, takes one line after another, and does nothing to be fast.
So it is easy to compare with the grammar, and the reader of the package is compared with it.
"""

import unicodedata
from dataclasses import dataclass
from typing import Final, TypeAlias

Words: TypeAlias = tuple[str | bytes, ...]
"""A line that is valid: the command, its names, and the data if it has any."""

# The property White_Space of Unicode (PropList.txt).
WHITE_SPACE: Final = {
    *map(chr, range(0x09, 0x0E)),
    *map(chr, range(0x2000, 0x200B)),
    *"\x20\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000",
}


@dataclass(frozen=True, slots=True)
class Bad:
    """A line that must not be executed."""

    code: str
    """Why not: a code of section 3."""
    line: bytes
    """The line without its end; of a line that is too long, the first bytes."""


Read: TypeAlias = Words | Bad


def parse(line: bytes) -> Read:
    """Read one line of any length.

    Args:
        line: The line, its LF included.
    """
    # line = "CHAT/1.0" SP command [CR] LF
    body = line.removesuffix(b"\n").removesuffix(b"\r")
    if body.endswith(b"\r"):
        return Bad("MALFORMED", body)
    version, space, command = body.partition(b" ")
    if version != b"CHAT/1.0":
        is_other = version.startswith(b"CHAT/") and is_visible(version.removeprefix(b"CHAT/"))
        return Bad("UNSUPPORTED_VERSION" if is_other else "MALFORMED", body)
    if not space:
        return Bad("MALFORMED", body)
    word, space, rest = command.partition(b" ")
    arguments = rest if space else None
    match word:
        case b"LOGOUT":
            return ("LOGOUT",) if arguments is None else Bad("MALFORMED", body)
        case b"LOGIN" | b"GROUP" if arguments is not None:
            # LOGIN SP name, GROUP SP name *(SP name)
            names = arguments.split(b" ")
            if len(names) > 1 and (word == b"LOGIN" or b"" in names):
                return Bad("MALFORMED", body)
            if not all(map(is_name, names)):
                return Bad("BAD_NAME", body)
            if any(name.startswith(b"*") for name in names):
                return Bad("NAME_RESERVED", body)
            return word.decode(), *[name.decode() for name in names]
        case b"SEND" | b"BROADCAST" | b"RECEIVE" if arguments is not None:
            # SP name SP data
            name, space, data = arguments.partition(b" ")
            if not space or not name:
                return Bad("MALFORMED", body)
            return (word.decode(), name.decode(), data) if is_name(name) else Bad("BAD_NAME", body)
        case b"LEAVE" if arguments is not None:
            # SP name [SP *data-byte]
            name, space, _ = arguments.partition(b" ")
            if space and not name:
                return Bad("MALFORMED", body)
            return ("LEAVE", name.decode()) if is_name(name) else Bad("BAD_NAME", body)
        case b"LOGIN" | b"GROUP" | b"SEND" | b"BROADCAST" | b"RECEIVE" | b"LEAVE":
            return Bad("MALFORMED", body)
        case _:
            return Bad("UNSUPPORTED_COMMAND" if is_visible(word) else "MALFORMED", body)


def is_name(raw: bytes) -> bool:
    """1 to 64 bytes of UTF-8, no white space and no control characters."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return False
    return 1 <= len(raw) <= 64 and not any(
        char in WHITE_SPACE or unicodedata.category(char) == "Cc" for char in text
    )


def is_visible(raw: bytes) -> bool:
    """Whether a word is visible ASCII and nothing else."""
    return bool(raw) and all(0x21 <= byte <= 0x7E for byte in raw)


@dataclass(slots=True)
class Reader:
    """Reads what one side sends on one connection, from its first line to its end."""

    from_client: bool
    """Which side that is."""
    max_line: int
    """The longest line in bytes, its LF included."""
    bad_lines: int
    """After how many bad lines in a row the connection is closed."""
    logged_in: bool = False
    """Whether there was a LOGIN."""
    closed: bool = False
    """Whether nothing more is read: after LOGOUT, and after too many bad lines."""
    bad: int = 0
    """How many bad lines in a row there were."""

    def read(self, line: bytes) -> Read | None:
        """Read one line, its LF included; at the end of the stream, what comes after the last LF.

        Returns:
            The words, or what is wrong with it; None if there is nothing, or it is not read.
        """
        if self.closed or not line:
            return None
        read = self._judge(line)
        if isinstance(read, Bad):
            # A stream that ends inside a line ends anyway.
            self.bad += read.code != "TRUNCATED"
            self.closed = self.bad >= self.bad_lines
        else:
            self.bad = 0
            self.logged_in |= read[0] == "LOGIN"
            self.closed = read[0] == "LOGOUT"
        return read

    def _judge(self, line: bytes) -> Read:
        is_whole = line.endswith(b"\n")
        # A line without an end is too long once no LF can end it in time.
        if len(line) > self.max_line or (not is_whole and len(line) == self.max_line):
            return Bad("LINE_TOO_LONG", line[: self.max_line])
        if not is_whole:
            return Bad("TRUNCATED", line)
        read = parse(line)
        if isinstance(read, Bad):
            return read
        body = line.removesuffix(b"\n").removesuffix(b"\r")
        if (read[0] != "RECEIVE") is not self.from_client:
            return Bad("WRONG_DIRECTION", body)
        if self.from_client and not self.logged_in and read[0] not in ("LOGIN", "LOGOUT"):
            return Bad("NOT_LOGGED_IN", body)
        return read


def read_stream(stream: bytes, reader: Reader) -> list[Read]:
    """Read a whole stream.

    Returns:
        What it says, line by line, up to where the connection is closed.
    """
    *lines, rest = stream.split(b"\n")
    reads = [reader.read(line) for line in [*(each + b"\n" for each in lines), rest]]
    return [read for read in reads if read is not None]
