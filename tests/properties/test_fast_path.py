"""chatproto.server.fast_path: it has the same effect as the general path."""

from itertools import groupby

from hypothesis import assume, example, given
from hypothesis import strategies as st

from chatproto import ChatBroker, Limits, testing
from chatproto.server.work import ROUND

LIMITS = [
    Limits(),
    Limits(max_line=512, high_water=600, queue_bytes=2000, total_queue_bytes=2500, bad_lines=3),
    Limits(max_line=512, high_water=300, queue_bytes=600, drain_rate=1),
]
USERS = ["alice", "bob", "bob", "bücher"]
"""The names of connections 0 to 3. All are members of g."""

BEGINNINGS = [
    "SEND bob ",
    "SEND alice ",
    "SEND nobody ",
    "SEND bücher ",
    "BROADCAST g ",
    "SEND *s ",
]
REQUESTS = st.sampled_from([b"on", b"on", b"off", b"list", b"members g", b"add g zoe"]).map(
    b"CHAT/1.0 SEND *groups* %b\n".__mod__
)


RUNS = st.builds(
    lambda beginning, data: b"".join(
        b"CHAT/1.0 %b%b\n" % (beginning.encode(), each) for each in data
    ),
    st.sampled_from(BEGINNINGS),
    st.lists(testing.data(40) | st.just(b"x" * 300), min_size=1, max_size=12),
)
# A bad line of many spaces is more work than one round does. What comes behind it waits then, and
# only where connections are served at once: one by one, each begins a round.
HOSTILE = testing.hostile_lines().filter(lambda line: line.count(b" ") < 100)
DATA = st.lists(
    RUNS | RUNS | REQUESTS | testing.valid_lines() | HOSTILE, min_size=1, max_size=4
).map(b"".join)
STEPS = st.lists(st.tuples(st.integers(0, len(USERS) - 1), DATA | st.integers(0, 700)), max_size=12)


@st.composite
def conversations(draw: st.DrawFn) -> list[tuple[int, bytes | int]]:
    """Connections, each with data that it sends or a number of bytes of its queue to write."""
    conversation: list[tuple[int, bytes | int]] = []
    for cid, step in draw(STEPS):
        if isinstance(step, int):
            conversation.append((cid, step))
        else:
            chunks = draw(testing.chunkings(step))
            if len(chunks) > 500:
                # So many single bytes are enough.
                chunks[500:] = [b"".join(chunks[500:])]
            conversation += [(cid, chunk) for chunk in chunks]
    # A bad line costs by its spaces. What all connections send at once shares a round, and what
    # they send one after the other does not, so the round must not end.
    assume(sum(data.count(b" ") for _, data in conversation if isinstance(data, bytes)) < ROUND / 2)
    return conversation


def outcome(
    limits: Limits,
    conversation: list[tuple[int, bytes | int]],
    *,
    at_once: bool,
    fast_path: bool = True,
) -> list[object]:
    """Everything that an adapter can see of a conversation.

    Args:
        limits: The broker's limits.
        conversation: As `conversations` makes it.
        at_once: Whether to use the methods for many connections at once, where that is possible.
        fast_path: Whether the broker has a fast path.
    """
    broker: ChatBroker[int] = ChatBroker(limits=limits, fast_path=fast_path)
    broker.tick(0.0)
    for cid, name in enumerate(USERS):
        broker.connect(cid, name)
        broker.receive(cid, f"CHAT/1.0 LOGIN {name}\n".encode())
    broker.receive(0, "CHAT/1.0 GROUP g alice bob bücher\n".encode())
    seen: list[object] = []
    parts = groupby(conversation, lambda each: isinstance(each[1], int))
    for number, (_, sent) in enumerate(parts):
        broker.tick(number / 10)
        received: list[tuple[int, bytes]] = []
        written: list[tuple[int, int]] = []
        for cid, data in sent:
            step = broker.next_step(cid)
            if not isinstance(data, int):
                received += [(cid, data)] * step.read
            elif chunk := step.write[:data]:
                seen.append(chunk)
                written.append((cid, len(chunk)))
        if at_once:
            broker.receive_all(received)
            seen.append(broker.sent_all(written))
        else:
            for cid, chunk in received:
                broker.receive(cid, chunk)
            seen.append([cid for cid, size in written if not broker.sent(cid, size)])
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
@example(LIMITS[0], [(1, b"CHAT/1.0 SEND *groups* on\n"), (0, b"CHAT/1.0 BROADCAST g hi\n" * 3)])
def test_both_paths_have_the_same_effect(
    limits: Limits, conversation: list[tuple[int, bytes | int]]
) -> None:
    fast = outcome(limits, conversation, at_once=True)
    assert outcome(limits, conversation, at_once=False) == fast
    assert outcome(limits, conversation, at_once=False, fast_path=False) == fast
    assert outcome(limits, conversation, at_once=True, fast_path=False) == fast
