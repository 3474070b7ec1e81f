"""chatproto.wire with any stream in any chunks, and any event from one end to the other."""

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatproto import (
    Broadcast,
    ChatConnection,
    Command,
    ConnectionClosed,
    Event,
    Group,
    Invalid,
    Leave,
    Limits,
    LocalProtocolError,
    Login,
    Logout,
    Receive,
    Role,
    Send,
    State,
    testing,
)
from chatproto.wire.codec import decode, encode
from chatproto.wire.connection import RUN
from chatproto.wire.line_buffer import LineBuffer

if TYPE_CHECKING:
    from collections.abc import Callable

# Few bad lines close a connection here, so that the examples include such ends.
LIMITS = Limits(bad_lines=4)


def events_of(role: Role, chunks: list[bytes], limits: Limits = LIMITS) -> list[Event]:
    """The events that one end returns, from the first byte to the end of the stream."""
    connection = ChatConnection(role, limits)
    events = [event for chunk in chunks for event in connection.receive_data(chunk)]
    return events + connection.receive_eof()


@given(st.data(), st.sampled_from(Role), testing.streams() | testing.hostile_bytes())
def test_any_chunking_gives_the_same_events(draw: st.DataObject, role: Role, stream: bytes) -> None:
    if role is Role.SERVER:
        stream = b"CHAT/1.0 LOGIN alice\n" + stream
    chunks = draw.draw(testing.chunkings(stream))
    assert events_of(role, chunks) == events_of(role, [stream])


@pytest.mark.parametrize("role", Role)
@given(stream=testing.streams() | testing.hostile_bytes())
@example(stream=b"\n" * 9 + b"CHAT/1.0 RECEIVE bob hi\n")
@example(stream=b"CHAT/1.0 LOGOUT\nCHAT/1.0 LOGIN alice\nhalf")
def test_byte_by_byte_gives_the_same_events(role: Role, stream: bytes) -> None:
    chunks = [stream[at : at + 1] for at in range(len(stream))]
    assert events_of(role, chunks) == events_of(role, [stream])


@given(st.sampled_from(Role), testing.streams() | testing.hostile_bytes())
def test_the_end_of_the_stream_closes_the_connection_whatever_arrived(
    role: Role, stream: bytes
) -> None:
    connection = ChatConnection(role)
    for event in connection.receive_data(stream):
        assert not isinstance(event, ConnectionClosed) or connection.state is State.CLOSED
    assert connection.receive_eof()[-1] == ConnectionClosed()
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("role", Role)
@given(stream=testing.streams())
def test_each_line_is_read_as_the_grammar_says(role: Role, stream: bytes) -> None:
    connection = ChatConnection(role, Limits(bad_lines=10_000))
    connection.receive_data(b"CHAT/1.0 LOGIN me\n" if role is Role.SERVER else b"")
    events = connection.receive_data(stream) + connection.receive_eof()
    for line, event in zip(re.findall(rb"[^\n]*\n|[^\n]+", stream), events, strict=False):
        judged = testing.judge(line, role.peer)
        if isinstance(event, Invalid):
            assert event.code in judged.codes
        else:
            assert event == judged.event
            if isinstance(event, Logout):
                return
    assert events[-1] == ConnectionClosed()


@given(testing.valid_lines())
def test_every_valid_line_is_valid_for_one_of_the_ends(line: bytes) -> None:
    server = ChatConnection(Role.SERVER)
    server.receive_data(b"CHAT/1.0 LOGIN alice\n")
    client = ChatConnection(Role.CLIENT)
    events = [*server.receive_data(line), *client.receive_data(line)]
    assert len([event for event in events if not isinstance(event, Invalid)]) == 1


@given(testing.commands())
def test_what_one_end_sends_the_other_receives(command: Command) -> None:
    pair = testing.ConnectionPair()
    assert pair.send(Role.CLIENT, Login("alice")) == [Login("alice")]
    role = Role.SERVER if isinstance(command, Receive) else Role.CLIENT
    assert pair.send(role, command) == [command]
    assert pair.client.state is pair.server.state
    with pytest.raises(LocalProtocolError):
        pair.send(role.peer, command)


@given(testing.commands())
def test_decode_gives_what_was_encoded(command: Command) -> None:
    assert decode(encode(command)[:-1]) == command


TEXT = st.text() | testing.names() | testing.reserved_names() | testing.bad_names()
BYTES = st.binary() | testing.data() | testing.hostile_bytes()


@st.composite
def attempts(draw: st.DrawFn) -> Command | None:
    """A command made of any text and any bytes; None where that raises LocalProtocolError."""
    name, data = draw(TEXT), draw(BYTES)
    members = draw(st.lists(TEXT, max_size=80))
    makers: tuple[Callable[[], Command], ...] = (
        lambda: Login(name),
        lambda: Send(name, data),
        lambda: Broadcast(name, data),
        lambda: Group(name, members),
        lambda: Leave(name),
        lambda: Receive(name, data),
    )
    try:
        return draw(st.sampled_from(makers))()
    except LocalProtocolError:
        return None


@given(attempts(), st.sampled_from(Role), st.booleans())
def test_a_local_mistake_raises_and_changes_nothing(
    command: Command | None, role: Role, is_logged_in: bool
) -> None:
    if command is None:
        return
    pair = testing.ConnectionPair()
    if is_logged_in:
        pair.send(Role.CLIENT, Login("alice"))
    sender = pair.client if role is Role.CLIENT else pair.server
    before = sender.state, sender.name
    try:
        events = pair.send(role, command)
    except LocalProtocolError:
        assert (sender.state, sender.name) == before
        assert pair.server.state is pair.client.state
    else:
        assert events == [command]


@given(st.data(), testing.streams() | testing.hostile_bytes())
def test_a_line_buffer_never_holds_more_than_a_line(draw: st.DataObject, stream: bytes) -> None:
    limit = 512
    buffer = LineBuffer(limit)
    for chunk in draw.draw(testing.chunkings(stream)):
        lines = buffer.feed(chunk)
        assert all(len(line) <= limit for line in lines)
        assert len(buffer.partial) < limit
        assert not any(b"\n" in line for line in lines)


@given(st.data(), testing.streams() | testing.hostile_bytes())
def test_a_line_buffer_gives_the_same_lines_as_a_simple_one(
    draw: st.DataObject, stream: bytes
) -> None:
    limit = 512
    *whole, rest = stream.split(b"\n")
    expected = [line[:limit] if len(line) >= limit else line.removesuffix(b"\r") for line in whole]
    if len(rest) >= limit:
        expected.append(rest[:limit])
        rest = b""
    buffer = LineBuffer(limit)
    chunks = draw.draw(testing.chunkings(stream))
    assert [line for chunk in chunks for line in buffer.feed(chunk)] == expected
    assert buffer.partial == rest


@given(
    st.data(),
    st.sampled_from(Role),
    st.lists(
        st.tuples(
            st.sampled_from(["SEND bob", "SEND bücher", "BROADCAST bob", "RECEIVE bob", "SEND *x"]),
            st.lists(testing.data(30) | st.just(b"x" * 505), min_size=RUN, max_size=RUN + 3),
            st.just(b"") | testing.hostile_lines() | testing.valid_lines(),
        ),
        max_size=4,
    ),
)
def test_runs_give_the_same_events_as_single_lines(
    draw: st.DataObject, role: Role, runs: list[tuple[str, list[bytes], bytes]]
) -> None:
    stream = b"CHAT/1.0 LOGIN alice\n" if role is Role.SERVER and draw.draw(st.booleans()) else b""
    for beginning, texts, other in runs:
        stream += (
            b"".join(b"CHAT/1.0 %b %b\n" % (beginning.encode(), text) for text in texts) + other
        )
    limits = Limits(max_line=512, bad_lines=30)
    expected = events_of(role, re.findall(rb"[^\n]*\n|[^\n]+", stream), limits)
    assert events_of(role, [stream], limits) == expected
    assert events_of(role, draw.draw(testing.chunkings(stream)), limits) == expected
