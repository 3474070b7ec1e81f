"""chatproto.client.session: how a connection ends, and what is left of it on the next one."""

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
    HI,
    HI_LINE,
    NO_BOB,
    back,
    closing_notice,
    items,
    line,
    new_session,
    notice_line,
    notices,
    session_of,
    start,
)

CLOSED = "the server has closed the connection"
SHUTDOWN = notice_line("ERR SHUTTING_DOWN - bye")


def reason_of_eof(session: ChatSession) -> tuple[str, str]:
    """End the server's stream; the code and the text of the error."""
    session.receive_eof()
    assert isinstance(session.error, ConnectionLostError)
    return session.error.code, session.error.text


def test_the_end_of_the_stream() -> None:
    session = session_of()
    session.receive_data(HI_LINE)
    assert reason_of_eof(session) == ("", CLOSED)
    assert items(session) == [HI]


def test_half_a_line_is_dropped() -> None:
    session = session_of()
    session.receive_data(HI_LINE + HI_LINE[:-1])
    assert reason_of_eof(session) == ("", CLOSED)
    assert items(session) == [HI]
    assert session.invalid_lines == 0


WORDS = [words for reason in CloseReason if (words := closing_notice(reason)) is not None]


@pytest.mark.parametrize("words", WORDS)
def test_the_last_notice_is_the_reason(words: Receive) -> None:
    session = session_of()
    session.receive_data(HI_LINE + encode(words))
    [notice] = notices(session)
    assert reason_of_eof(session) == (notice.code, f"{CLOSED}: {notice.text}")
    assert notice.code in list(ErrorCode)
    assert items(session) == [HI]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ("ERR MOVED - to another port", "MOVED", f"{CLOSED}: to another port"),
        ("Good night.", "", f"{CLOSED}: Good night."),
    ],
)
def test_the_last_notice_of_another_server(words: str, code: str, text: str) -> None:
    session = session_of()
    session.receive_data(notice_line(words))
    assert reason_of_eof(session) == (code, text)


def test_half_a_line_after_the_last_notice_does_not_count() -> None:
    session = session_of()
    session.receive_data(SHUTDOWN + HI_LINE[:-1])
    assert reason_of_eof(session) == ("SHUTTING_DOWN", f"{CLOSED}: bye")


@pytest.mark.parametrize(
    "data",
    [
        HI_LINE,
        b"bad\n",
        NO_BOB,
        line("alice", b"\0chatproto echo x"),
    ],
)
def test_a_notice_that_something_follows_is_not_the_reason(data: bytes) -> None:
    session = session_of()
    session.receive_data(SHUTDOWN + data)
    assert reason_of_eof(session) == ("", CLOSED)


def test_the_answer_to_a_command_is_not_the_reason() -> None:
    session = session_of()
    session.receive_data(NO_BOB)
    assert reason_of_eof(session) == ("", CLOSED)


def test_the_last_notice_on_one_connection_is_not_the_reason_on_the_next() -> None:
    session = session_of()
    session.receive_data(SHUTDOWN)
    session.connection_lost(CABLE)
    session.start()
    assert reason_of_eof(session) == ("", CLOSED)


def test_the_last_notice_can_be_taken() -> None:
    session = session_of()
    session.receive_data(SHUTDOWN)
    session.receive_eof()
    assert notices(session) == [Notice(ErrorCode.SHUTTING_DOWN, "-", "bye")]


def test_the_first_reason_stays() -> None:
    session = session_of()
    session.connection_lost(CABLE)
    session.connection_lost(ConnectionLostError("closed"))
    session.receive_eof()
    assert session.error is CABLE


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", ErrorCode.MALFORMED),
        (b"CHAT/2.0 WELCOME\n", ErrorCode.UNSUPPORTED_VERSION),
        (b"CHAT/1.0 LOGIN alice\n", ErrorCode.WRONG_DIRECTION),
        (b"x" * 4096, ErrorCode.LINE_TOO_LONG),
    ],
)
def test_another_server_than_a_chat_server(data: bytes, code: ErrorCode) -> None:
    session = new_session("alice")
    _, ping = session.start()
    session.receive_data(HI_LINE + data)
    assert isinstance(session.error, RemoteProtocolError)
    assert session.error.code is code
    assert session.error.text.startswith("this does not look like a chat server: ")
    assert (ping.done, ping.error) == (True, session.error)
    assert items(session) == [HI]


def test_nothing_is_received_after_the_end() -> None:
    """Or what is received would depend on how the stream is cut."""
    session = new_session("alice")
    session.start()
    session.receive_data(HI_LINE + b"garbage\n" + line("bob", b"late") + SHUTDOWN + b"garbage\n")
    assert (items(session), notices(session)) == ([HI], [])
    assert session.invalid_lines == 1


def test_99_bad_lines_in_a_row_are_allowed() -> None:
    session = session_of()
    session.receive_data((b"bad\n" * 99 + HI_LINE) * 2 + b"bad\n" * 99)
    assert (session.invalid_lines, session.error) == (3 * 99, None)


def test_100_bad_lines_in_a_row_end_the_connection() -> None:
    session = session_of()
    _, ping = session.ping()
    session.receive_data(HI_LINE + b"bad\n" * 100 + HI_LINE)
    session.receive_data(HI_LINE)
    assert items(session) == [HI]
    assert isinstance(session.error, RemoteProtocolError)
    assert session.error.code is ErrorCode.TOO_MANY
    assert ping.error is session.error


def test_the_number_of_bad_lines_can_be_set() -> None:
    session = session_of(limits=Limits(bad_lines=2))
    session.receive_data(b"bad\n")
    assert session.error is None
    session.receive_data(b"bad\n")
    assert session.error is not None


def test_a_new_connection_counts_bad_lines_anew_and_keeps_what_was_received() -> None:
    session = session_of(limits=Limits(bad_lines=2))
    session.receive_data(HI_LINE + notice_line("x") + b"bad\n" + HI_LINE[:9])
    session.connection_lost(CABLE)
    start(session)
    assert session.error is None
    session.receive_data(b"bad\n" + HI_LINE)
    assert session.error is None
    assert items(session) == [HI, HI]
    assert len(notices(session)) == 1
    assert session.invalid_lines == 2


def test_a_bad_line_before_the_login_ends_later_connections_too() -> None:
    session = session_of()
    session.connection_lost(CABLE)
    session.start()
    session.receive_data(b"bad\n")
    assert isinstance(session.error, RemoteProtocolError)


def test_nothing_can_be_sent_after_a_logout() -> None:
    session = session_of()
    assert not session.logged_out
    assert session.send(Logout()) == b"CHAT/1.0 LOGOUT\n"
    assert session.logged_out
    for send in (
        session.ping,
        lambda: session.login("bob"),
        lambda: session.send(Logout()),
        lambda: session.send(Login("bob")),
        session.start,
    ):
        with pytest.raises(LocalProtocolError, match="this client has logged out") as caught:
            send()
        assert caught.value.code is ErrorCode.NOT_LOGGED_IN


def test_after_a_logout_pings_and_notices_are_received_but_no_messages() -> None:
    session = session_of(max_queue=1)
    _, ping = session.ping()
    session.receive_data(HI_LINE)
    session.send(Logout())
    # Nothing of what follows is queued.
    assert session.wants_data
    session.receive_data(HI_LINE + back(ping) + NO_BOB)
    assert items(session) == [HI]
    assert [notice.code for notice in notices(session)] == ["NO_SUCH_USER"]
    assert (ping.done, ping.error, session.error) == (True, None, None)


@pytest.mark.parametrize("data", [HI_LINE, SHUTDOWN])
def test_the_end_after_a_logout_is_no_loss(data: bytes) -> None:
    session = session_of()
    session.send(Logout())
    session.receive_data(data)
    session.receive_eof()
    assert isinstance(session.error, LocalProtocolError)
    assert session.error.code is ErrorCode.NOT_LOGGED_IN


def test_a_logout_that_cannot_be_sent_changes_nothing() -> None:
    session = new_session("alice", limits=Limits(bad_lines=1))
    session.start()
    session.receive_data(b"bad\n")
    with pytest.raises(LocalProtocolError):
        session.send(Logout())
    assert not session.logged_out
    start(session)


def test_a_closed_session_sends_nothing_more() -> None:
    session = session_of()
    session.receive_data(HI_LINE)
    _, ping = session.ping()
    error = session.close()
    assert error.code is ErrorCode.NOT_LOGGED_IN
    assert session.error is ping.error is error
    for send in (session.ping, lambda: session.send(Logout()), session.start):
        with pytest.raises(LocalProtocolError, match="this client has logged out"):
            send()
    assert items(session) == [HI]


def test_closing_a_session_keeps_the_first_reason() -> None:
    session = session_of()
    session.connection_lost(CABLE)
    assert isinstance(session.close(), LocalProtocolError)
    assert session.error is CABLE
