"""`Server`: each conformance transcript over sockets, once with each kind of server."""

from contextlib import ExitStack

import pytest

from ...conformance.transcript import Transcript, load, replay
from ..servers import SocketClient, Start


@pytest.mark.parametrize("transcript", load(), ids=lambda each: each.name)
def test_transcript(transcript: Transcript, start: Start) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(
            start(port=0, policy=transcript.policy, notices=transcript.notices)
        )
        replay(transcript, lambda: stack.enter_context(SocketClient(server.addresses[0])))
