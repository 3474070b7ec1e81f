"""chatproto.client.session: how a connection ends, what remains of it, and what comes after it."""

import pytest

from chatproto import (
    ChatSession,
    CloseReason,
    ConnectionLostError,
    ErrorCode,
    Limits,
    LocalProtocolError,
    Login,
    Logout,
    Notice,
    Receive,
    RemoteProtocolError,
)
from chatproto.wire.codec import encode

from .sessions import (
    CABLE,
    HEARD,
    HI,
    back,
    items,
    last_words,
    line,
    notices,
    session_of,
    start_again,
    told,
)

CLOSED = "the server has closed the connection"
BYE = told("ERR SHUTTING_DOWN - bye")


def ending(session: ChatSession) -> tuple[str, str]:
    """Why the server has ended its stream, as far as is known."""
    session.hear(b"")
    assert isinstance(session.ended, ConnectionLostError)
    return session.ended.code, session.ended.text


def test_the_end_of_the_stream() -> None:
    session = session_of()
    session.hear(HI)
    assert ending(session) == ("", CLOSED)
    assert items(session) == [HEARD]


def test_half_a_line_is_not_heard() -> None:
    session = session_of()
    session.hear(HI + HI[:-1])
    assert ending(session) == ("", CLOSED)
    assert items(session) == [HEARD]
    assert session.invalid_lines == 0


WORDS = [words for reason in CloseReason if (words := last_words(reason)) is not None]


@pytest.mark.parametrize("words", WORDS)
def test_the_servers_last_words_are_the_reason(words: Receive) -> None:
    session = session_of()
    session.hear(HI + encode(words))
    [notice] = notices(session)
    assert ending(session) == (notice.code, f"{CLOSED}: {notice.text}")
    assert notice.code in list(ErrorCode)
    assert items(session) == [HEARD]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("ERR MOVED - to another port", "MOVED", f"{CLOSED}: to another port"),
        ("Good night.", "", f"{CLOSED}: Good night."),
    ],
)
def test_last_words_of_another_server(words: str, code: str, text: str) -> None:
    session = session_of()
    session.hear(told(words))
    assert ending(session) == (code, text)


def test_half_a_line_after_the_last_words_was_not_heard() -> None:
    session = session_of()
    session.hear(BYE + HI[:-1])
    assert ending(session) == ("SHUTTING_DOWN", f"{CLOSED}: bye")


@pytest.mark.parametrize(
    "data",
    [
        HI,
        b"bad\n",
        told("ERR NO_SUCH_USER SEND bob is not online"),
        line("alice", b"\0chatproto echo x"),
    ],
)
def test_they_were_not_the_last_when_something_came_after_them(data: bytes) -> None:
    session = session_of()
    session.hear(BYE + data)
    assert ending(session) == ("", CLOSED)


def test_the_answer_to_a_command_is_no_reason_to_close() -> None:
    session = session_of()
    session.hear(told("ERR NO_SUCH_USER SEND bob is not online"))
    assert ending(session) == ("", CLOSED)


def test_the_last_words_on_one_connection_are_nothing_to_the_next() -> None:
    session = session_of()
    session.hear(BYE)
    session.lose(CABLE)
    session.start(b"m")
    assert ending(session) == ("", CLOSED)


def test_the_last_words_are_a_notice_as_well() -> None:
    session = session_of()
    session.hear(BYE)
    session.hear(b"")
    assert notices(session) == [Notice(ErrorCode.SHUTTING_DOWN, "-", "bye")]


def test_the_first_reason_stays() -> None:
    session = session_of()
    session.lose(CABLE)
    session.lose(ConnectionLostError("closed"))
    session.hear(b"")
    assert session.ended is CABLE


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", ErrorCode.MALFORMED),
        (b"CHAT/2.0 WELCOME\n", ErrorCode.UNSUPPORTED_VERSION),
        (b"CHAT/1.0 LOGIN alice\n", ErrorCode.WRONG_DIRECTION),
        (b"x" * 4096, ErrorCode.LINE_TOO_LONG),
    ],
)
def test_something_else_than_a_chat_server(data: bytes, code: ErrorCode) -> None:
    session = ChatSession("alice")
    _, echo = session.start(b"n")
    session.hear(HI + data)
    assert isinstance(session.ended, RemoteProtocolError)
    assert session.ended.code is code
    assert session.ended.text.startswith("this does not look like a chat server: ")
    assert (echo.done, echo.error) == (True, session.ended)
    assert items(session) == [HEARD]


def test_nothing_is_heard_after_the_end() -> None:
    """Or it would depend on how the stream is cut."""
    session = ChatSession("alice")
    session.start(b"n")
    session.hear(HI + b"garbage\n" + line("bob", b"late") + BYE + b"garbage\n")
    assert (items(session), notices(session)) == ([HEARD], [])
    assert session.invalid_lines == 1


def test_99_bad_lines_in_a_row_are_not_too_many() -> None:
    session = session_of()
    session.hear((b"bad\n" * 99 + HI) * 2 + b"bad\n" * 99)
    assert (session.invalid_lines, session.ended) == (3 * 99, None)


def test_100_bad_lines_in_a_row_end_it() -> None:
    session = session_of()
    _, echo = session.ping()
    session.hear(HI + b"bad\n" * 100 + HI)
    session.hear(HI)
    assert items(session) == [HEARD]
    assert isinstance(session.ended, RemoteProtocolError)
    assert session.ended.code is ErrorCode.TOO_MANY
    assert echo.error is session.ended


def test_how_many_bad_lines_are_too_many_can_be_said() -> None:
    session = session_of(limits=Limits(bad_lines=2))
    session.hear(b"bad\n")
    assert session.ended is None
    session.hear(b"bad\n")
    assert session.ended is not None


def test_a_new_connection_begins_afresh() -> None:
    session = session_of(limits=Limits(bad_lines=2))
    session.hear(HI + told("x") + b"bad\n" + HI[:9])
    session.lose(CABLE)
    start_again(session, b"m")
    assert session.ended is None
    session.hear(b"bad\n" + HI)
    assert session.ended is None
    # What was heard on the one before is kept.
    assert items(session) == [HEARD, HEARD]
    assert len(notices(session)) == 1
    assert session.invalid_lines == 2


def test_every_new_connection_has_to_look_like_a_chat_servers() -> None:
    session = session_of()
    session.lose(CABLE)
    session.start(b"m")
    session.hear(b"bad\n")
    assert isinstance(session.ended, RemoteProtocolError)


def test_a_logout_is_the_last_that_is_said() -> None:
    session = session_of()
    assert not session.logged_out
    assert session.send(Logout()) == b"CHAT/1.0 LOGOUT\n"
    assert session.logged_out
    for say in (
        session.ping,
        lambda: session.login("bob"),
        lambda: session.send(Logout()),
        lambda: session.send(Login("bob")),
        lambda: session.start(b"m"),
    ):
        with pytest.raises(LocalProtocolError, match="this client has logged out") as caught:
            say()
        assert caught.value.code is ErrorCode.NOT_LOGGED_IN


def test_after_a_logout_no_message_is_heard_but_answers_are() -> None:
    session = session_of(max_queue=1)
    _, echo = session.ping()
    session.hear(HI)
    session.send(Logout())
    # Nothing of it needs room.
    assert session.hungry
    session.hear(HI + back(echo) + told("ERR NO_SUCH_USER SEND bob is not online"))
    assert items(session) == [HEARD]
    assert [notice.code for notice in notices(session)] == ["NO_SUCH_USER"]
    assert (echo.done, echo.error, session.ended) == (True, None, None)


@pytest.mark.parametrize("data", [HI, BYE])
def test_the_end_after_a_logout_is_what_was_asked_for(data: bytes) -> None:
    session = session_of()
    session.send(Logout())
    session.hear(data)
    session.hear(b"")
    assert isinstance(session.ended, LocalProtocolError)
    assert session.ended.code is ErrorCode.NOT_LOGGED_IN


def test_a_logout_that_could_not_be_said_is_none() -> None:
    session = ChatSession("alice", limits=Limits(bad_lines=1))
    session.start(b"n")
    session.hear(b"bad\n")
    with pytest.raises(LocalProtocolError):
        session.send(Logout())
    assert not session.logged_out
    start_again(session, b"m")
