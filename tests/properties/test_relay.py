"""Messages that go the short way have the effect that they have on the long one."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from chatproto import ChatBroker, Limits, testing
from chatproto.server.fast_path import Relay
from chatproto.server.peer import Link

LIMITS = [
    Limits(),
    Limits(max_line=512, high_water=600, queue_bytes=2000, total_queue_bytes=2500, bad_lines=3),
    Limits(max_line=512, high_water=300, queue_bytes=600, drain_rate=1),
]
USERS = ["alice", "bob", "bob", "bücher"]
"""Connection 0 and so on. All are members of g, and nobody of h is there."""

HEADINGS = ["SEND bob ", "SEND alice ", "SEND nobody ", "SEND bücher ", "BROADCAST g ", "SEND *s "]


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[int, bytes | int]]:
    """Who says what, and who takes how much of what is queued."""
    runs = st.builds(
        lambda heading, data: b"".join(
            b"CHAT/1.0 %b%b\n" % (heading.encode(), each) for each in data
        ),
        st.sampled_from(HEADINGS),
        st.lists(testing.data(40) | st.just(b"x" * 300), min_size=1, max_size=12),
    )
    chunk = st.lists(
        runs | runs | testing.valid_lines() | testing.hostile_lines(), min_size=1, max_size=4
    ).map(b"".join)
    who = st.integers(0, len(USERS) - 1)
    said: list[tuple[int, bytes | int]] = []
    for cid, data in draw(st.lists(st.tuples(who, chunk | st.integers(0, 700)), max_size=12)):
        if isinstance(data, int):
            said.append((cid, data))
        else:
            said += [(cid, each) for each in draw(testing.chunkings(data))]
    return said


def outcome(
    limits: Limits, conversation: list[tuple[int, bytes | int]], *, at_once: bool
) -> list[object]:
    """Everything that can be seen from outside.

    Args:
        limits: The broker's.
        conversation: See above.
        at_once: Whether to tell the broker at once what is said until somebody takes something.
    """
    broker: ChatBroker[int] = ChatBroker(limits=limits)
    broker.tick(0.0)
    for cid, name in enumerate(USERS):
        broker.connect(cid, name)
        broker.receive(cid, f"CHAT/1.0 LOGIN {name}\n".encode())
    broker.receive(0, "CHAT/1.0 GROUP g alice bob bücher\n".encode())
    seen: list[object] = []
    talk = groupby(conversation, lambda each: isinstance(each[1], int))
    for number, (_, said) in enumerate(talk):
        broker.tick(number / 10)
        news: list[tuple[int, bytes]] = []
        taken: list[tuple[int, int]] = []
        for cid, data in said:
            if not isinstance(data, int):
                news += [(cid, data)] * broker.reading(cid)
            elif octets := broker.outgoing(cid)[:data]:
                seen.append(octets)
                taken.append((cid, len(octets)))
        if at_once:
            broker.receive_all(news)
            seen.append(broker.sent_all(taken))
        else:
            for cid, octets in news:
                broker.receive(cid, octets)
            seen.append([cid for cid, size in taken if not broker.sent(cid, size)])
        if at_once:
            seen.append(broker.take_outgoing())
        else:
            seen.append([(cid, broker.outgoing(cid)) for cid in broker.take_ready()])
        assert broker.take_ready() == []
        assert broker.take_outgoing() == []
        seen.append([(broker.reading(each), broker.finished(each)) for each in range(len(USERS))])
    seen.append([broker.outgoing(each) for each in range(len(USERS))])
    return [*seen, broker.snapshot(), broker.take_records()]


@given(st.sampled_from(LIMITS), conversations())
@example(LIMITS[1], [(0, b"CHAT/1.0 SEND bob 1\nCHAT/1.0 SEND bob 2\n" * 20), (1, 700)])
def test_both_ways_have_one_effect(
    limits: Limits, conversation: list[tuple[int, bytes | int]]
) -> None:
    fast = outcome(limits, conversation, at_once=True)
    assert outcome(limits, conversation, at_once=False) == fast
    with patch.object(Relay, "deliver", _nothing), patch.object(Relay, "deliver_run", _never):
        assert outcome(limits, conversation, at_once=False) == fast
    with patch.object(Relay, "deliver", _nothing):
        assert outcome(limits, conversation, at_once=True) == fast


def _nothing(relay: Relay, news: Iterable[tuple[int, bytes]]) -> Iterator[tuple[Link, bytes]]:
    return ((relay._links.by_id[cid], data) for cid, data in news)


def _never(*_: object) -> int:
    return 0
