"""chatproto.client.heartbeat, alone and in a session, with clocks that the tests set."""

import math

import pytest

from chatproto import ChatSession, ConnectionLostError, Logout, Send
from chatproto.client.heartbeat import RETRIES, Heartbeat

from .sessions import CABLE, HI, HI_LINE, Tokens, back, came_back, items, line, start


@pytest.mark.parametrize("interval", [0, -1, math.nan])
def test_the_interval_is_more_than_0(interval: float) -> None:
    with pytest.raises(ValueError, match="heartbeat is more than 0 seconds"):
        Heartbeat(interval)


@pytest.mark.parametrize("interval", [None, math.inf])
def test_no_heartbeat(interval: float | None) -> None:
    heartbeat = Heartbeat(interval)
    heartbeat.heard(0.0)
    assert heartbeat.tick(1e12) is None
    assert (heartbeat.due, heartbeat.next_tick) == (False, math.inf)


def test_it_is_due_after_silence_and_answered_in_time() -> None:
    heartbeat = Heartbeat(30.0)
    heartbeat.heard(100.0)
    assert heartbeat.next_tick == 130
    assert heartbeat.tick(129.9) is None
    assert not heartbeat.due
    assert heartbeat.tick(130.0) is None
    assert heartbeat.due
    heartbeat.asked(130.5)
    assert (heartbeat.due, heartbeat.next_tick) == (False, 160.5)
    assert heartbeat.tick(160.4) is None
    heartbeat.heard(160.4)
    assert heartbeat.tick(190.3) is None
    assert not heartbeat.due


def test_no_answer_in_time() -> None:
    heartbeat = Heartbeat(30.0)
    heartbeat.heard(100.0)
    heartbeat.tick(130.0)
    heartbeat.asked(130.0)
    assert heartbeat.tick(160.0) == 60


def test_a_server_that_takes_nothing_is_hung_too() -> None:
    """The heartbeat can't be written; until then, the adapter tries again and again."""
    heartbeat = Heartbeat(30.0)
    heartbeat.heard(100.0)
    now, tries = heartbeat.next_tick, 0
    while heartbeat.tick(now) is None:
        tries += 1
        assert heartbeat.due
        now = heartbeat.next_tick
    assert now == 160
    assert RETRIES <= tries <= RETRIES + 1


def test_who_looks_late_asks_before_anything_is_lost() -> None:
    """A program that was busy elsewhere, or was stopped, proves nothing about the server."""
    heartbeat = Heartbeat(30.0)
    heartbeat.heard(100.0)
    assert heartbeat.tick(10_000.0) is None
    assert heartbeat.due
    heartbeat.asked(10_000.0)
    assert heartbeat.tick(10_029.9) is None
    assert heartbeat.tick(10_030.0) == 9930


# In a session


def session_with(heartbeat: float | None = 30.0, *, max_queue: int = 1024) -> ChatSession:
    """A session that is logged in, at 100 s."""
    session = ChatSession("alice", Tokens(), heartbeat=heartbeat, max_queue=max_queue)
    start(session)
    session.tick(100.0)
    return session


def beat(session: ChatSession, now: float) -> bytes:
    """What a session that has received nothing new writes."""
    session.tick(now)
    return session.take_heartbeat(now)


def test_a_session_without_one() -> None:
    session = session_with(None)
    assert session.heartbeat is None
    assert beat(session, 1e9) == b""
    assert (session.next_tick, session.heartbeat_due) == (math.inf, False)


def test_a_session_asks_by_a_message_to_itself() -> None:
    session = session_with()
    assert (session.heartbeat, session.next_tick) == (30, 130)
    assert beat(session, 129.0) == b""
    data = beat(session, 130.0)
    assert data == b"CHAT/1.0 SEND alice \0chatproto echo token 2\n"
    assert beat(session, 131.0) == b""
    session.receive_data(line("alice", b"\0chatproto echo token 2"))
    session.tick(131.0)
    assert (session.error, session.next_tick, items(session)) == (None, 161, [])


def test_the_connection_is_lost_without_an_answer() -> None:
    session = session_with()
    assert beat(session, 130.0)
    _, ping = session.ping()
    session.tick(160.0)
    assert isinstance(session.error, ConnectionLostError)
    assert str(session.error) == "the server does not answer: nothing has come for 60 s"
    assert ping.error is session.error
    assert beat(session, 200.0) == b""
    start(session)
    session.tick(300.0)
    assert session.next_tick == 330


@pytest.mark.parametrize("data", [HI_LINE, b"CHAT/1.0 RECEIVE bob unfin", b"noise\n"])
def test_whatever_arrives_is_a_sign_of_life(data: bytes) -> None:
    session = session_with()
    assert beat(session, 130.0)
    session.receive_data(data)
    session.tick(160.0)
    assert (session.error, session.next_tick) == (None, 190)


def test_at_most_one_is_pending() -> None:
    """Even if a server talks a lot, but never answers one."""
    session = session_with()
    sizes = []
    for number in range(1, 100):
        assert beat(session, 100.0 + 60 * number)
        session.receive_data(HI_LINE)
        session.tick(130.0 + 60 * number)
        sizes.append(len(session._pings))
    assert set(sizes) == {1}
    _, ping = session.ping()
    session.receive_data(back(ping))
    assert came_back(ping)


def test_it_reports_no_loss_to_anybody_in_particular() -> None:
    """So the next ping does."""
    session = session_with()
    session.send(Send("bob", b"lost"))
    session.sent()
    assert beat(session, 130.0)
    session.connection_lost(CABLE)
    start(session)
    with pytest.raises(ConnectionLostError, match=str(CABLE)):
        session.ping()


def test_it_proves_that_what_was_sent_before_is_handled() -> None:
    session = session_with()
    session.send(Send("bob", b"hi"))
    session.sent()
    assert beat(session, 130.0)
    session.receive_data(line("alice", b"\0chatproto echo token 2"))
    session.connection_lost(CABLE)
    start(session)
    assert not session.ping()[1].done


def test_not_while_a_login_is_under_way() -> None:
    """The server may ask somebody, and that takes time. Besides, which name would it come from?"""
    session = session_with()
    session.tick(130.0)
    assert session.heartbeat_due
    _, login = session.login("bob")
    assert not session.heartbeat_due
    for now in (140.0, 170.0, 200.0):
        assert beat(session, now) == b""
    assert session.error is None
    session.receive_data(back(login))
    session.tick(210.0)
    assert beat(session, 240.0).startswith(b"CHAT/1.0 SEND bob \0chatproto echo ")


def test_not_before_the_first_login_is_decided() -> None:
    session = ChatSession("alice", Tokens(), heartbeat=30.0)
    session.start()
    for now in (100.0, 131.0, 162.0, 193.0):
        assert beat(session, now) == b""
    assert session.error is None


def test_not_after_a_logout() -> None:
    session = session_with()
    session.tick(130.0)
    session.send(Logout())
    assert not session.heartbeat_due
    for now in (140.0, 170.0, 200.0):
        assert beat(session, now) == b""
    assert session.error is None


def test_messages_are_received_as_ever() -> None:
    session = session_with(max_queue=1)
    session.receive_data(HI_LINE)
    assert not session.wants_data
    assert items(session) == [HI]
    assert session.wants_data
