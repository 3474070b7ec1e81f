"""chatproto.wire.connection: one end of one connection."""

import re
from itertools import islice

import pytest

from chatproto import (
    ChatConnection,
    Command,
    ConnectionClosed,
    ErrorCode,
    Event,
    Group,
    Invalid,
    Leave,
    Limits,
    LineLimits,
    LocalProtocolError,
    Login,
    Logout,
    Receive,
    Role,
    Send,
    State,
)
from chatproto.wire.connection import RUN

LOGIN = b"CHAT/1.0 LOGIN alice\n"
LOGOUT = b"CHAT/1.0 LOGOUT\n"
HI = b"CHAT/1.0 SEND bob hi\n"
RECEIVED = b"CHAT/1.0 RECEIVE bob hi\n"
CLOSED = ConnectionClosed()


def server(limits: Limits = Limits()) -> ChatConnection:
    """The server's end of a connection on which alice is logged in."""
    connection = ChatConnection(Role.SERVER, limits)
    assert connection.receive_data(LOGIN) == [Login("alice")]
    return connection


def client() -> ChatConnection:
    """The client's end of a connection on which alice is logged in."""
    connection = ChatConnection(Role.CLIENT)
    assert connection.send(Login("alice")) == LOGIN
    return connection


def malformed(line: bytes) -> Invalid:
    return Invalid(ErrorCode.MALFORMED, line)


@pytest.mark.parametrize("role", Role)
def test_a_new_connection(role: Role) -> None:
    connection = ChatConnection(role)
    assert connection.our_role is role
    assert connection.state is State.ANONYMOUS
    assert connection.name is None


def test_the_last_login_names_the_connection() -> None:
    connection = server()
    assert connection.name == "alice"
    connection.receive_data(b"CHAT/1.0 LOGIN ali\n")
    assert connection.name == "ali"
    assert connection.state is State.LOGGED_IN


def test_a_closed_connection_keeps_its_name() -> None:
    connection = server()
    connection.receive_data(LOGOUT)
    assert (connection.state, connection.name) == (State.CLOSED, "alice")


def test_a_client_knows_its_own_name() -> None:
    assert client().name == "alice"


def test_a_bad_login_does_not_name_the_connection() -> None:
    connection = server()
    connection.receive_data(b"CHAT/1.0 LOGIN a b\nCHAT/1.0 LOGIN *x\n")
    assert connection.name == "alice"


def test_lines_before_and_after_a_bad_line_are_parsed() -> None:
    assert server().receive_data(HI + b"hello world\n" + HI) == [
        Send("bob", b"hi"),
        malformed(b"hello world"),
        Send("bob", b"hi"),
    ]


def test_a_line_that_is_too_long_is_thrown_away_through_its_lf() -> None:
    """The reference server executes the rest of it as a new command."""
    connection = server()
    line = b"CHAT/1.0 SEND bob ".ljust(4096, b"x")
    assert connection.receive_data(line + LOGOUT + HI) == [
        Invalid(ErrorCode.LINE_TOO_LONG, line),
        Send("bob", b"hi"),
    ]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_longest_line_is_parsed(end: bytes) -> None:
    data = b"x" * (4096 - len(b"CHAT/1.0 SEND bob ") - len(end))
    assert server().receive_data(b"CHAT/1.0 SEND bob " + data + end) == [Send("bob", data)]


def test_max_line_can_be_set() -> None:
    connection = server(Limits(max_line=512))
    line = b"CHAT/1.0 SEND bob ".ljust(512, b"x") + b"\n"
    assert connection.receive_data(line[1:] + HI) == [malformed(line[1:-1]), Send("bob", b"hi")]
    assert connection.receive_data(line) == [Invalid(ErrorCode.LINE_TOO_LONG, line[:512])]


def test_nothing_after_logout_is_parsed() -> None:
    connection = server()
    assert connection.receive_data(HI + LOGOUT + HI + b"junk\n") == [Send("bob", b"hi"), Logout()]
    assert connection.receive_data(HI + LOGIN + b"x" * 9999) == []
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("code", [ErrorCode.NOT_LOGGED_IN, ErrorCode.WRONG_DIRECTION])
def test_a_line_that_is_not_allowed_now_is_invalid(code: ErrorCode) -> None:
    line = HI if code is ErrorCode.NOT_LOGGED_IN else RECEIVED
    connection = ChatConnection(Role.SERVER)
    assert connection.receive_data(line) == [Invalid(code, line[:-1])]
    assert connection.state is State.ANONYMOUS


@pytest.mark.parametrize("stop", range(6))
def test_parse_may_stop_in_the_middle_and_go_on_later(stop: int) -> None:
    lines = [HI, b"junk\n", b"CHAT/1.0 LOGIN ali\n", HI, LOGOUT, HI]
    connection = server()
    events = list(islice(connection.parse(b"".join(lines)), stop))
    assert connection.name == ("alice" if stop < 3 else "ali")
    events += connection.parse(b"".join(lines[stop:]))
    assert events == server().receive_data(b"".join(lines))


BAD = b"bad\n"


@pytest.mark.parametrize("bad", [BAD, RECEIVED, b"x" * 5000 + b"\n", b"CHAT/1.0 LOGIN *\n"])
def test_100_bad_lines_in_a_row_close_the_connection(bad: bytes) -> None:
    connection = server()
    events = connection.receive_data(bad * 100 + HI)
    assert [type(event) for event in events] == [Invalid] * 100 + [ConnectionClosed]
    assert connection.state is State.CLOSED
    assert connection.receive_data(HI) == []


def test_99_bad_lines_in_a_row_do_not() -> None:
    connection = server()
    events = connection.receive_data((BAD * 99 + HI) * 3 + BAD * 99)
    assert events.count(malformed(b"bad")) == 4 * 99
    assert CLOSED not in events
    assert connection.receive_data(BAD) == [malformed(b"bad"), CLOSED]


def test_bad_lines_can_be_set() -> None:
    connection = server(Limits(bad_lines=1))
    assert connection.receive_data(BAD + BAD) == [malformed(b"bad"), CLOSED]


def test_bad_lines_are_counted_across_calls() -> None:
    connection = server(Limits(bad_lines=2))
    assert connection.receive_data(BAD) == [malformed(b"bad")]
    assert connection.receive_data(BAD) == [malformed(b"bad"), CLOSED]


def test_a_run_of_good_lines_resets_the_count_of_bad_lines() -> None:
    connection = server(Limits(bad_lines=2))
    connection.receive_data(BAD)
    assert connection.receive_data(HI * RUN) == [Send("bob", b"hi")] * RUN
    assert connection.receive_data(BAD) == [malformed(b"bad")]


def test_bad_lines_close_a_clients_end_too() -> None:
    connection = client()
    events = connection.receive_data(BAD * 100 + RECEIVED)
    assert events == [malformed(b"bad")] * 100 + [CLOSED]
    assert connection.state is State.CLOSED


def test_a_client_parses_nothing_after_too_many_bad_lines() -> None:
    connection = client()
    connection.receive_data(BAD * 100)
    assert connection.receive_data(RECEIVED) == []


def test_the_end_of_the_stream() -> None:
    connection = server()
    assert connection.receive_eof() == [CLOSED]
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("half", [b"C", HI[:-1], LOGOUT[:-1], HI[:-1] + b"\r", b"x" * 4095])
def test_a_line_without_an_end_is_truncated(half: bytes) -> None:
    connection = server()
    assert connection.receive_data(HI + half) == [Send("bob", b"hi")]
    assert connection.receive_eof() == [Invalid(ErrorCode.TRUNCATED, half), CLOSED]


def test_a_line_that_is_too_long_and_never_ends_is_reported_once() -> None:
    connection = server()
    assert connection.receive_data(b"x" * 4096) == [Invalid(ErrorCode.LINE_TOO_LONG, b"x" * 4096)]
    assert connection.receive_data(b"x") == []
    assert connection.receive_eof() == [CLOSED]


def test_a_line_without_an_end_after_logout_is_ignored() -> None:
    connection = server()
    connection.receive_data(LOGOUT + b"CHAT/1")
    assert connection.receive_eof() == [CLOSED]


def test_a_client_receives_the_rest_after_its_logout() -> None:
    connection = client()
    assert connection.send(Logout()) == LOGOUT
    assert connection.receive_data(RECEIVED + b"half") == [Receive("bob", b"hi")]
    assert connection.receive_eof() == [Invalid(ErrorCode.TRUNCATED, b"half"), CLOSED]


@pytest.mark.parametrize("role", Role)
def test_nothing_is_parsed_after_the_end_of_the_stream(role: Role) -> None:
    connection = ChatConnection(role)
    connection.receive_data(b"half")
    connection.receive_eof()
    assert connection.receive_data(b"\n" + LOGIN + RECEIVED) == []
    assert connection.receive_eof() == [CLOSED]


MISTAKES: list[tuple[Role, Command, ErrorCode]] = [
    (Role.CLIENT, Receive("bob", b"hi"), ErrorCode.WRONG_DIRECTION),
    (Role.SERVER, Send("bob", b"hi"), ErrorCode.WRONG_DIRECTION),
    (Role.SERVER, Login("bob"), ErrorCode.WRONG_DIRECTION),
    (Role.CLIENT, Send("bob", b"x" * 4078), ErrorCode.LINE_TOO_LONG),
    (Role.CLIENT, Group("g", ["x" * 64] * 63), ErrorCode.LINE_TOO_LONG),
    (Role.SERVER, Receive("bob", b"x" * 4075), ErrorCode.LINE_TOO_LONG),
]


@pytest.mark.parametrize(("role", "event", "code"), MISTAKES)
def test_a_local_mistake_changes_nothing(role: Role, event: Command, code: ErrorCode) -> None:
    connection = client() if role is Role.CLIENT else server()
    with pytest.raises(LocalProtocolError) as caught:
        connection.send(event)
    assert caught.value.code is code
    assert (connection.state, connection.name) == (State.LOGGED_IN, "alice")
    ours: Command = Send("bob", b"hi") if role is Role.CLIENT else Receive("bob", b"hi")
    assert connection.send(ours) in (HI, RECEIVED)


@pytest.mark.parametrize("event", [Invalid(ErrorCode.MALFORMED, b"x"), CLOSED])
def test_what_does_not_travel_cannot_be_sent(event: Event) -> None:
    connection = client()
    with pytest.raises(LocalProtocolError, match="does not travel"):
        connection.send(event)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert connection.state is State.LOGGED_IN


def test_the_longest_line_is_sent() -> None:
    assert len(client().send(Send("bob", b"x" * 4077))) == 4096


def test_the_error_says_how_long_the_line_is() -> None:
    with pytest.raises(LocalProtocolError, match="4097 bytes, and 4096"):
        client().send(Send("bob", b"x" * 4078))


def test_a_command_before_login_changes_nothing() -> None:
    connection = ChatConnection(Role.CLIENT)
    with pytest.raises(LocalProtocolError) as caught:
        connection.send(Leave("g1"))
    assert caught.value.code is ErrorCode.NOT_LOGGED_IN
    assert connection.state is State.ANONYMOUS
    assert connection.send(Login("alice")) == LOGIN


def test_two_connections_share_nothing() -> None:
    one, other = server(), ChatConnection(Role.SERVER)
    one.receive_data(b"half a ")
    assert other.receive_data(LOGIN) == [Login("alice")]
    assert one.receive_data(b"line\n") == [malformed(b"half a line")]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_can_be_received(kind: type[bytes]) -> None:
    connection = ChatConnection(Role.SERVER)
    assert connection.receive_data(kind(b"CHAT/1.0 LOGIN al")) == []
    events = connection.receive_data(kind(b"ice\nCHAT/1.0 SEND bob x\n"))
    assert events == [Login("alice"), Send("bob", b"x")]
    assert type(events[1].data) is bytes  # type: ignore[union-attr]


def test_what_we_send_does_not_reset_the_count_of_bad_lines() -> None:
    connection = ChatConnection(Role.SERVER, Limits(bad_lines=2))
    connection.receive_data(b"junk\n")
    connection.send(Receive("bob", b"hi"))
    assert connection.receive_data(b"junk\n")[-1] == ConnectionClosed()


def test_an_invalid_line_has_words_for_people() -> None:
    [invalid] = ChatConnection(Role.SERVER).receive_data(b"CHAT/1.0 LOGIN a b\n")
    assert invalid == Invalid(ErrorCode.MALFORMED, b"CHAT/1.0 LOGIN a b")
    assert isinstance(invalid, Invalid)
    assert invalid.text == "this takes one name"


@pytest.mark.parametrize("rest", [b"", b"x\n", HI * RUN])
def test_a_caller_that_stops_after_too_many_bad_lines_gets_the_end_later(rest: bytes) -> None:
    connection = server(Limits(bad_lines=2))
    events = connection.parse(b"x\ny\n")
    assert [type(next(events)) for _ in range(2)] == [Invalid, Invalid]
    del events
    assert connection.receive_data(rest) == [ConnectionClosed()]
    assert connection.receive_data(b"CHAT/1.0 LOGIN a\n") == []


def test_other_limits_hold_from_the_next_line_on() -> None:
    connection = ChatConnection(Role.CLIENT, LineLimits(max_line=512))
    long = b"CHAT/1.0 RECEIVE bob ".ljust(600, b"a") + b"\n"
    assert connection.receive_data(long[:500]) == []
    connection.reconfigure(LineLimits(max_line=700, bad_lines=1))
    [event] = connection.receive_data(long[500:])
    assert isinstance(event, Receive)
    connection.reconfigure(LineLimits(max_line=512, bad_lines=1))
    events = connection.receive_data(long)
    assert [type(each) for each in events] == [Invalid, ConnectionClosed]


@pytest.mark.parametrize("rest", [b"", b"CHAT/1.0 SEND bob ha"])
def test_a_run_of_messages_is_not_parsed_line_by_line(
    rest: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = server()
    monkeypatch.setattr("chatproto.wire.connection.decode", None)
    assert one.receive_data(HI * RUN + rest) == [Send("bob", b"hi")] * RUN
    assert one.partial_line == rest


@pytest.mark.parametrize("rest", [b"", b"CHAT/1.0 SEND bob ha", b"\n" * 4])
@pytest.mark.parametrize(
    "before",
    [
        b"",
        LOGIN,
        LOGIN + b"CHAT/1.0 SEND bob hi",
        LOGIN + b"\n" * 2,
        LOGIN + b"\n" * 3,
        LOGIN + LOGOUT,
    ],
)
@pytest.mark.parametrize("number", [RUN - 1, RUN, RUN + 1])
def test_a_run_of_messages_gives_the_events_of_its_lines(
    number: int, before: bytes, rest: bytes
) -> None:
    run = HI * number
    one, other = (ChatConnection(Role.SERVER, LineLimits(bad_lines=3)) for _ in range(2))
    expected = [
        event
        for line in re.findall(rb"[^\n]*\n|[^\n]+", before + run + rest)
        for event in one.receive_data(line)
    ]
    assert [*other.receive_data(before), *other.receive_data(run + rest)] == expected
    # A bad line in front does not count any more after a good one.
    assert other.receive_data(b"\n\n") == one.receive_data(b"\n\n")
    assert other.state is one.state
