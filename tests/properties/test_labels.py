"""Labels change nothing but themselves: without them, every stream is what it would have been."""

import re

from hypothesis import given
from hypothesis import strategies as st

from chatproto import ChatBroker, Policy, testing

USERS = ["alice", "bob", "bob", "carol"]
LABEL = re.compile(rb"^CHAT/1\.0 RECEIVE \*groups\* in \S+ ", re.MULTILINE)
ANSWER = re.compile(rb"^CHAT/1\.0 RECEIVE \*groups\* (on|off)\n", re.MULTILINE)

MESSAGES = st.builds(
    b"CHAT/1.0 %b %b\n".__mod__,
    st.tuples(
        st.sampled_from([b"SEND bob", b"SEND *groups*", b"BROADCAST tea", b"BROADCAST go"]),
        testing.data(40) | st.sampled_from([b"in tea bob hi", b"x" * 4060, b"on"]),
    ),
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, len(USERS) - 1),
        st.lists(MESSAGES, min_size=1, max_size=12).map(b"".join),
        st.sampled_from([b"", b"on", b"off"]),
    ),
    max_size=12,
)


def streams(
    steps: list[tuple[int, bytes, bytes]], *, labels: bool, policy: Policy = Policy()
) -> list[bytes]:
    """What each connection gets: with the wishes for labels among the steps, or without them."""
    broker: ChatBroker[int] = ChatBroker(policy=policy)
    broker.tick(0.0)
    for cid, name in enumerate(USERS):
        broker.connect(cid, name)
        broker.receive(cid, f"CHAT/1.0 LOGIN {name}\n".encode())
    broker.receive(0, b"CHAT/1.0 GROUP tea alice bob\nCHAT/1.0 GROUP go bob carol\n")
    for cid, data, wish in steps:
        if labels and wish:
            broker.receive(cid, b"CHAT/1.0 SEND *groups* %b\n" % wish)
        broker.receive(cid, data)
        while broker.busy:
            broker.tick(0.0)
    return [broker.next_step(cid).write for cid in range(len(USERS))]


@given(STEPS)
def test_without_labels_every_stream_is_as_it_was(steps: list[tuple[int, bytes, bytes]]) -> None:
    def stripped(stream: bytes) -> bytes:
        return ANSWER.sub(b"", LABEL.sub(b"CHAT/1.0 RECEIVE ", stream))

    assert list(map(stripped, streams(steps, labels=True))) == list(
        map(stripped, streams(steps, labels=False))
    )


@given(STEPS)
def test_a_server_without_services_never_labels(steps: list[tuple[int, bytes, bytes]]) -> None:
    policy = Policy(services=False)
    assert streams(steps, labels=True, policy=policy) == streams(steps, labels=False, policy=policy)
