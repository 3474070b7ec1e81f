"""What goes the fast path has the effect that it has on the general path."""

from itertools import groupby

from hypothesis import example, given
from hypothesis import strategies as st

from chatproto import ChatBroker, Limits, testing

LIMITS = [
    Limits(),
    Limits(max_line=512, high_water=600, queue_bytes=2000, total_queue_bytes=2500, bad_lines=3),
    Limits(max_line=512, high_water=300, queue_bytes=600, drain_rate=1),
]
USERS = ["alice", "bob", "bob", "bücher"]
"""Connection 0 and so on. All are members of g, and nobody of h is there."""

BEGINNINGS = [
    "SEND bob ",
    "SEND alice ",
    "SEND nobody ",
    "SEND bücher ",
    "BROADCAST g ",
    "SEND *s ",
]


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[int, bytes | int]]:
    """Who sends what, and who takes how much of what is queued."""
    runs = st.builds(
        lambda beginning, data: b"".join(
            b"CHAT/1.0 %b%b\n" % (beginning.encode(), each) for each in data
        ),
        st.sampled_from(BEGINNINGS),
        st.lists(testing.data(40) | st.just(b"x" * 300), min_size=1, max_size=12),
    )
    chunk = st.lists(
        runs | runs | testing.valid_lines() | testing.hostile_lines(), min_size=1, max_size=4
    ).map(b"".join)
    who = st.integers(0, len(USERS) - 1)
    sent: list[tuple[int, bytes | int]] = []
    for cid, data in draw(st.lists(st.tuples(who, chunk | st.integers(0, 700)), max_size=12)):
        if isinstance(data, int):
            sent.append((cid, data))
        else:
            sent += [(cid, each) for each in draw(testing.chunkings(data))]
    return sent


def outcome(
    limits: Limits,
    conversation: list[tuple[int, bytes | int]],
    *,
    at_once: bool,
    fast_path: bool = True,
) -> list[object]:
    """Everything that can be seen from outside.

    Args:
        limits: The broker's.
        conversation: See above.
        at_once: Whether the broker gets at once all that is sent until somebody takes something.
        fast_path: Whether it has a fast path.
    """
    broker: ChatBroker[int] = ChatBroker(limits=limits, fast_path=fast_path)
    broker.tick(0.0)
    for cid, name in enumerate(USERS):
        broker.connect(cid, name)
        broker.receive(cid, f"CHAT/1.0 LOGIN {name}\n".encode())
    broker.receive(0, "CHAT/1.0 GROUP g alice bob bücher\n".encode())
    seen: list[object] = []
    talk = groupby(conversation, lambda each: isinstance(each[1], int))
    for number, (_, sent) in enumerate(talk):
        broker.tick(number / 10)
        received: list[tuple[int, bytes]] = []
        taken: list[tuple[int, int]] = []
        for cid, data in sent:
            step = broker.next_step(cid)
            if not isinstance(data, int):
                received += [(cid, data)] * step.read
            elif chunk := step.write[:data]:
                seen.append(chunk)
                taken.append((cid, len(chunk)))
        if at_once:
            broker.receive_all(received)
            seen.append(broker.sent_all(taken))
        else:
            for cid, chunk in received:
                broker.receive(cid, chunk)
            seen.append([cid for cid, size in taken if not broker.sent(cid, size)])
        if at_once:
            seen.append(broker.take_outgoing())
        else:
            seen.append([(cid, broker.next_step(cid).write) for cid in broker.take_ready()])
        assert broker.take_ready() == []
        assert broker.take_outgoing() == []
        seen.append([broker.next_step(each) for each in range(len(USERS))])
    return [*seen, broker.snapshot(), broker.take_log_events()]


@given(st.sampled_from(LIMITS), conversations())
@example(LIMITS[1], [(0, b"CHAT/1.0 SEND bob 1\nCHAT/1.0 SEND bob 2\n" * 20), (1, 700)])
def test_both_paths_have_one_effect(
    limits: Limits, conversation: list[tuple[int, bytes | int]]
) -> None:
    fast = outcome(limits, conversation, at_once=True)
    assert outcome(limits, conversation, at_once=False) == fast
    assert outcome(limits, conversation, at_once=False, fast_path=False) == fast
    assert outcome(limits, conversation, at_once=True, fast_path=False) == fast
