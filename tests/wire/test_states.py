"""chatproto.wire.states: every state, role and event, as protocol.md has it.

The expectations are written down here once more, so that they do not come from the table itself.
"""

from typing import get_args

import pytest

from chatproto import (
    TRANSITIONS,
    Broadcast,
    ChatConnection,
    Command,
    ConnectionClosed,
    ErrorCode,
    Event,
    Group,
    Invalid,
    Leave,
    LocalProtocolError,
    Login,
    Logout,
    Receive,
    Role,
    Send,
    State,
)
from chatproto.wire.codec import encode
from chatproto.wire.states import objection

ANON, IN, OVER = State.ANONYMOUS, State.LOGGED_IN, State.CLOSED
CLIENT, SERVER = Role.CLIENT, Role.SERVER

LOGIN, LOGOUT = Login("alice"), Logout()
SEND, BROADCAST = Send("bob", b"hi"), Broadcast("g1", b"hi")
GROUP, LEAVE = Group("g1", ["bob"]), Leave("g1")
RECEIVE = Receive("bob", b"hi")
INVALID, CLOSED = Invalid(ErrorCode.MALFORMED, b"x"), ConnectionClosed()

# The state, the sender, its event, and the next state; None where the event is not allowed.
WALK: list[tuple[State, Role, Event, State | None]] = [
    (ANON, CLIENT, LOGIN, IN),
    (ANON, CLIENT, LOGOUT, OVER),
    (ANON, CLIENT, SEND, None),
    (ANON, CLIENT, BROADCAST, None),
    (ANON, CLIENT, GROUP, None),
    (ANON, CLIENT, LEAVE, None),
    (ANON, CLIENT, RECEIVE, None),
    (ANON, CLIENT, INVALID, None),
    (ANON, CLIENT, CLOSED, OVER),
    (ANON, SERVER, LOGIN, None),
    (ANON, SERVER, LOGOUT, None),
    (ANON, SERVER, SEND, None),
    (ANON, SERVER, BROADCAST, None),
    (ANON, SERVER, GROUP, None),
    (ANON, SERVER, LEAVE, None),
    (ANON, SERVER, RECEIVE, ANON),
    (ANON, SERVER, INVALID, None),
    (ANON, SERVER, CLOSED, OVER),
    (IN, CLIENT, LOGIN, IN),
    (IN, CLIENT, LOGOUT, OVER),
    (IN, CLIENT, SEND, IN),
    (IN, CLIENT, BROADCAST, IN),
    (IN, CLIENT, GROUP, IN),
    (IN, CLIENT, LEAVE, IN),
    (IN, CLIENT, RECEIVE, None),
    (IN, CLIENT, INVALID, None),
    (IN, CLIENT, CLOSED, OVER),
    (IN, SERVER, LOGIN, None),
    (IN, SERVER, LOGOUT, None),
    (IN, SERVER, SEND, None),
    (IN, SERVER, BROADCAST, None),
    (IN, SERVER, GROUP, None),
    (IN, SERVER, LEAVE, None),
    (IN, SERVER, RECEIVE, IN),
    (IN, SERVER, INVALID, None),
    (IN, SERVER, CLOSED, OVER),
    (OVER, CLIENT, LOGIN, None),
    (OVER, CLIENT, LOGOUT, None),
    (OVER, CLIENT, SEND, None),
    (OVER, CLIENT, BROADCAST, None),
    (OVER, CLIENT, GROUP, None),
    (OVER, CLIENT, LEAVE, None),
    (OVER, CLIENT, RECEIVE, None),
    (OVER, CLIENT, INVALID, None),
    (OVER, CLIENT, CLOSED, OVER),
    (OVER, SERVER, LOGIN, None),
    (OVER, SERVER, LOGOUT, None),
    (OVER, SERVER, SEND, None),
    (OVER, SERVER, BROADCAST, None),
    (OVER, SERVER, GROUP, None),
    (OVER, SERVER, LEAVE, None),
    (OVER, SERVER, RECEIVE, OVER),
    (OVER, SERVER, INVALID, None),
    (OVER, SERVER, CLOSED, OVER),
]

COLUMNS = ("state", "sender", "event", "after")
walk = pytest.mark.parametrize(COLUMNS, WALK)
# Without those that are not sent.
sent_walk = pytest.mark.parametrize(
    COLUMNS, [row for row in WALK if not isinstance(row[2], Invalid | ConnectionClosed)]
)


def connection_in(state: State, role: Role) -> ChatConnection:
    """One end of a connection in this state."""
    connection = ChatConnection(role)
    events: dict[State, list[Command]] = {ANON: [], IN: [LOGIN], OVER: [LOGIN, LOGOUT]}
    for event in events[state]:
        if role is CLIENT:
            connection.send(event)
        else:
            connection.receive_data(encode(event))
    assert connection.state is state
    return connection


def test_the_walk_is_complete() -> None:
    kinds = [*get_args(Command), Invalid, ConnectionClosed]
    everything = {(state, role, kind) for state in State for role in Role for kind in kinds}
    walked = [(state, role, type(event)) for state, role, event, _ in WALK]
    assert len(walked) == len(everything)
    assert set(walked) == everything


@walk
def test_the_table(state: State, sender: Role, event: Event, after: State | None) -> None:
    assert TRANSITIONS[state][sender].get(type(event)) is after


@sent_walk
def test_send(state: State, sender: Role, event: Command, after: State | None) -> None:
    connection = connection_in(state, sender)
    if after is None:
        with pytest.raises(LocalProtocolError) as caught:
            connection.send(event)
        clients = type(event) is not Receive
        expected = (
            ErrorCode.NOT_LOGGED_IN
            if clients is (sender is CLIENT)
            else (ErrorCode.WRONG_DIRECTION)
        )
        assert caught.value.code is expected
        assert connection.state is state
    else:
        assert connection.send(event) == encode(event)
        assert connection.state is after


@sent_walk
def test_receive_data(state: State, sender: Role, event: Command, after: State | None) -> None:
    connection = connection_in(state, sender.peer)
    line = encode(event)
    events = connection.receive_data(line)
    if after is not None:
        assert events == [event]
        assert connection.state is after
        return
    assert connection.state is state
    if state is OVER and sender is CLIENT:
        # What comes after LOGOUT is ignored.
        assert events == []
    elif sender is SERVER or type(event) is Receive:
        assert events == [Invalid(ErrorCode.WRONG_DIRECTION, line[:-1])]
    else:
        assert events == [Invalid(ErrorCode.NOT_LOGGED_IN, line[:-1])]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("role", Role)
def test_receive_eof(state: State, role: Role) -> None:
    connection = connection_in(state, role)
    assert connection.receive_eof() == [ConnectionClosed()]
    assert connection.state is OVER


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("event", [LOGIN, LOGOUT, SEND, BROADCAST, GROUP, LEAVE, RECEIVE])
def test_after_the_end_of_the_stream_only_the_server_sends(role: Role, event: Command) -> None:
    connection = connection_in(IN, role)
    connection.receive_eof()
    if role is SERVER and type(event) is Receive:
        # The client has ended its half of the stream; the server still writes what is queued.
        assert connection.send(event) == encode(event)
        return
    with pytest.raises(LocalProtocolError):
        connection.send(event)
    assert connection.state is OVER


def test_an_objection_distinguishes_too_early_from_never() -> None:
    assert objection(CLIENT, SEND)[0] is ErrorCode.NOT_LOGGED_IN
    assert objection(SERVER, SEND)[0] is ErrorCode.WRONG_DIRECTION
    assert objection(CLIENT, RECEIVE) == (
        ErrorCode.WRONG_DIRECTION,
        "a client does not send that",
    )


def test_a_role_knows_its_peer() -> None:
    assert CLIENT.peer is SERVER
    assert SERVER.peer is CLIENT
