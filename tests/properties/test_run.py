"""Messages taken a run at a time have the effect that they have one by one."""

from unittest.mock import patch

from hypothesis import example, given
from hypothesis import strategies as st

from chatproto import ChatBroker, Limits, testing
from chatproto._exchange import Exchange
from chatproto._run import Run

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


def outcome(limits: Limits, conversation: list[tuple[int, bytes | int]]) -> list[object]:
    """Everything that can be seen from outside."""
    broker: ChatBroker[int] = ChatBroker(limits=limits)
    broker.tick(0.0)
    for cid, name in enumerate(USERS):
        broker.connect(cid, name)
        broker.receive(cid, f"CHAT/1.0 LOGIN {name}\n".encode())
    broker.receive(0, "CHAT/1.0 GROUP g alice bob bücher\n".encode())
    seen: list[object] = []
    for number, (cid, data) in enumerate(conversation):
        broker.tick(number / 10)
        if isinstance(data, int):
            size = min(data, len(broker.outgoing(cid)))
            seen.append(bytes(broker.outgoing(cid)[:size]))
            broker.sent(cid, size)
        elif broker.reading(cid):
            broker.receive(cid, data)
        seen.append([broker.take_ready(), broker.take_ready()])
        seen.append([(broker.reading(each), broker.finished(each)) for each in range(len(USERS))])
    seen.append([bytes(broker.outgoing(each)) for each in range(len(USERS))])
    return [*seen, broker.snapshot(), broker.take_records()]


@given(st.sampled_from(LIMITS), conversations())
@example(LIMITS[1], [(0, b"CHAT/1.0 SEND bob 1\nCHAT/1.0 SEND bob 2\n" * 20), (1, 700)])
def test_a_run_has_the_same_effect(
    limits: Limits, conversation: list[tuple[int, bytes | int]]
) -> None:
    fast = outcome(limits, conversation)
    with patch.object(Exchange, "_relay", _never):
        assert outcome(limits, conversation) == fast


def test_runs_are_taken_as_such() -> None:
    """The other test compares something."""
    with patch.object(Run, "rewrite", autospec=True, side_effect=Run.rewrite) as rewrite:
        outcome(Limits(), [(0, b"CHAT/1.0 BROADCAST g 1\nCHAT/1.0 BROADCAST g 2\n")])
    assert rewrite.called


def _never(*_: object) -> bool:
    return False
