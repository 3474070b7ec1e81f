"""chatproto.client.session: what a client sends, and how it sorts what it receives."""

import pytest

from chatproto import (
    Broadcast,
    ChatSession,
    Command,
    Disconnected,
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

from .sessions import (
    CABLE,
    HI,
    HI_LINE,
    NO_BOB,
    Tokens,
    back,
    items,
    line,
    new_session,
    notice_line,
    notices,
    session_of,
    start,
)


def test_a_new_session() -> None:
    session = new_session("alice")
    assert session.name == "alice"
    assert (session.error, session.invalid_lines, session.wants_data) == (None, 0, True)
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
def test_the_name_has_to_be_valid(name: str, code: ErrorCode) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        new_session(name)
    assert caught.value.code is code


@pytest.mark.parametrize("max_queue", [0, -1])
def test_max_queue_is_at_least_1(max_queue: int) -> None:
    with pytest.raises(ValueError, match="max_queue is at least 1"):
        new_session("alice", max_queue=max_queue)
    assert new_session("alice", max_queue=1).wants_data


@pytest.mark.parametrize(
    ("groups", "question"), [(True, b"CHAT/1.0 SEND *groups* on\n"), (False, b"")]
)
def test_a_connection_begins_with_a_login_and_a_ping(groups: bool, question: bytes) -> None:
    """The question for labels stands between them, so its answer costs no round trip."""
    data, ping = ChatSession("alice", Tokens(), groups=groups).start()
    assert data == (
        b"CHAT/1.0 LOGIN alice\n" + question + b"CHAT/1.0 SEND alice \0chatproto echo token 1\n"
    )
    assert (ping.name, ping.login, ping.done, ping.error) == ("alice", True, False, None)


@pytest.mark.parametrize(
    ("command", "data"),
    [
        (Send("bob", b" hi "), b"CHAT/1.0 SEND bob  hi \n"),
        (Broadcast("g1", b""), b"CHAT/1.0 BROADCAST g1 \n"),
        (Group("g1", ["alice"]), b"CHAT/1.0 GROUP g1 alice\n"),
        (Leave("g1"), b"CHAT/1.0 LEAVE g1\n"),
    ],
)
def test_commands_are_encoded(command: Command, data: bytes) -> None:
    assert session_of().send(command) == data


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (Receive("bob", b"hi"), ErrorCode.WRONG_DIRECTION),
        (Send("bob", b"x" * 4078), ErrorCode.LINE_TOO_LONG),
    ],
)
def test_a_command_that_cannot_be_sent_changes_nothing(command: Command, code: ErrorCode) -> None:
    session = session_of()
    with pytest.raises(LocalProtocolError) as caught:
        session.send(command)
    assert caught.value.code is code
    assert session.send(Leave("g1")) == b"CHAT/1.0 LEAVE g1\n"


def test_nothing_can_be_sent_before_the_login() -> None:
    session = new_session("alice")
    for send in (session.ping, lambda: session.send(Leave("g1"))):
        with pytest.raises(LocalProtocolError) as caught:
            send()
        assert caught.value.code is ErrorCode.NOT_LOGGED_IN
    start(session)


def test_messages_are_kept_in_order() -> None:
    session = session_of()
    session.receive_data(HI_LINE + line("*bot*", b"") + line("bob", b"\xff \r."))
    assert items(session) == [HI, Message("*bot*", b""), Message("bob", b"\xff \r.")]


def test_a_line_may_arrive_in_pieces() -> None:
    session = session_of()
    for byte in HI_LINE:
        assert items(session) == []
        session.receive_data(bytes([byte]))
    assert items(session) == [HI]


def test_messages_before_the_login_is_decided_are_kept() -> None:
    """Other users may send to the name at once."""
    session = new_session("alice")
    _, ping = session.start()
    session.receive_data(HI_LINE + back(ping))
    assert items(session) == [HI]


def test_notices_and_messages_are_kept_apart() -> None:
    session = session_of()
    session.receive_data(NO_BOB + HI_LINE + notice_line("Welcome!"))
    assert items(session) == [HI]
    assert notices(session) == [
        Notice(ErrorCode.NO_SUCH_USER, "SEND", "bob is not online"),
        Notice("", "-", "Welcome!"),
    ]


def test_new_notices_replace_the_oldest() -> None:
    session = session_of()
    session.receive_data(b"".join(notice_line(f"{number}") for number in range(250)))
    assert notices(session) == [Notice("", "-", f"{number}") for number in range(150, 250)]


def test_the_refusal_of_no_login_is_a_notice() -> None:
    session = session_of()
    session.receive_data(notice_line("ERR NAME_IN_USE LOGIN bob is logged in already"))
    assert notices(session) == [Notice(ErrorCode.NAME_IN_USE, "LOGIN", "bob is logged in already")]
    assert session.name == "alice"


@pytest.mark.parametrize("bad", [b"\n", b"bad\n", b"CHAT/1.0 LOGOUT\n", b"x" * 9999 + b"\n"])
def test_a_bad_line_is_counted_and_skipped(bad: bytes) -> None:
    session = session_of()
    session.receive_data(HI_LINE + bad + HI_LINE)
    session.receive_data(bad)
    assert items(session) == [HI, HI]
    assert (session.invalid_lines, session.error) == (2, None)


def test_the_longest_line_can_be_set() -> None:
    session = session_of(limits=Limits(max_line=512))
    with pytest.raises(LocalProtocolError, match="512 are allowed"):
        session.send(Send("bob", b"x" * 500))
    session.receive_data(line("bob", b"x" * 500) + HI_LINE)
    assert (session.invalid_lines, items(session)) == (1, [HI])


def test_a_new_connection_is_an_item() -> None:
    session = session_of()
    session.receive_data(HI_LINE)
    session.connection_lost(CABLE)
    # It comes before all that the new connection brings, even before the login is decided.
    _, ping = session.start()
    session.receive_data(HI_LINE + back(ping))
    session.reconnected(1.5)
    session.receive_data(HI_LINE)
    assert items(session) == [HI, Reconnected(1.5), HI, HI]


def test_it_wants_data_as_long_as_there_is_room() -> None:
    session = session_of(max_queue=2)
    wanted = []
    for data in (HI_LINE, notice_line("a notice"), HI_LINE, HI_LINE):
        session.receive_data(data)
        wanted.append(session.wants_data)
    assert wanted == [True, True, False, False]
    session.take_item()
    assert not session.wants_data
    session.take_item()
    assert session.wants_data


def test_it_wants_data_until_the_login_is_decided() -> None:
    """Items of the connection before may fill the queue, and the answer comes behind others."""
    session = session_of(max_queue=1)
    session.receive_data(HI_LINE)
    session.connection_lost(CABLE)
    _, ping = session.start()
    assert session.wants_data
    session.receive_data(HI_LINE)
    assert session.wants_data
    session.receive_data(back(ping))
    assert not session.wants_data


def test_one_read_may_exceed_the_queue() -> None:
    session = session_of(max_queue=1)
    session.receive_data(HI_LINE * 3)
    assert items(session) == [HI] * 3


def test_two_sessions_share_nothing() -> None:
    one, other = session_of(), session_of("bob")
    one.receive_data(HI_LINE + notice_line("x") + b"bad\n" + HI_LINE[:9])
    other.receive_data(HI_LINE)
    assert (items(other), notices(other), other.invalid_lines) == ([HI], [], 0)
    one.receive_eof()
    assert other.error is None


def test_the_item_of_a_new_connection_keeps_its_place_when_others_are_taken() -> None:
    session = session_of()
    session.receive_data(HI_LINE * 2)
    session.connection_lost(CABLE)
    _, ping = session.start()
    assert session.take_item() == HI
    session.receive_data(HI_LINE + back(ping))
    session.reconnected(1.5)
    assert items(session) == [HI, Reconnected(1.5), HI]


# Outages


def test_an_outage_is_two_items() -> None:
    session = session_of()
    session.receive_data(HI_LINE)
    session.connection_lost(CABLE)
    session.disconnected(CABLE)
    start(session)
    session.reconnected(1.5)
    session.receive_data(HI_LINE)
    assert items(session) == [HI, Disconnected(CABLE), Reconnected(1.5), HI]


def test_outages_with_nothing_between_them_are_one() -> None:
    """So a client that nobody receives from does not grow."""
    session = session_of()
    for downtime in (1.0, 2.0, 4.0):
        session.disconnected(CABLE)
        start(session)
        session.reconnected(downtime)
    assert items(session) == [Disconnected(CABLE), Reconnected(7.0)]
    session.disconnected(CABLE)
    assert items(session) == [Disconnected(CABLE)]
    start(session)
    session.reconnected(1.0)
    session.disconnected(CABLE)
    start(session)
    session.reconnected(2.0)
    assert items(session) == [Reconnected(3.0)]


def test_outages_need_no_room() -> None:
    session = session_of(max_queue=1)
    session.disconnected(CABLE)
    start(session)
    session.reconnected(1.0)
    assert session.wants_data
    session.receive_data(HI_LINE)
    assert not session.wants_data


def test_messages_are_taken_without_outages() -> None:
    session = session_of()
    session.disconnected(CABLE)
    start(session)
    session.reconnected(1.0)
    assert session.take_message() is None
    session.receive_data(HI_LINE)
    session.disconnected(CABLE)
    assert (session.take_message(), session.take_message()) == (HI, None)
