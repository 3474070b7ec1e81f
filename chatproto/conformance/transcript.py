"""Transcripts: what each client of a server writes and reads, step by step.

The form is for people; docs/reference/transcripts.md describes it. The files are in `transcripts`,
beside this module.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

MARK: Final = b"-00000"
"""Ends each name in a transcript. Each time that a transcript is played, other digits and letters
take its place, so that no name is in use on the server already. The length stays."""


class Side(Enum):
    """What transcripts check."""

    SERVER = "server"
    CLIENT = "client"


class Kind(Enum):
    """What happens in one step."""

    CONNECT = "connect"
    """The client connects. Any other first step of a client does that too."""
    LOGIN = "login"
    """The client connects, logs in, and waits until the server has handled that."""
    WAIT = "wait"
    """The client waits until the server has handled everything that the client wrote."""
    DISCARD = "discard"
    """The same. What the client has received until then does not matter."""
    WRITE = "write"
    """The client writes bytes."""
    END = "end"
    """The client ends its stream (FIN)."""
    RESET = "reset"
    """The client resets its connection (RST)."""
    PAUSE = "pause"
    """The client reads nothing any more."""
    READ = "read"
    """The client reads one line, which is exactly this."""
    UNORDERED = "unordered"
    """The client reads these lines: those of one sender in this order, senders in any order."""
    NOTICE = "notice"
    """The client reads a notice with this code about this command; nothing if the server sends no
    notices."""
    CLOSED = "closed"
    """The connection ends, and nothing arrives before."""
    DISCARD_CLOSED = "discard-closed"
    """The connection ends. What arrives before does not matter."""


_SIGNS: Final = {
    "+": Kind.LOGIN,
    "=": Kind.WAIT,
    "~": Kind.DISCARD,
    ">": Kind.WRITE,
    ">>": Kind.WRITE,
    ">|": Kind.END,
    ">!": Kind.RESET,
    "||": Kind.PAUSE,
    "<": Kind.READ,
    "<<": Kind.READ,
    "<~": Kind.UNORDERED,
    "<?": Kind.NOTICE,
    "<|": Kind.CLOSED,
    "~|": Kind.DISCARD_CLOSED,
}
_ALONE: Final = {">|", ">!", "||", "<|", "~|"}
_IN_BYTES: Final = {">>", "<<", "<~"}

_STEP = re.compile(r"(\w+)(?:\*(\d+))? ([-+=~<>|!?]+)(?: (.*))?")
_REPEATED = re.compile(r"\{([^{}]+)\*(\d+)\}")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a transcript."""

    client: str
    """Whose step it is: a label, not a name."""
    kind: Kind
    """What happens."""
    data: bytes
    """The bytes, lines or name, each name with `MARK`; of a notice the code, a space and the
    command."""
    times: int
    """How many times the client writes the bytes, one after the other; 1 for other steps."""
    text: str
    """The step as the transcript has it."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """One conversation, and what it shows."""

    name: str
    """A short name: that of the file, without its ending."""
    row: str
    """The row of the table that it belongs to."""
    case: str
    """Which case of the row it shows; empty if the row has only this one."""
    server: str
    """Which servers it is for, if others may do otherwise: those with this setting or policy.
    Empty for all servers."""
    steps: tuple[Step, ...]
    """What happens, in order."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the conformance table."""

    label: str
    """`K` for kept, `F` for fixed, `P` for a policy."""
    text: str
    """What the row is about."""
    unseen: str = ""
    """Why no transcript can show it; empty if there are some."""


@dataclass(frozen=True, slots=True)
class Suite:
    """All rows, and their transcripts."""

    side: Side
    """Which side they check."""
    rows: tuple[Row, ...]
    """The rows, in the order of the table."""
    transcripts: tuple[Transcript, ...]
    """The transcripts, in the order of their names."""

    def of_row(self, row: Row) -> list[Transcript]:
        """The transcripts of a row."""
        return [each for each in self.transcripts if each.row == row.text]

    def vectors(self) -> dict[str, Any]:
        """Everything as values for JSON, for programs in other languages.

        Each character of a step's `data` is one byte, U+0000 to U+00FF.
        """
        return {
            "side": self.side.value,
            "mark": MARK.decode(),
            "rows": [
                {"label": each.label, "row": each.text, "unseen": each.unseen} for each in self.rows
            ],
            "transcripts": [
                {
                    "name": each.name,
                    "row": each.row,
                    "case": each.case,
                    "server": each.server,
                    "steps": [
                        [step.client, step.kind.value, step.data.decode("latin-1"), step.times]
                        for step in each.steps
                    ],
                }
                for each in self.transcripts
            ],
        }


def load(side: Side = Side.SERVER) -> Suite:
    """Read the rows and transcripts that are a part of this package.

    Args:
        side: Which side they check.
    """
    # Imported here: it loads what this package has no other use for.
    from importlib.resources import files

    folder = files("chatproto.conformance") / "transcripts"
    table = (folder / f"{side.value}-rows.txt").read_text(encoding="utf-8")
    rows = tuple(Row(*line.split(" | ")) for line in table.splitlines())
    paths = sorted((folder / side.value).iterdir(), key=lambda path: path.name)
    transcripts = tuple(
        parse_transcript(path.name.removesuffix(".txt"), path.read_text(encoding="utf-8"))
        for path in paths
    )
    return Suite(side, rows, transcripts)


def parse_transcript(name: str, text: str) -> Transcript:
    """Parse a transcript.

    Args:
        name: Its name.
        text: The content of the file.

    Raises:
        ValueError: A line is not a step, or the header lacks the row.
    """
    head, _, body = text.partition("\n\n")
    header = dict(line.split(": ", 1) for line in head.splitlines())
    if "row" not in header:
        raise ValueError(f"{name}: the header has no row")
    steps = tuple(_parse_step(name, line) for line in body.splitlines())
    case, server = header.get("case", ""), header.get("server", "")
    return Transcript(name, header["row"], case, server, steps)


def _parse_step(name: str, line: str) -> Step:
    match = _STEP.fullmatch(line)
    if match is None or match[3] not in _SIGNS or (match[3] in _ALONE and match[4]):
        raise ValueError(f"{name}: not a step: {line!r}")
    client, sign, text = match[1], match[3], match[4] or ""
    kind = Kind.CONNECT if sign == "+" and not text else _SIGNS[sign]
    text = text.replace("°", MARK.decode())
    if sign in _IN_BYTES:
        data = _bytes(text)
    else:
        data = text.replace("␣", " ").encode()
        if kind in (Kind.WRITE, Kind.READ):
            data = b"CHAT/1.0 %b\n" % data
    return Step(client, kind, data, int(match[2] or 1), line)


def _bytes(text: str) -> bytes:
    """Bytes for a text with Python's escapes, and with `{x*9}` for nine times `x`."""
    repeated = _REPEATED.sub(lambda match: match[1] * int(match[2]), text)
    return repeated.encode().decode("unicode_escape").encode("latin-1")
