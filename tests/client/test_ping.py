"""chatproto.client.ping: a pending ping as a value."""

from chatproto import Ping

from .sessions import CABLE


def test_a_ping_is_pending_until_it_is_finished() -> None:
    ping = Ping("alice", b"x", login=False, sent_before=3)
    assert (ping.name, ping.data, ping.login, ping.sent_before) == ("alice", b"x", False, 3)
    assert (ping.done, ping.error) == (False, None)
    ping.finish()
    assert (ping.done, ping.error) == (True, None)


def test_a_ping_can_fail() -> None:
    ping = Ping("alice", b"x", login=True, sent_before=0)
    ping.finish(CABLE)
    assert (ping.done, ping.error) == (True, CABLE)
