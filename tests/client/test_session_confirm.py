"""chatproto.client.confirmation, and `ChatSession.confirm`: what the server refuses is raised."""

from collections.abc import Callable
from typing import Any

import pytest

from chatproto import (
    GROUPS_NAME,
    Broadcast,
    ChatSession,
    Confirmation,
    ConnectionLostError,
    ErrorCode,
    Group,
    Leave,
    LocalProtocolError,
    Notice,
    NotSupportedError,
    RequestRefusedError,
    Send,
)
from chatproto.client.session import MOST_REQUESTS

from .sessions import CABLE, NO_BOB, back, line, notice_line, notices, session_of

HI = Send("bob", b"hi")
ANSWER = line(GROUPS_NAME, b"off")
"""What a server answers that knows the service for groups."""

REFUSED = Notice(ErrorCode.NO_SUCH_USER, "SEND", "bob is not online")


def error_of(confirmation: Confirmation) -> RequestRefusedError:
    assert confirmation.ping.done
    with pytest.raises(RequestRefusedError) as caught:
        confirmation.check()
    return caught.value


def test_a_command_is_followed_by_a_request_and_its_ping() -> None:
    session = session_of()
    data, confirmation = session.confirm(HI)
    assert data == (
        b"CHAT/1.0 SEND bob hi\nCHAT/1.0 SEND *groups* off\n"
        b"CHAT/1.0 SEND alice " + confirmation.ping.data + b"\n"
    )
    session.receive_data(ANSWER)
    assert not confirmation.ping.done
    session.receive_data(back(confirmation.ping))
    assert confirmation.ping.done
    confirmation.check()


def test_a_confirmation_keeps_the_labels_as_they_are() -> None:
    session = session_of()
    data, request = session.start()
    session.receive_data(line(GROUPS_NAME, b"on") + back(request))
    assert session.labels
    data, confirmation = session.confirm(HI)
    assert b"CHAT/1.0 SEND *groups* on\n" in data
    session.receive_data(line(GROUPS_NAME, b"on") + back(confirmation.ping))
    confirmation.check()
    assert session.labels


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (HI, "NO_SUCH_USER SEND bob is not online"),
        (Broadcast("tea", b"hi"), "NOT_A_MEMBER BROADCAST you are not a member of tea"),
        (Group("tea", ["alice"]), "GROUP_EXISTS GROUP tea exists"),
        (Leave("tea"), "SOME_NEW_CODE LEAVE no"),
    ],
)
def test_a_refusal_is_raised_and_is_no_notice(command: Any, words: str) -> None:
    session = session_of()
    _, confirmation = session.confirm(command)
    session.receive_data(notice_line(f"ERR {words}") + ANSWER + back(confirmation.ping))
    error = error_of(confirmation)
    code, _, text = words.split(" ", 2)
    assert (error.code, error.text) == (code, text)
    assert notices(session) == []
    # Each caller gets an exception of its own.
    assert error_of(confirmation) is not error


def test_notices_about_what_was_sent_before_are_not_about_it() -> None:
    session = session_of()
    session.send(HI)
    session.sent()
    data, confirmation = session.confirm(HI)
    fence = data.split(b"\n")[0].removeprefix(b"CHAT/1.0 SEND ").split(b" ", 1)
    session.receive_data(NO_BOB + line("alice", fence[1]))
    session.receive_data(ANSWER + back(confirmation.ping))
    confirmation.check()
    assert notices(session) == [REFUSED]


def test_notices_about_other_commands_are_not_about_it() -> None:
    session = session_of()
    _, confirmation = session.confirm(HI)
    group = notice_line("ERR GROUP_EXISTS GROUP tea exists")
    session.receive_data(group + NO_BOB + NO_BOB + ANSWER + back(confirmation.ping))
    assert error_of(confirmation).code == ErrorCode.NO_SUCH_USER
    assert [notice.command for notice in notices(session)] == ["GROUP", "SEND"]


def test_several_at_once_do_not_mix() -> None:
    session = session_of()
    sent = [session.confirm(HI) for _ in range(3)]
    # A server answers line by line.
    for number, (data, confirmation) in enumerate(sent):
        for each in data.splitlines():
            _, _, to, *_ = each.split(b" ", 3)
            if to == b"alice":
                session.receive_data(line("alice", each.split(b" ", 3)[3]))
            elif to == b"bob" and number == 1:
                session.receive_data(NO_BOB)
            elif to == GROUPS_NAME.encode():
                session.receive_data(ANSWER)
        assert confirmation.ping.done
    sent[0][1].check()
    assert error_of(sent[1][1]).code == ErrorCode.NO_SUCH_USER
    sent[2][1].check()
    assert notices(session) == []


def test_what_nobody_waits_for_is_a_notice_and_no_refusal_of_the_next() -> None:
    session = session_of()
    _, first = session.confirm(HI)
    session.forget(first.ping)
    data, second = session.confirm(HI)
    fence = data.split(b"\n")[0].split(b" ", 3)[3]
    session.receive_data(NO_BOB + ANSWER + back(first.ping) + line("alice", fence))
    session.receive_data(ANSWER + back(second.ping))
    second.check()
    assert notices(session) == [REFUSED]


def test_a_server_that_is_silent_about_errors() -> None:
    session = session_of()
    _, confirmation = session.confirm(HI)
    session.receive_data(back(confirmation.ping))
    with pytest.raises(NotSupportedError, match="this was sent, but this server does not say"):
        confirmation.check()


def test_a_refusal_counts_without_the_service_for_groups() -> None:
    session = session_of()
    _, confirmation = session.confirm(HI)
    session.receive_data(NO_BOB + back(confirmation.ping))
    assert error_of(confirmation).code == ErrorCode.NO_SUCH_USER


def test_the_connection_is_lost_before_it_is_confirmed() -> None:
    session = session_of()
    _, confirmation = session.confirm(HI)
    session.connection_lost(CABLE)
    assert confirmation.ping.done
    with pytest.raises(ConnectionLostError, match="cable cut"):
        confirmation.check()
    # The caller knows of the loss. The next connection starts afresh.
    _, ping = session.start()
    session.receive_data(back(ping) + NO_BOB)
    session.ping()
    assert notices(session) == [REFUSED]


def test_a_loss_that_no_caller_knows_of_is_told_later() -> None:
    session = session_of()
    _, confirmation = session.confirm(HI)
    session.forget(confirmation.ping)
    session.connection_lost(CABLE)
    _, ping = session.start()
    session.receive_data(back(ping))
    with pytest.raises(ConnectionLostError, match="cable cut"):
        session.ping()


def too_long(session: ChatSession) -> Any:
    return session.confirm(Send("bob", b"x" * 5000))


def too_many(session: ChatSession) -> Any:
    for _ in range(MOST_REQUESTS):
        session.request("list")
    return session.confirm(HI)


def test_after_a_logout_nothing_is_confirmed() -> None:
    session = session_of()
    session.close()
    with pytest.raises(LocalProtocolError, match="has logged out"):
        session.confirm(HI)


@pytest.mark.parametrize("misuse", [too_long, too_many])
def test_what_can_not_be_sent_changes_nothing(misuse: Callable[[ChatSession], Any]) -> None:
    session = session_of()
    with pytest.raises(LocalProtocolError):
        misuse(session)
    session.receive_data(NO_BOB)
    assert notices(session) == [REFUSED]


def test_a_login_that_is_refused_is_no_refusal_of_a_command() -> None:
    session = session_of()
    _, confirmation = session.confirm(HI)
    _, login = session.login("carol")
    session.receive_data(notice_line("ERR NAME_IN_USE LOGIN no") + ANSWER)
    session.receive_data(back(confirmation.ping))
    assert login.done
    confirmation.check()
