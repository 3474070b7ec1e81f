"""What the targets read: bytes that say who sends what, and the first ones, from the transcripts.

An input is a list of records with `END` between them. In each, the first byte says what happens and
to whom, and the rest is what is sent. So all bytes are an input, a small change of an input is a
small change of what happens, and the lines stand in it as they are on the wire.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from chatproto.conformance import Kind, Step, load

END: Final = b"\xfe"
"""Ends a record. It is no part of any UTF-8."""
CLIENTS: Final = 4
"""Connections in an input."""
ACTIONS: Final = 16
"""Kinds of records. The first half of them sends."""


class Record(NamedTuple):
    """One thing that happens."""

    client: int
    """To which connection."""
    action: int
    """What: a number less than `ACTIONS`."""
    data: bytes
    """What is sent, or more about the action."""

    @property
    def sends(self) -> bool:
        """Whether the connection sends `data`."""
        return self.action < ACTIONS // 2

    @property
    def number(self) -> int:
        """The first byte of `data`."""
        return self.data[0] if self.data else 0


def split(data: bytes) -> tuple[int, list[Record]]:
    """Split an input.

    Returns:
        Its first byte, which chooses the settings, and its records.
    """
    records = [
        Record(each[0] % CLIENTS, each[0] // CLIENTS % ACTIONS, each[1:])
        for each in data[1:].split(END)
        if each
    ]
    return data[0] if data else 0, records


def join(settings: int, records: Iterable[Record]) -> bytes:
    """Make an input."""
    each = (bytes([record.action * CLIENTS + record.client]) + record.data for record in records)
    return bytes([settings]) + END.join(each)


def cut(data: bytes, number: int) -> list[bytes]:
    """Cut bytes into pieces of one size, which a number chooses; 0 leaves them whole."""
    size = number or len(data) or 1
    return [data[at : at + size] for at in range(0, len(data), size)]


def transcripts() -> Iterator[list[tuple[str, bool, bytes]]]:
    """The transcripts: for each of them, who sends or gets what."""
    for transcript in load().transcripts:
        yield [
            (step.client, step.kind in (Kind.LOGIN, Kind.WRITE), data)
            for step in transcript.steps
            if (data := _lines(step))
        ]


def _lines(step: Step) -> bytes:
    """What a client sends or gets in a step; nothing if the step is about something else."""
    if step.kind is Kind.LOGIN:
        return b"CHAT/1.0 LOGIN %b\n" % step.data
    return step.data if step.kind in (Kind.WRITE, Kind.READ, Kind.UNORDERED) else b""


def beginnings(target: str) -> Iterator[bytes]:
    """Inputs to begin with, for one of the targets."""
    for transcript in transcripts():
        clients: dict[str, int] = {}
        records: list[Record] = []
        for name, sends, data in transcript:
            client = clients.setdefault(name, len(clients)) % CLIENTS
            # A session gets what clients get.
            if sends is (target != "session"):
                records.append(Record(client, 0, data.replace(END, b"")))
        match target:
            case "connection":
                yield b"\0\0" + b"".join(record.data for record in records)
            case "session":
                yield join(1, records)
            case "noise":
                yield join(len(records), records[:3])
            case "world":
                # They are no lines here, and each takes a while.
                yield bytes(len(records))
            case _:
                yield join(0, records)
