"""chatproto.client.session: logins that succeed, and logins that are refused."""

import pytest

from chatproto import (
    ErrorCode,
    LocalProtocolError,
    LoginRefusedError,
    Ping,
    RemoteProtocolError,
)

from .sessions import (
    CABLE,
    HI,
    HI_LINE,
    back,
    came_back,
    items,
    new_session,
    notice_line,
    notices,
    session_of,
)

IN_USE = notice_line("ERR NAME_IN_USE LOGIN bob is logged in already")


def refusal(ping: Ping) -> tuple[str, str]:
    assert ping.done
    assert isinstance(ping.error, LoginRefusedError)
    return ping.error.code, ping.error.text


def test_a_login_that_succeeds() -> None:
    session = session_of()
    data, ping = session.login("bob")
    assert data == b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND bob " + ping.data + b"\n"
    assert session.name == "alice"
    session.receive_data(back(ping))
    assert came_back(ping)
    assert session.name == "bob"
    data, ping = session.ping()
    assert data.startswith(b"CHAT/1.0 SEND bob ")
    session.receive_data(back(ping))
    assert came_back(ping)


def test_a_login_under_the_same_name() -> None:
    session = session_of()
    _, ping = session.login("alice")
    session.receive_data(back(ping))
    assert came_back(ping)
    assert session.name == "alice"


def test_a_first_login_that_is_refused() -> None:
    session = new_session("bob")
    _, ping = session.start()
    session.receive_data(HI_LINE + IN_USE)
    assert refusal(ping) == (ErrorCode.NAME_IN_USE, "bob is logged in already")
    assert (items(session), notices(session)) == ([HI], [])


def test_the_answer_to_the_ping_after_a_refused_first_login_is_dropped() -> None:
    """No caller has sent it."""
    session = new_session("bob")
    session.start()
    session.receive_data(IN_USE + notice_line("ERR NOT_LOGGED_IN SEND log in first"))
    assert notices(session) == []


def test_a_refused_client_keeps_its_name() -> None:
    session = session_of()
    _, ping = session.login("bob")
    session.receive_data(HI_LINE + IN_USE + HI_LINE)
    assert refusal(ping) == (ErrorCode.NAME_IN_USE, "bob is logged in already")
    assert (items(session), notices(session)) == ([HI, HI], [])
    assert (session.name, session.error) == ("alice", None)
    _, ping = session.ping()
    session.receive_data(back(ping))
    assert came_back(ping)


def test_a_refusal_with_an_unknown_code() -> None:
    session = session_of()
    _, ping = session.login("bob")
    session.receive_data(notice_line("ERR TOO_LATE LOGIN come back tomorrow"))
    assert refusal(ping) == ("TOO_LATE", "come back tomorrow")


@pytest.mark.parametrize("words", ["ERR NO_SUCH_USER SEND LOGIN", "ERR TOO_MANY - LOGIN", "LOGIN"])
def test_other_notices_refuse_no_login(words: str) -> None:
    session = session_of()
    _, ping = session.login("bob")
    session.receive_data(notice_line(words))
    assert not ping.done
    assert len(notices(session)) == 1


def test_a_refusal_finishes_no_other_ping() -> None:
    session = session_of()
    _, before = session.ping()
    _, ping = session.login("bob")
    session.receive_data(IN_USE)
    assert refusal(ping) == (ErrorCode.NAME_IN_USE, "bob is logged in already")
    assert not before.done
    session.receive_data(back(before))
    assert came_back(before)


def test_the_second_refusal_is_for_the_second_login() -> None:
    session = session_of()
    _, first = session.login("bob")
    _, second = session.login("carol")
    session.receive_data(IN_USE)
    assert refusal(first) == (ErrorCode.NAME_IN_USE, "bob is logged in already")
    assert not second.done
    session.receive_data(notice_line("ERR NAME_IN_USE LOGIN carol is logged in already"))
    assert refusal(second) == (ErrorCode.NAME_IN_USE, "carol is logged in already")


def test_a_login_is_refused_when_a_later_ping_comes_back_first() -> None:
    """Some servers refuse without a notice."""
    session = session_of()
    _, login = session.login("bob")
    _, ping = session.ping()
    session.receive_data(back(ping))
    assert refusal(login) == ("", "the server did not say why")
    assert came_back(ping)
    assert session.name == "alice"


def test_a_login_may_succeed_after_a_later_ping_was_sent() -> None:
    session = session_of()
    _, login = session.login("bob")
    # It is sent to the old name, so the server will not send it back.
    _, ping = session.ping()
    session.receive_data(back(login))
    assert session.name == "bob"
    assert not ping.done
    # Unless another client with that name does.
    session.receive_data(back(ping))
    assert came_back(ping)
    assert session.name == "bob"


@pytest.mark.parametrize(("name", "code"), [("a b", "BAD_NAME"), ("*bob", "NAME_RESERVED")])
def test_a_login_that_cannot_be_sent_changes_nothing(name: str, code: str) -> None:
    session = session_of()
    with pytest.raises(LocalProtocolError) as caught:
        session.login(name)
    assert caught.value.code == code
    session.receive_data(notice_line("ERR BAD_NAME LOGIN what?"))
    assert len(notices(session)) == 1
    _, ping = session.ping()
    session.receive_data(back(ping))
    assert came_back(ping)


def test_the_next_connection_logs_in_under_the_last_accepted_name() -> None:
    session = session_of()
    _, ping = session.login("bob")
    session.receive_data(back(ping))
    session.login("carol")
    session.connection_lost(CABLE)
    data, ping = session.start()
    assert data.startswith(b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND *groups* on\nCHAT/1.0 SEND bob ")
    assert ping.name == "bob"


def test_a_refusal_belongs_to_the_login_on_the_current_connection() -> None:
    """The login on the connection before may never have been answered."""
    session = new_session("bob")
    session.start()
    _, ping = session.start()
    session.receive_data(IN_USE)
    assert refusal(ping) == (ErrorCode.NAME_IN_USE, "bob is logged in already")


def test_a_full_queue_before_the_login_is_decided_ends_the_connection() -> None:
    session = new_session("alice", max_queue=3)
    _, ping = session.start()
    session.receive_data(HI_LINE * 3)
    assert session.error is None
    session.receive_data(HI_LINE)
    assert isinstance(session.error, RemoteProtocolError)
    assert session.error.code is ErrorCode.TOO_MANY
    assert ping.error is session.error
