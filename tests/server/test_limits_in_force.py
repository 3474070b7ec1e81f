"""What the docs say about limits besides what each does at its edge.

That is in `test_limits_kept.py`; which values a limit may have is in `test_limits.py`; that
commands take limits as options is in `tests/adapters/service/test_limits.py`.
"""

import pytest

from chatproto import ChatBroker, CloseReason, Limits

from .brokers import broker_of, close_reason, fill, login, message, received, send, wants_close


def test_a_slow_consumer_gets_no_notice() -> None:
    broker = broker_of("alice", limits=Limits(queue_age=3.0))
    send(broker, 1, "SEND alice hi")
    broker.sent(1, 0)
    broker.tick(3.0)
    assert not broker.next_step(1).write
    assert close_reason(broker, 1) is CloseReason.SLOW_CONSUMER


def test_a_connection_without_a_handshake_gets_no_notice() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(handshake_timeout=3.0))
    broker.connect(1, "peer", secured=False)
    broker.tick(3.0)
    assert broker.take_ready() == [1]
    assert received(broker, 1) == []
    assert wants_close(broker, 1)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(max_connections=1), "TOO_MANY - too many connections"),
        (
            Limits(max_connections_per_address=1),
            "TOO_MANY - too many connections from your address",
        ),
        (Limits(login_timeout=3.0), "NOT_LOGGED_IN - you have not logged in in time"),
    ],
)
def test_a_connection_that_is_turned_away_gets_a_notice(limits: Limits, text: str) -> None:
    broker: ChatBroker[int] = ChatBroker(limits=limits)
    for cid in (1, 2):
        broker.connect(cid, "peer", address="192.0.2.1")
    broker.tick(3.0)
    assert received(broker, 2) == [f"*server* ERR {text}"]


def test_a_client_may_log_in_after_a_name_that_is_too_long() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(max_name=5))
    login(broker, 1, "alicia")
    send(broker, 1, "LOGIN alice")
    assert broker.snapshot().users == 1


def test_a_client_may_log_in_after_a_question_that_took_too_long() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(auth_timeout=3.0), ask=True)
    login(broker, 1, "alice")
    broker.tick(3.0)
    send(broker, 1, "LOGIN alice")
    [question] = broker.take_questions()
    broker.answer(question.token, allowed=True)
    assert broker.snapshot().users == 1


def test_unparsed_bytes_of_a_waiting_sender_count_as_queued() -> None:
    broker = broker_of("alice", "bob", limits=Limits(high_water=1000))
    fill(broker, 1, "alice", "bob", 1100)
    send(broker, 1, message("alice", "bob", 100))
    queued = broker.snapshot().queued
    command = "SEND bob later"
    send(broker, 1, command)
    assert broker.snapshot().queued == queued + len(f"CHAT/1.0 {command}\n")
