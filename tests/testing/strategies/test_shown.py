"""chatproto.testing.strategies: what Hypothesis prints is what a person would have written."""

import re
from random import Random

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chatproto import Event, LineLimits, Message, Ping, Send, testing

from ..searching import REACH, SHRINK, skip_if_old


@pytest.fixture(autouse=True)
def _new_enough() -> None:
    skip_if_old()


STRATEGIES: dict[str, SearchStrategy[object]] = {
    **{
        name: getattr(testing, name)()
        for name in testing.__all__
        if name.islower() and name not in ("chunkings", "judge", "logouts")
    },
    "chunkings": testing.chunkings(b"CHAT/1.0 SEND a hi\n"),
    "Ping": st.from_type(Ping),
    "LineLimits": st.from_type(LineLimits),
}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
def test_values_are_shown_and_not_how_they_came_about(strategy: SearchStrategy[object]) -> None:
    simplest = repr(find(strategy, lambda _: True, settings=SHRINK))

    @settings(REACH, max_examples=100)
    @given(st.data())
    def fail(draw: st.DataObject) -> None:
        assert repr(draw.draw(strategy)) == simplest

    with pytest.raises(AssertionError) as caught:
        fail()
    notes = "".join(caught.value.__notes__)
    assert "Draw 1: " in notes
    assert not re.search(r"lambda|\b_\w", notes), notes


@pytest.mark.parametrize("seed", range(2))
def test_what_does_not_matter_is_left_out(seed: int) -> None:
    """Hypothesis can take a line or an event out of a list only if it consists of few choices."""
    free, random = settings(SHRINK, derandomize=False), Random(seed)
    events: list[Event] = find(
        st.lists(testing.events()),
        lambda events: sum(isinstance(event, Send) for event in events) == 2,
        settings=free,
        random=random,
    )
    assert events == [Send("a", b"")] * 2
    messages = find(
        st.lists(st.from_type(Message)),
        lambda messages: any(message.group for message in messages),
        settings=free,
        random=random,
    )
    assert messages == [Message("a", b"", "a")]
    stream = find(testing.streams(), lambda stream: b"SEND" in stream, settings=free, random=random)
    assert stream.count(b"\n") <= 1
