"""What the guide says of limits beyond what each does at its edge.

The edges are in `test_limits_kept.py`. That commands take limits as options is in
`tests/adapters/service/test_limits.py`.
"""

import pytest

from chatproto import ChatBroker, CloseReason, Limits

from .brokers import broker_of, close_reason, fill, login, message, received, send, wants_close


def test_who_is_closed_for_its_queue_is_not_told() -> None:
    broker = broker_of("alice", limits=Limits(queue_age=3.0))
    send(broker, 1, "SEND alice hi")
    broker.sent(1, 0)
    broker.tick(3.0)
    assert not broker.next_step(1).write
    assert close_reason(broker, 1) is CloseReason.SLOW_CONSUMER


def test_who_does_no_handshake_is_not_told() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(handshake_timeout=3.0))
    broker.connect(1, "peer", secured=False)
    broker.tick(3.0)
    assert broker.take_ready() == [1]
    assert received(broker, 1) == []
    assert wants_close(broker, 1)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(max_connections=1), "TOO_MANY - too many connections"),
        (
            Limits(max_connections_per_address=1),
            "TOO_MANY - too many connections from your address",
        ),
        (Limits(login_timeout=3.0), "NOT_LOGGED_IN - you have not logged in in time"),
    ],
)
def test_who_is_not_let_in_is_told(limits: Limits, words: str) -> None:
    broker: ChatBroker[int] = ChatBroker(limits=limits)
    for cid in (1, 2):
        broker.connect(cid, "peer", address="192.0.2.1")
    broker.tick(3.0)
    assert received(broker, 2) == [f"*server* ERR {words}"]


def test_a_name_that_is_too_long_may_be_followed_by_another() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(max_name=5))
    login(broker, 1, "alicia")
    send(broker, 1, "LOGIN alice")
    assert broker.snapshot().users == 1


def test_a_question_that_took_too_long_may_be_asked_again() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(auth_timeout=3.0), ask=True)
    login(broker, 1, "alice")
    broker.tick(3.0)
    send(broker, 1, "LOGIN alice")
    [question] = broker.take_questions()
    broker.answer(question.token, allowed=True)
    assert broker.snapshot().users == 1


def test_what_is_queued_is_counted_and_what_is_kept_from_a_sender() -> None:
    broker = broker_of("alice", "bob", limits=Limits(high_water=1000))
    fill(broker, 1, "alice", "bob", 1100)
    send(broker, 1, message("alice", "bob", 100))
    queued = broker.snapshot().queued
    later = "SEND bob later"
    send(broker, 1, later)
    assert broker.snapshot().queued == queued + len(f"CHAT/1.0 {later}\n")
