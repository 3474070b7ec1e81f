"""chatproto.server.logins: questions about LOGINs, certificates, and the length of names."""

import pytest

from chatproto import (
    ChatBroker,
    CloseReason,
    Credentials,
    DuplicateLogin,
    ErrorCode,
    Limits,
    LoginRequest,
    Policy,
    Question,
)

from ..remains import remains
from .brokers import (
    answer,
    broker_of,
    close_reason,
    fill,
    flush,
    log,
    login,
    received,
    send,
    wants_close,
)

REFUSED = "*server* ERR AUTH_FAILED LOGIN you may not log in under that name"
UNDECIDED = "*server* ERR AUTH_FAILED LOGIN it was not decided in time whether you may log in"


def test_the_fields_of_a_login_request() -> None:
    request = LoginRequest("alice", "unix", None, Credentials(pid=1, uid=2, gid=3))
    assert (request.name, request.peer, request.certificate) == ("alice", "unix", None)
    assert request.credentials == Credentials(1, 2, 3)


# Questions


def test_by_default_there_are_no_questions() -> None:
    assert broker_of("alice").take_questions() == []


def test_a_login_waits_for_the_answer() -> None:
    broker: ChatBroker[int] = ChatBroker(ask=True)
    login(broker, 7, "alice")
    [question] = broker.take_questions()
    assert question == Question(question.token, 7, "alice")
    assert broker.take_questions() == []
    assert not broker.next_step(7).read
    assert (broker.snapshot().users, broker.snapshot().waiting) == (0, 0)
    broker.answer(question.token, allowed=True)
    assert broker.next_step(7).read
    assert broker.take_ready() == [7]
    assert (broker.snapshot().users, broker.snapshot().logins) == (1, 1)
    assert log(broker) == ["accepted from peer-7", "logged in alice (peer-7)"]


def test_a_refused_login_gets_a_notice_and_may_be_repeated() -> None:
    broker = broker_of("alice", ask=True)
    login(broker, 2, "bob")
    answer(broker, False)
    assert received(broker, 2) == [REFUSED]
    send(broker, 2, "SEND alice hi")
    assert received(broker, 2) == ["*server* ERR NOT_LOGGED_IN SEND log in first"]
    assert broker.snapshot().refusals == {ErrorCode.AUTH_FAILED: 1, ErrorCode.NOT_LOGGED_IN: 1}
    assert broker.snapshot().logins == 1
    send(broker, 2, "LOGIN bob")
    answer(broker, True)
    assert broker.snapshot().users == 2


@pytest.mark.parametrize("allowed", [True, False])
def test_commands_after_a_login_wait_in_order(allowed: bool) -> None:
    broker = broker_of("alice", "carol", ask=True)
    login(broker, 3, "bob")
    send(broker, 3, "SEND alice 1", "SEND alice 2")
    broker.receive(3, b"CHAT/1.0 SEND ali")
    assert broker.snapshot().queued == len(
        "CHAT/1.0 LOGIN bob\n" + "CHAT/1.0 SEND alice 1\n" * 2 + "CHAT/1.0 SEND ali"
    )
    send(broker, 2, "SEND alice hi")
    assert received(broker, 1) == ["carol hi"]
    answer(broker, allowed)
    broker.receive(3, b"ce 3\n")
    assert received(broker, 1) == (["bob 1", "bob 2", "bob 3"] if allowed else [])
    assert broker.snapshot().refusals[ErrorCode.NOT_LOGGED_IN] == (0 if allowed else 3)


def test_what_arrives_in_the_same_read_waits_too() -> None:
    broker = broker_of("alice", ask=True)
    broker.connect(2, "peer-2")
    broker.receive(2, b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND alice 1\nCHAT/1.0 LOGIN rob\n")
    broker.receive(2, b"CHAT/1.0 SEND alice 2\n")
    assert answer(broker, True) == ["bob"]
    assert received(broker, 1) == ["bob 1"]
    assert answer(broker, True) == ["rob"]
    assert received(broker, 1) == ["rob 2"]


def test_a_refused_rename_leaves_the_old_name() -> None:
    broker = broker_of("alice", "bob", ask=True)
    send(broker, 2, "LOGIN rob", "SEND alice still bob")
    send(broker, 1, "SEND bob meanwhile")
    assert answer(broker, False) == ["rob"]
    assert received(broker, 1) == ["bob still bob"]
    assert received(broker, 2) == ["alice meanwhile", REFUSED]
    assert broker.snapshot().users == 2


def test_an_allowed_rename() -> None:
    broker = broker_of("alice", "bob", ask=True)
    send(broker, 2, "LOGIN rob", "SEND alice hi")
    answer(broker, True)
    assert received(broker, 1) == ["rob hi"]


def test_the_policy_applies_after_the_answer() -> None:
    """Both connections may have the name, but only one may have it at a time."""
    reject = Policy(duplicate_login=DuplicateLogin.REJECT)
    broker: ChatBroker[int] = ChatBroker(policy=reject, ask=True)
    login(broker, 1, "alice")
    login(broker, 2, "alice")
    first, second = broker.take_questions()
    broker.answer(second.token, allowed=True)
    broker.answer(first.token, allowed=True)
    assert "ERR NAME_IN_USE" in received(broker, 1)[0]
    assert received(broker, 2) == []


def test_a_login_without_an_answer_in_time_is_refused() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(auth_timeout=10.0), ask=True)
    broker.tick(100.0)
    login(broker, 1, "alice")
    send(broker, 1, "SEND alice hi")
    [question] = broker.take_questions()
    broker.tick(109.9)
    assert not broker.next_step(1).read
    broker.tick(110.0)
    assert received(broker, 1) == [UNDECIDED, "*server* ERR NOT_LOGGED_IN SEND log in first"]
    assert broker.next_step(1).read
    assert 1 in broker.take_ready()
    broker.answer(question.token, allowed=True)
    assert broker.snapshot().logins == 0
    send(broker, 1, "LOGIN alice")
    broker.tick(119.9)
    answer(broker, True)
    assert broker.snapshot().logins == 1


def test_an_answer_counts_once() -> None:
    broker: ChatBroker[int] = ChatBroker(ask=True)
    login(broker, 1, "alice")
    [question] = broker.take_questions()
    broker.answer(question.token, allowed=True)
    broker.answer(question.token, allowed=False)
    broker.answer(12345, allowed=True)
    assert (broker.snapshot().logins, received(broker, 1)) == (1, [])


def test_an_answer_for_a_connection_that_is_gone() -> None:
    broker: ChatBroker[int] = ChatBroker(ask=True)
    login(broker, 1, "alice")
    [question] = broker.take_questions()
    broker.disconnect(1)
    # A new connection may have the same id by then.
    login(broker, 1, "bob")
    broker.answer(question.token, allowed=True)
    assert broker.snapshot().logins == 0
    assert answer(broker, True) == ["bob"]
    assert broker.snapshot().logins == 1


def test_there_is_no_question_about_a_connection_that_is_gone() -> None:
    broker: ChatBroker[int] = ChatBroker(ask=True)
    login(broker, 1, "alice")
    broker.disconnect(1)
    assert broker.take_questions() == []
    login(broker, 2, "bob")
    broker.tick(10.0)
    assert received(broker, 2) == [UNDECIDED]
    assert broker.take_questions() == []


def test_an_answer_for_a_connection_that_is_closing() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(login_timeout=5.0), ask=True)
    login(broker, 1, "alice")
    [question] = broker.take_questions()
    broker.tick(5.0)
    broker.answer(question.token, allowed=True)
    assert broker.snapshot().users == 0
    received(broker, 1)
    assert wants_close(broker, 1)
    assert close_reason(broker, 1) is CloseReason.LOGIN_TIMEOUT
    assert remains(broker) == []


def test_the_end_of_a_stream_waits_for_the_answer() -> None:
    broker = broker_of("alice", ask=True)
    login(broker, 2, "bob")
    send(broker, 2, "SEND alice hi")
    broker.receive_eof(2)
    assert not broker.next_step(2).close
    answer(broker, True)
    assert received(broker, 1) == ["bob hi"]
    assert close_reason(broker, 2) is CloseReason.EOF


def test_a_connection_that_waits_for_an_answer_still_receives() -> None:
    """A question and a full queue do not depend on each other."""
    broker = broker_of("alice", "bob", limits=Limits(high_water=1000), ask=True)
    send(broker, 2, "LOGIN rob", "SEND alice hi")
    fill(broker, 1, "alice", "bob", 1200)
    assert not broker.next_step(1).read
    flush(broker)
    assert broker.next_step(1).read
    assert not broker.next_step(2).read
    fill(broker, 1, "alice", "alice", 1100)
    answer(broker, True)
    assert broker.snapshot().waiting == 1
    flush(broker)
    assert broker.snapshot().deliveries == 12 + 11 + 1


# Certificates and names


@pytest.mark.parametrize("ask", [True, False])
def test_a_certificate_allows_its_names_only(ask: bool) -> None:
    broker: ChatBroker[int] = ChatBroker(ask=ask)
    broker.connect(1, "peer", secured=False)
    broker.secure(1, ["alice", "ali"])
    send(broker, 1, "LOGIN bob")
    assert received(broker, 1) == [
        "*server* ERR AUTH_FAILED LOGIN your certificate is for somebody else"
    ]
    assert broker.take_questions() == []
    send(broker, 1, "LOGIN ali", "LOGIN alice", "LOGIN alicea")
    if ask:
        assert (answer(broker, True), answer(broker, True)) == (["ali"], ["alice"])
    assert broker.snapshot().logins == 2
    assert broker.snapshot().refusals == {ErrorCode.AUTH_FAILED: 2}


@pytest.mark.parametrize(("identities", "logins"), [(None, 1), ([], 0), ({"alice"}, 1)])
def test_identities_none_allows_any_name_and_none_at_all_no_name(
    identities: set[str] | None, logins: int
) -> None:
    broker: ChatBroker[int] = ChatBroker()
    broker.connect(1, "peer", secured=False)
    broker.secure(1, identities)
    send(broker, 1, "LOGIN alice")
    assert broker.snapshot().logins == logins


def test_a_name_longer_than_max_name_is_refused() -> None:
    """The limit is in bytes."""
    broker: ChatBroker[int] = ChatBroker(limits=Limits(max_name=6))
    broker.connect(1, "peer")
    send(broker, 1, "LOGIN 张三三", "LOGIN abcdefg")
    assert (
        received(broker, 1) == ["*server* ERR BAD_NAME LOGIN a name has at most 6 bytes here"] * 2
    )
    assert broker.snapshot().refusals == {ErrorCode.BAD_NAME: 2}
    send(broker, 1, "LOGIN 张三", "LOGIN abcdef")
    assert broker.snapshot().logins == 2


def test_an_application_that_fails_has_one_line_in_the_log_and_other_words() -> None:
    broker: ChatBroker[int] = ChatBroker(ask=True)
    login(broker, 1, "alice")
    [question] = broker.take_questions()
    broker.answer(question.token, allowed=False, error="LookupError: no table")
    assert received(broker, 1) == [
        "*server* ERR AUTH_FAILED LOGIN the server could not decide whether you may log in"
    ]
    assert log(broker) == [
        "accepted from peer-1",
        "authenticate failed for alice (peer-1): LookupError: no table",
    ]
