"""chatproto.server.logins: how long a TLS handshake and a LOGIN may take."""

from chatproto import ChatBroker, CloseReason, Limits

from .brokers import answer, close_reason, login, received, send, wants_close


def test_a_handshake_has_a_deadline() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(handshake_timeout=10.0))
    broker.tick(100.0)
    broker.connect(1, "peer-1", secured=False)
    broker.connect(2, "peer-2", secured=False)
    broker.connect(3, "peer-3")
    broker.tick(109.9)
    broker.secure(2, None)
    assert broker.take_ready() == []
    broker.tick(110.0)
    assert broker.take_ready() == [1]
    assert bytes(broker.next_step(1).write) == b""
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) is CloseReason.HANDSHAKE_TIMEOUT
    assert broker.next_step(2).read
    assert broker.next_step(3).read


def test_a_login_has_a_deadline() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(login_timeout=60.0))
    broker.tick(100.0)
    for cid in (1, 2, 3):
        broker.connect(cid, f"peer-{cid}")
    send(broker, 1, "junk", "SEND x hi", "LOGIN *")
    send(broker, 2, "LOGIN bob")
    broker.tick(159.9)
    send(broker, 3, "LOGIN carol")
    received(broker, 1)
    broker.tick(160.0)
    assert received(broker, 1) == ["*server* ERR NOT_LOGGED_IN - you have not logged in in time"]
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) is CloseReason.LOGIN_TIMEOUT
    broker.tick(1e9)
    assert broker.next_step(2).read
    assert broker.next_step(3).read


def test_the_time_for_the_login_includes_the_handshake() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(handshake_timeout=10.0, login_timeout=5.0))
    broker.connect(1, "peer", secured=False)
    broker.tick(5.0)
    received(broker, 1)
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) is CloseReason.LOGIN_TIMEOUT


def test_a_refused_login_does_not_stop_the_timer() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(login_timeout=60.0), ask=True)
    login(broker, 1, "alice")
    broker.tick(5.0)
    answer(broker, False)
    assert "ERR AUTH_FAILED" in received(broker, 1)[0]
    broker.tick(60.0)
    assert "ERR NOT_LOGGED_IN" in received(broker, 1)[0]
