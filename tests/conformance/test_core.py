"""The conformance table against the broker alone, and the transcripts against the table."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from chatproto import ChatBroker

from .transcript import Transcript, load, replay

TRANSCRIPTS = load()


class CoreClient:
    """A connection to a broker that needs no transport."""

    def __init__(self, broker: ChatBroker["CoreClient"]) -> None:
        self._broker = broker
        self._received = bytearray()
        broker.connect(self, "core")

    def write(self, data: bytes) -> None:
        self._broker.receive(self, data)
        self._settle()

    def end(self) -> None:
        self._broker.receive_eof(self)
        self._settle()

    def reset(self) -> None:
        self._broker.disconnect(self)

    def read_line(self) -> bytes:
        line, lf, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        return line + lf

    def _settle(self) -> None:
        while ready := self._broker.take_ready():
            for client in ready:
                data = bytes(self._broker.next_step(client).write)
                client._received += data
                self._broker.sent(client, len(data))
                if self._broker.next_step(client).half_close:
                    self._broker.half_closed(client)
                    # Polite clients close when the server does.
                    self._broker.receive_eof(client)
                if self._broker.next_step(client).close:
                    self._broker.disconnect(client)


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda each: each.name)
def test_transcript(transcript: Transcript) -> None:
    broker: ChatBroker[CoreClient] = ChatBroker(
        policy=transcript.policy, notices=transcript.notices
    )
    replay(transcript, partial(CoreClient, broker))
    assert broker.snapshot().queued == 0
    assert broker.connections == 0
    assert broker.snapshot().users == 0


# These need threads, descriptors or a process: tests/adapters has them for each server.
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
    section = page.read_text(encoding="utf-8").partition("## 4. ")[2]
    table = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][2:]
    labels = {first.removeprefix("| "): last.rstrip(" |")[0] for first, _, last in table}
    assert labels.keys() >= OVER_SOCKETS
    transcripts = {each.row: each.label for each in TRANSCRIPTS if each.row in labels}
    assert transcripts == {row: labels[row] for row in labels.keys() - OVER_SOCKETS}


def test_steps_that_do_not_hold_are_noticed() -> None:
    """The replay itself can fail: on a wrong line, on a missing one, on one too many."""
    sound = next(each for each in TRANSCRIPTS if each.name == "send-to-oneself")
    login, send, receive = sound.steps
    for steps in [
        (login, send),
        (login, receive),
        (login, send, receive, receive),
        (login, send, type(receive)(receive.client, "<", "RECEIVE alice other")),
        (login, send, type(receive)(receive.client, "<|", "")),
    ]:
        broken = replace(sound, steps=steps)
        broker: ChatBroker[CoreClient] = ChatBroker()
        with pytest.raises(AssertionError):
            replay(broken, partial(CoreClient, broker))
