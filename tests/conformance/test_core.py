"""The conformance table against the broker alone, and the transcripts against the table."""

from functools import partial

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
        for client in self._broker.take_ready():
            data = bytes(self._broker.outgoing(client))
            client._received += data
            self._broker.sent(client, len(data))
            if self._broker.finished(client):
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


def test_labels() -> None:
    assert {transcript.label for transcript in TRANSCRIPTS} == {"K", "F", "P"}


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
        broken = Transcript("broken", "K", "", sound.policy, notices=True, steps=steps)
        broker: ChatBroker[CoreClient] = ChatBroker()
        with pytest.raises(AssertionError):
            replay(broken, partial(CoreClient, broker))
