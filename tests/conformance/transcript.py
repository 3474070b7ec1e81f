"""Reads transcripts, and replays them with any kind of client."""

import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chatproto import Adding, DuplicateLogin, NameRule, Policy

FOLDER = Path(__file__).parent / "transcripts"

POLICIES = {
    "default": Policy(),
    "reference": Policy.reference(),
    "reject": Policy(duplicate_login=DuplicateLogin.REJECT),
    "replace": Policy(duplicate_login=DuplicateLogin.REPLACE),
    "members": Policy(adding=Adding.MEMBERS),
    "nobody": Policy(adding=Adding.NOBODY),
    "distinct": Policy(names=NameRule.DISTINCT),
}

# The data of a message that a client sends to itself to wait for the server. No transcript contains
# it. Other connections of the same name receive it too; wherever it arrives, it is left out.
BARRIER = b"transcript-barrier"


@dataclass(frozen=True)
class Step:
    client: str
    kind: str
    text: str

    @property
    def data(self) -> bytes:
        """The bytes that the client sends or receives; none if the step is about something else."""
        if self.kind in ("<", ">"):
            return _line(self.text)
        return _bytes(self.text) if self.kind in ("<<", ">>") else b""


@dataclass(frozen=True)
class Transcript:
    name: str
    label: str
    row: str
    case: str
    policy: Policy
    notices: bool
    steps: tuple[Step, ...]


class Client(Protocol):
    """The client's end of a connection to the server under test."""

    def write(self, data: bytes) -> None: ...

    def end(self) -> None:
        """End this half of the stream (FIN)."""

    def reset(self) -> None:
        """Reset the connection (RST)."""

    def read_line(self) -> bytes:
        """The next line with its LF; empty once the server has closed."""
        ...


def load() -> list[Transcript]:
    return [
        _parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.txt"))
    ]


def _parse(name: str, text: str) -> Transcript:
    head, _, body = text.partition("\n\n")
    header = dict(line.split(": ", 1) for line in head.splitlines())
    steps = []
    for line in body.splitlines():
        match = re.fullmatch(r"(\w+) (\+|=|>>|>\||>!|>|<<|<\?|<\||<)(?: (.*))?", line)
        if match is None:
            raise ValueError(f"{name}: not a step: {line!r}")
        steps.append(Step(match[1], match[2], match[3] or ""))
    return Transcript(
        name=name,
        label=header.pop("label"),
        row=header.pop("row"),
        case=header.pop("case", ""),
        policy=POLICIES[header.pop("policy", "default")],
        notices=header.pop("notices", "on") == "on",
        steps=tuple(steps),
    )


class _Player:
    """One client of a transcript."""

    def __init__(self, label: str, client: Client) -> None:
        self.label = label
        self.client = client
        self.gone = False
        self._kept: deque[bytes] = deque()

    def next_line(self) -> bytes:
        if self._kept:
            return self._kept.popleft()
        line = self.client.read_line()
        while BARRIER in line:
            line = self.client.read_line()
        return line

    def wait(self, name: str) -> None:
        """Wait until the server has executed all that this client has written."""
        barrier = BARRIER + self.label.encode()
        self.client.write(b"CHAT/1.0 SEND %b %b\n" % (name.encode(), barrier))
        while barrier not in (line := self.client.read_line()):
            assert line, f"{self.label}: the server closed"
            if BARRIER not in line:
                self._kept.append(line)


def replay(transcript: Transcript, connect: Callable[[], Client]) -> None:
    """Execute each step, and compare what each client receives.

    Args:
        transcript: The steps.
        connect: Makes a client.

    Raises:
        AssertionError: A client receives something else.
    """
    players: dict[str, _Player] = {}
    for step in transcript.steps:
        if step.client not in players:
            players[step.client] = _Player(step.client, connect())
        player = players[step.client]
        match step.kind:
            case ">" | ">>":
                player.client.write(step.data)
            case ">|":
                player.client.end()
            case ">!":
                player.client.reset()
                player.gone = True
            case "=":
                player.wait(step.text)
            case "<" | "<<":
                assert player.next_line() == step.data, step
            case "<?":
                notice = f"CHAT/1.0 RECEIVE *server* ERR {step.text} ".encode()
                assert player.next_line().startswith(notice), step
            case "<|":
                assert player.next_line() == b"", step
                player.gone = True
    for player in players.values():
        if not player.gone:
            player.client.end()
            assert player.next_line() == b"", f"{player.label} received more than is listed"


def _line(text: str) -> bytes:
    return f"CHAT/1.0 {text}\n".replace("␣", " ").encode()


def _bytes(text: str) -> bytes:
    """Bytes for a text with Python's escapes, and with `{x*9}` for nine times `x`."""
    repeated = re.sub(r"\{([^{}]+)\*(\d+)\}", lambda match: match[1] * int(match[2]), text)
    return repeated.encode().decode("unicode_escape").encode("latin-1")
