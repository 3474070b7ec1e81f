"""chatproto.client.session: what a client says, and what it hears."""

import pytest

from chatproto import (
    Broadcast,
    ChatSession,
    Command,
    ErrorCode,
    Group,
    Leave,
    Limits,
    LocalProtocolError,
    Message,
    Notice,
    Receive,
    Reconnected,
    Send,
)

from .sessions import CABLE, HEARD, HI, back, items, line, notices, session_of, start_again, told


def test_a_new_session() -> None:
    session = ChatSession("alice")
    assert session.name == "alice"
    assert (session.ended, session.invalid_lines, session.hungry) == (None, 0, True)
    assert session.take_item() is None
    assert session.take_notice() is None


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", ErrorCode.BAD_NAME),
        ("a b", ErrorCode.BAD_NAME),
        ("x" * 65, ErrorCode.BAD_NAME),
        ("*alice", ErrorCode.NAME_RESERVED),
    ],
)
def test_nobody_can_be_called_that(name: str, code: ErrorCode) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        ChatSession(name)
    assert caught.value.code is code


@pytest.mark.parametrize("max_queue", [0, -1])
def test_a_queue_has_room_for_one(max_queue: int) -> None:
    with pytest.raises(ValueError, match="max_queue is at least 1"):
        ChatSession("alice", max_queue=max_queue)
    assert ChatSession("alice", max_queue=1).hungry


def test_it_begins_with_a_login_and_something_to_itself() -> None:
    data, echo = ChatSession("alice").start(b"nonce")
    assert data == b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND alice \0chatproto echo nonce 1\n"
    assert (echo.name, echo.login, echo.done, echo.error) == ("alice", True, False, None)


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (Send("bob", b" hi "), b"CHAT/1.0 SEND bob  hi \n"),
        (Broadcast("g1", b""), b"CHAT/1.0 BROADCAST g1 \n"),
        (Group("g1", ["alice"]), b"CHAT/1.0 GROUP g1 alice\n"),
        (Leave("g1"), b"CHAT/1.0 LEAVE g1\n"),
    ],
)
def test_what_it_says(command: Command, data: bytes) -> None:
    assert session_of().send(command) == data


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Receive("bob", b"hi"), ErrorCode.WRONG_DIRECTION),
        (Send("bob", b"x" * 4078), ErrorCode.LINE_TOO_LONG),
    ],
)
def test_a_mistake_changes_nothing(command: Command, code: ErrorCode) -> None:
    session = session_of()
    with pytest.raises(LocalProtocolError) as caught:
        session.send(command)
    assert caught.value.code is code
    assert session.send(Leave("g1")) == b"CHAT/1.0 LEAVE g1\n"


def test_nothing_can_be_said_before_the_login() -> None:
    session = ChatSession("alice")
    for say in (session.ping, lambda: session.send(Leave("g1"))):
        with pytest.raises(LocalProtocolError) as caught:
            say()
        assert caught.value.code is ErrorCode.NOT_LOGGED_IN
    start_again(session, b"n")


def test_messages_wait_in_the_order_in_which_they_came() -> None:
    session = session_of()
    session.hear(HI + line("*bot*", b"") + line("bob", b"\xff \r."))
    assert items(session) == [HEARD, Message("*bot*", b""), Message("bob", b"\xff \r.")]


def test_a_line_may_come_in_pieces() -> None:
    session = session_of()
    for octet in HI:
        assert items(session) == []
        session.hear(bytes([octet]))
    assert items(session) == [HEARD]


def test_what_is_heard_before_the_login_is_decided_is_kept() -> None:
    """Others may write to the name at once."""
    session = ChatSession("alice")
    _, echo = session.start(b"n")
    session.hear(HI + back(echo))
    assert items(session) == [HEARD]


def test_notices_are_apart_from_messages() -> None:
    session = session_of()
    session.hear(told("ERR NO_SUCH_USER SEND bob is not online") + HI + told("Welcome!"))
    assert items(session) == [HEARD]
    assert notices(session) == [
        Notice(ErrorCode.NO_SUCH_USER, "SEND", "bob is not online"),
        Notice("", "-", "Welcome!"),
    ]


def test_notices_that_nobody_takes_make_way_for_new_ones() -> None:
    session = session_of()
    session.hear(b"".join(told(f"{number}") for number in range(250)))
    assert notices(session) == [Notice("", "-", f"{number}") for number in range(150, 250)]


def test_a_refused_login_that_nobody_waits_for_is_a_notice() -> None:
    session = session_of()
    session.hear(told("ERR NAME_IN_USE LOGIN bob is logged in already"))
    assert notices(session) == [Notice(ErrorCode.NAME_IN_USE, "LOGIN", "bob is logged in already")]
    assert session.name == "alice"


@pytest.mark.parametrize("bad", [b"\n", b"bad\n", b"CHAT/1.0 LOGOUT\n", b"x" * 9999 + b"\n"])
def test_a_bad_line_is_counted_and_costs_nothing(bad: bytes) -> None:
    session = session_of()
    session.hear(HI + bad + HI)
    session.hear(bad)
    assert items(session) == [HEARD, HEARD]
    assert (session.invalid_lines, session.ended) == (2, None)


def test_how_long_lines_may_be_can_be_said() -> None:
    session = session_of(limits=Limits(max_line=512))
    with pytest.raises(LocalProtocolError, match="512 are allowed"):
        session.send(Send("bob", b"x" * 500))
    session.hear(line("bob", b"x" * 500) + HI)
    assert (session.invalid_lines, items(session)) == (1, [HEARD])


def test_those_who_listen_are_told_of_a_new_connection() -> None:
    session = session_of()
    session.hear(HI)
    session.lose(CABLE)
    # What comes on the new connection before the login is decided comes after the news.
    _, echo = session.start(b"m")
    session.hear(HI + back(echo))
    session.reconnected(1.5)
    session.hear(HI)
    assert items(session) == [HEARD, Reconnected(1.5), HEARD, HEARD]


def test_it_is_hungry_as_long_as_there_is_room() -> None:
    session = session_of(max_queue=2)
    hungers = []
    for data in (HI, told("no message"), HI, HI):
        session.hear(data)
        hungers.append(session.hungry)
    assert hungers == [True, True, False, False]
    session.take_item()
    assert not session.hungry
    session.take_item()
    assert session.hungry


def test_what_came_at_once_is_kept_even_where_there_is_no_room() -> None:
    session = session_of(max_queue=1)
    session.hear(HI * 3)
    assert items(session) == [HEARD] * 3


def test_two_sessions_share_nothing() -> None:
    one, other = session_of(), session_of("bob")
    one.hear(HI + told("x") + b"bad\n" + HI[:9])
    other.hear(HI)
    assert (items(other), notices(other), other.invalid_lines) == ([HEARD], [], 0)
    one.hear(b"")
    assert other.ended is None


def test_the_news_of_a_new_connection_keep_their_place_when_something_is_taken() -> None:
    session = session_of()
    session.hear(HI * 2)
    session.lose(CABLE)
    _, echo = session.start(b"m")
    assert session.take_item() == HEARD
    session.hear(HI + back(echo))
    session.reconnected(1.5)
    assert items(session) == [HEARD, Reconnected(1.5), HEARD]
