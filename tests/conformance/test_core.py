"""The transcripts against a broker without a transport, and against the conformance table.

`tests/adapters/server/test_conformance.py` replays them over sockets, once for each kind of server.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from chatproto import ChatBroker

from .transcript import Transcript, load, replay

TRANSCRIPTS = load()


class CoreClient:
    """A client that calls the broker, without a transport between them."""

    def __init__(self, broker: ChatBroker["CoreClient"]) -> None:
        self._broker = broker
        self._received = bytearray()
        broker.connect(self, "core")

    def write(self, data: bytes) -> None:
        self._broker.receive(self, data)
        self._flush()

    def end(self) -> None:
        self._broker.receive_eof(self)
        self._flush()

    def reset(self) -> None:
        self._broker.disconnect(self)

    def read_line(self) -> bytes:
        line, lf, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        return line + lf

    def _flush(self) -> None:
        broker = self._broker
        while ready := broker.take_ready():
            for client in ready:
                data = broker.next_step(client).write
                client._received += data
                broker.sent(client, len(data))
                if broker.next_step(client).half_close:
                    broker.half_closed(client)
                    # Each client ends its half when the server does.
                    broker.receive_eof(client)
                if broker.next_step(client).close:
                    broker.disconnect(client)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda each: each.name)
def test_transcript(transcript: Transcript) -> None:
    broker: ChatBroker[CoreClient] = ChatBroker(
        policy=transcript.policy, notices=transcript.notices
    )
    replay(transcript, partial(CoreClient, broker))
    assert broker.snapshot().queued == 0
    assert broker.connections == 0
    assert broker.snapshot().users == 0


# These need sockets, so their tests are in tests/adapters.
OVER_SOCKETS = {
    "four senders to one recipient",
    "connections coming and going under load",
    "a recipient that does not read",
    "FIN without LOGOUT",
    "accept fails (EMFILE)",
    "asked to stop",
}


def test_every_row_of_the_table_has_a_transcript() -> None:
    page = Path(__file__).parents[2] / "docs" / "protocol.md"
    sections = page.read_text(encoding="utf-8").partition("## 4. ")[2]
    table = [line.split(" | ") for line in sections.splitlines() if line.startswith("| ")]
    labels = {
        first.removeprefix("| "): last.rstrip(" |")[0]
        for first, _, last in table
        if first not in ("| input to the reference server", "| input", "| ---")
    }
    assert labels.keys() >= OVER_SOCKETS
    transcripts = {each.row: each.label for each in TRANSCRIPTS if each.row in labels}
    assert transcripts == {row: labels[row] for row in labels.keys() - OVER_SOCKETS}


def test_replay_fails_where_a_step_does_not_hold() -> None:
    """A line too many, too few, or a wrong one; and an end that does not come."""
    transcript = next(each for each in TRANSCRIPTS if each.name == "send-to-oneself")
    login, send, receive = transcript.steps
    for steps in [
        (login, send),
        (login, receive),
        (login, send, receive, receive),
        (login, send, type(receive)(receive.client, "<", "RECEIVE alice other")),
        (login, send, type(receive)(receive.client, "<|", "")),
    ]:
        broken = replace(transcript, steps=steps)
        broker: ChatBroker[CoreClient] = ChatBroker()
        with pytest.raises(AssertionError):
            replay(broken, partial(CoreClient, broker))
