"""The targets of the guided fuzzer: they find nothing in the transcripts, and planted faults."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from chatproto import ChatHub, ChatSession, Command
from chatproto.server.fast_path import FastPath
from chatproto.server.peer import Peer
from chatproto.wire import codec
from chatproto.wire.line_buffer import LineBuffer
from fuzz import guided
from fuzz.adapter import Finding
from fuzz.inputs import END, Record, beginnings, join, split
from fuzz.targets import TARGETS

SLOW = {"world": 10}
"""How many beginnings of a target are enough here."""


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_wrong_in_the_transcripts(name: str) -> None:
    for data in list(beginnings(name))[: SLOW.get(name)]:
        TARGETS[name](data)


@pytest.mark.parametrize("name", ["connection", "paths", "service", "session", "noise"])
def test_nothing_is_wrong_near_the_transcripts(name: str) -> None:
    random = Random(name)
    first = list(beginnings(name))
    for _ in range(150):
        data = bytearray(random.choice(first))
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(data) + 1)
            data[at : at + random.randint(0, 3)] = random.choice(guided.WORDS)
        TARGETS[name](bytes(data))


# Faults


def lenient(line: bytes) -> Command:
    """Spaces at the end are no part of a line."""
    return decode(line.rstrip(b" "))


decode = codec.decode


def forgetful(self: LineBuffer, data: bytes) -> list[bytes]:
    """Of each piece, a CR at the end is lost."""
    return feed(self, data.removesuffix(b"\r"))


feed = LineBuffer.feed


def careless(self: FastPath, peer: Peer, data: bytes) -> int:
    """Too many messages in a row are taken for delivered."""
    delivered = deliver_run(self, peer, data)
    return data.find(b"\n") + 1 if delivered == 0 and b"nil" in data else delivered


deliver_run = FastPath.deliver_run


def echoing(self: ChatHub[Any], cid: Any, group: str, *, again: bool = False) -> Any:
    """A broadcast comes back to who has sent it."""
    to = audience(self, cid, group, again=again)
    return (*to, cid) if isinstance(to, tuple) and to else to


audience = ChatHub.audience


def gullible(self: ChatSession, _sender: str, _data: bytes) -> None:
    """A ping that anybody sends is taken for the oldest of its own."""
    if self._pings:
        handle_ping(self, self._pings[0].name, self._pings[0].data)


handle_ping = ChatSession._handle_ping


@pytest.mark.parametrize(
    ("name", "place", "fault", "data", "kind"),
    [
        ("connection", "wire.connection.decode", lenient, b"\0\0CHAT/1.0 LOGIN a \n", "read"),
        (
            "connection",
            "wire.line_buffer.LineBuffer.feed",
            forgetful,
            b"\x08\x01CHAT/1.0 SEND b a\rb\n",
            "read",
        ),
        (
            "paths",
            "server.fast_path.FastPath.deliver_run",
            careless,
            join(0, [Record(0, 0, b"CHAT/1.0 SEND nil hi\n" * 3)]),
            "paths",
        ),
        (
            "service",
            "routing.hub.ChatHub.audience",
            echoing,
            join(
                0,
                [
                    Record(0, 0, b"CHAT/1.0 GROUP g ann bob\n"),
                    Record(0, 0, b"CHAT/1.0 BROADCAST g hi\n"),
                ],
            ),
            "service",
        ),
        (
            "session",
            "client.session.ChatSession._handle_ping",
            gullible,
            join(1, [Record(0, 8, b""), Record(0, 0, b"CHAT/1.0 RECEIVE x \0chatproto echo 9\n")]),
            "ping",
        ),
        (
            "noise",
            "server.dispatcher.foreign_protocol",
            lambda _: None,
            join(2, [Record(0, 0, b"x")]),
            "noise",
        ),
    ],
)
def test_a_fault_is_found(
    name: str,
    place: str,
    fault: Callable[..., object],
    data: bytes,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    TARGETS[name](data)
    monkeypatch.setattr(f"chatproto.{place}", fault)
    with pytest.raises(Finding) as found:
        TARGETS[name](data)
    assert found.value.kind == kind


# Inputs, and what runs them again


def test_an_input_and_its_records() -> None:
    records = [Record(3, 15, b"hi\n"), Record(0, 0, b"")]
    assert split(join(7, records)) == (7, records)
    # All bytes are an input.
    assert split(b"") == (0, [])
    assert split(b"\1" + END + END) == (1, [])


def test_a_failure_is_made_small(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "connection-1"
    path.write_bytes(b"\0\0hello\nCHAT/1.0 LOGIN alice \nCHAT/1.0 LOGOUT\n")
    monkeypatch.setattr("sys.argv", ["guided", "connection", "--replay", str(path)])
    assert guided.main() == 0
    monkeypatch.setattr("chatproto.wire.connection.decode", lenient)
    assert guided.main() == 1
    smallest = capsys.readouterr().out.splitlines()[1]
    # The first two bytes are the settings, whatever they are.
    assert smallest == "connection: b'o\\nCHAT/1.0 LOGIN e \\n'"


def test_the_names_are_those_of_the_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuple(TARGETS) == guided.NAMES
    monkeypatch.setattr("sys.argv", ["guided", "conection"])
    with pytest.raises(SystemExit):
        guided.main()
