"""chatproto.testing.pair: both ends of a connection in memory."""

import pytest

from chatproto import Invalid, Limits, LocalProtocolError, Login, Logout, Receive, Role, Send, State
from chatproto.testing import ConnectionPair


def test_events_travel_both_ways() -> None:
    pair = ConnectionPair()
    assert pair.send(Role.CLIENT, Login("alice")) == [Login("alice")]
    assert pair.send(Role.SERVER, Receive("bob", b"hi")) == [Receive("bob", b"hi")]
    assert {pair.client.state, pair.server.state} == {State.LOGGED_IN}
    assert pair.send(Role.CLIENT, Logout()) == [Logout()]
    assert {pair.client.state, pair.server.state} == {State.CLOSED}


def test_mistakes_of_either_end_are_shown() -> None:
    pair = ConnectionPair()
    with pytest.raises(LocalProtocolError):
        pair.send(Role.CLIENT, Send("bob", b"hi"))
    pair.server.receive_data(b"half a line ")
    assert [type(event) for event in pair.send(Role.CLIENT, Login("alice"))] == [Invalid]


def test_both_ends_have_the_limits() -> None:
    pair = ConnectionPair(Limits(max_line=512))
    for role in Role:
        with pytest.raises(LocalProtocolError, match="512 are allowed"):
            pair.send(role, Send("bob", b"x" * 600))
    [event] = pair.server.receive_data(b"x" * 512)
    assert isinstance(event, Invalid)
