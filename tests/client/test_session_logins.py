"""chatproto.client.session: names taken, and names refused."""

import pytest

from chatproto import (
    ChatSession,
    Echo,
    ErrorCode,
    LocalProtocolError,
    LoginRefusedError,
    RemoteProtocolError,
)

from .sessions import CABLE, HEARD, HI, back, came_back, items, notices, session_of, told

IN_USE = told("ERR NAME_IN_USE LOGIN bob is logged in already")


def refusal(echo: Echo) -> tuple[str, str]:
    assert echo.done
    assert isinstance(echo.error, LoginRefusedError)
    return echo.error.code, echo.error.text


def test_a_login_that_succeeds() -> None:
    session = session_of()
    data, echo = session.login("bob")
    assert data == b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND bob " + echo.data + b"\n"
    assert session.name == "alice"
    session.hear(back(echo))
    assert came_back(echo)
    assert session.name == "bob"
    data, echo = session.ping()
    assert data.startswith(b"CHAT/1.0 SEND bob ")
    session.hear(back(echo))
    assert came_back(echo)


def test_a_login_under_the_same_name() -> None:
    session = session_of()
    _, echo = session.login("alice")
    session.hear(back(echo))
    assert came_back(echo)
    assert session.name == "alice"


def test_a_first_login_that_is_refused() -> None:
    session = ChatSession("bob")
    _, echo = session.start(b"n")
    session.hear(HI + IN_USE)
    assert refusal(echo) == (ErrorCode.NAME_IN_USE, "bob is logged in already")
    assert (items(session), notices(session)) == ([HEARD], [])


def test_what_a_server_says_to_the_echo_of_a_refused_first_login_is_no_news() -> None:
    """Nobody knows of that SEND."""
    session = ChatSession("bob")
    session.start(b"n")
    session.hear(IN_USE + told("ERR NOT_LOGGED_IN SEND log in first"))
    assert notices(session) == []


def test_a_refused_client_keeps_the_name_that_it_had() -> None:
    session = session_of()
    _, echo = session.login("bob")
    session.hear(HI + IN_USE + HI)
    assert refusal(echo) == (ErrorCode.NAME_IN_USE, "bob is logged in already")
    assert (items(session), notices(session)) == ([HEARD, HEARD], [])
    assert (session.name, session.ended) == ("alice", None)
    _, echo = session.ping()
    session.hear(back(echo))
    assert came_back(echo)


def test_a_refusal_for_a_reason_that_is_not_known_here() -> None:
    session = session_of()
    _, echo = session.login("bob")
    session.hear(told("ERR TOO_LATE LOGIN come back tomorrow"))
    assert refusal(echo) == ("TOO_LATE", "come back tomorrow")


@pytest.mark.parametrize("words", ["ERR NO_SUCH_USER SEND LOGIN", "ERR TOO_MANY - LOGIN", "LOGIN"])
def test_other_notices_refuse_no_login(words: str) -> None:
    session = session_of()
    _, echo = session.login("bob")
    session.hear(told(words))
    assert not echo.done
    assert len(notices(session)) == 1


def test_a_refusal_decides_nothing_but_the_login() -> None:
    session = session_of()
    _, before = session.ping()
    _, echo = session.login("bob")
    session.hear(IN_USE)
    assert refusal(echo) == (ErrorCode.NAME_IN_USE, "bob is logged in already")
    assert not before.done
    session.hear(back(before))
    assert came_back(before)


def test_the_second_refusal_is_for_the_second_login() -> None:
    session = session_of()
    _, first = session.login("bob")
    _, second = session.login("carol")
    session.hear(IN_USE)
    assert refusal(first) == (ErrorCode.NAME_IN_USE, "bob is logged in already")
    assert not second.done
    session.hear(told("ERR NAME_IN_USE LOGIN carol is logged in already"))
    assert refusal(second) == (ErrorCode.NAME_IN_USE, "carol is logged in already")


def test_a_later_echo_disproves_an_earlier_login() -> None:
    """There are servers that refuse in silence."""
    session = session_of()
    _, login = session.login("bob")
    _, ping = session.ping()
    session.hear(back(ping))
    assert refusal(login) == ("", "the server did not say why")
    assert came_back(ping)
    assert session.name == "alice"


def test_a_login_that_nobody_waits_for_any_more_may_still_succeed() -> None:
    session = session_of()
    _, login = session.login("bob")
    # To the old name, because the new one is not known yet: the server will not send it back.
    _, ping = session.ping()
    session.hear(back(login))
    assert session.name == "bob"
    assert not ping.done
    # Unless somebody else who is called that says so.
    session.hear(back(ping))
    assert came_back(ping)
    assert session.name == "bob"


@pytest.mark.parametrize(("name", "code"), [("a b", "BAD_NAME"), ("*bob", "NAME_RESERVED")])
def test_a_login_that_cannot_be_said_changes_nothing(name: str, code: str) -> None:
    session = session_of()
    with pytest.raises(LocalProtocolError) as caught:
        session.login(name)
    assert caught.value.code == code
    session.hear(told("ERR BAD_NAME LOGIN what?"))
    assert len(notices(session)) == 1
    _, echo = session.ping()
    session.hear(back(echo))
    assert came_back(echo)


def test_the_last_name_that_was_taken_is_that_of_the_next_connection() -> None:
    session = session_of()
    _, echo = session.login("bob")
    session.hear(back(echo))
    session.login("carol")
    session.lose(CABLE)
    data, echo = session.start(b"m")
    assert data.startswith(b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND bob ")
    assert echo.name == "bob"


def test_a_refusal_is_for_the_login_on_this_connection() -> None:
    """The one before may have been given up without an answer."""
    session = ChatSession("bob")
    session.start(b"n")
    _, echo = session.start(b"m")
    session.hear(IN_USE)
    assert refusal(echo) == (ErrorCode.NAME_IN_USE, "bob is logged in already")


def test_a_server_that_says_a_lot_before_the_login_is_decided() -> None:
    session = ChatSession("alice", max_queue=3)
    _, echo = session.start(b"n")
    session.hear(HI * 3)
    assert session.ended is None
    session.hear(HI)
    assert isinstance(session.ended, RemoteProtocolError)
    assert session.ended.code is ErrorCode.TOO_MANY
    assert echo.error is session.ended
