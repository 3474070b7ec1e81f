"""chatproto.client.session: pings that come back, and pings that do not."""

import pytest

from chatproto import ConnectionLostError, Send

from .sessions import (
    CABLE,
    HI,
    HI_LINE,
    back,
    came_back,
    items,
    line,
    new_session,
    notices,
    session_of,
    start,
)


def test_a_ping_is_a_message_to_the_client_itself() -> None:
    session = session_of()
    data, ping = session.ping()
    assert data == b"CHAT/1.0 SEND alice " + ping.data + b"\n"
    assert (ping.name, ping.login, ping.done) == ("alice", False, False)


def test_each_ping_consists_of_a_token_of_its_own() -> None:
    """So whoever sees one ping can't forge the next."""
    session = session_of()
    pings = [session.ping()[1], session.ping()[1], session.login("bob")[1]]
    session.connection_lost(CABLE)
    pings += [session.start()[1], session.ping()[1]]
    # `session_of` has used the first token.
    assert [ping.data for ping in pings] == [
        b"\0chatproto echo token %d" % number for number in range(2, 7)
    ]


def test_a_ping_is_done_when_it_is_back_and_not_before() -> None:
    session = session_of()
    _, ping = session.ping()
    session.receive_data(HI_LINE + back(ping)[:-1])
    assert not ping.done
    session.receive_data(b"\n")
    assert came_back(ping)


def test_a_ping_is_not_an_item() -> None:
    session = session_of()
    _, ping = session.ping()
    session.receive_data(HI_LINE + back(ping) + HI_LINE)
    assert items(session) == [HI, HI]
    assert notices(session) == []


@pytest.mark.parametrize("sender", ["alice", "bob", "*server*"])
@pytest.mark.parametrize("token", [b"token 1", b"token 3", b"token 2 ", b"token", b""])
def test_a_ping_that_this_client_has_not_sent_is_dropped(sender: str, token: bytes) -> None:
    """Several clients may share a name, or have had it one after the other."""
    session = session_of()
    _, ping = session.login("carol")
    assert ping.data == b"\0chatproto echo token 2"
    session.receive_data(line(sender, b"\0chatproto echo " + token))
    assert (items(session), notices(session)) == ([], [])
    assert not ping.done
    assert session.name == "alice"


def test_only_data_with_the_exact_prefix_is_a_ping() -> None:
    session = session_of()
    session.receive_data(line("bob", b"\0chatproto echo") + line("bob", b" \0chatproto echo x"))
    assert len(items(session)) == 2


def test_a_ping_may_come_back_twice() -> None:
    session = session_of()
    _, first = session.ping()
    _, second = session.ping()
    session.receive_data(back(first) * 2)
    assert came_back(first)
    assert not second.done


def test_a_ping_proves_that_earlier_ones_were_handled() -> None:
    """The server handles lines in order."""
    session = session_of()
    pings = [session.ping()[1] for _ in range(4)]
    session.receive_data(back(pings[2]))
    assert [came_back(ping) for ping in pings] == [True, True, True, False]
    session.receive_data(back(pings[3]))
    assert came_back(pings[3])


def test_pending_pings_fail_when_the_connection_ends() -> None:
    session = session_of()
    _, ping = session.ping()
    _, login = session.login("bob")
    session.connection_lost(CABLE)
    assert (ping.done, ping.error) == (True, CABLE)
    assert (login.done, login.error) == (True, CABLE)
    session.receive_data(back(ping) + back(login))
    assert ping.error is CABLE
    assert session.name == "alice"


def test_a_ping_after_the_end_fails_for_the_same_reason() -> None:
    session = session_of()
    session.connection_lost(CABLE)
    _, ping = session.ping()
    session.connection_lost(ConnectionLostError("closed"))
    assert ping.error is CABLE


def test_a_ping_of_an_earlier_connection_is_dropped() -> None:
    session = new_session("alice")
    _, old = session.start()
    session.connection_lost(CABLE)
    _, new = session.start()
    session.receive_data(back(old))
    assert not new.done
    assert items(session) == []


def test_a_new_connection_proves_nothing_about_the_one_before() -> None:
    """A line may be written after the loss is known and before the socket is closed."""
    session = session_of()
    session.connection_lost(CABLE)
    session.send(Send("bob", b"lost"))
    _, flush = session.ping()
    start(session)
    assert (flush.done, flush.error) == (True, CABLE)


def test_a_new_connection_ends_the_one_before() -> None:
    session = session_of()
    _, ping = session.ping()
    session.start()
    assert ping.done
    assert isinstance(ping.error, ConnectionLostError)
    assert session.error is None


def test_the_first_ping_after_a_loss_reports_it() -> None:
    session = session_of()
    session.send(Send("bob", b"lost"))
    session.sent()
    session.connection_lost(CABLE)
    start(session)
    with pytest.raises(ConnectionLostError, match=str(CABLE)):
        session.ping()
    # Only the first one does.
    assert not session.ping()[1].done


def test_what_a_ping_has_proved_to_be_handled_is_not_lost_later() -> None:
    session = session_of()
    session.send(Send("bob", b"hi"))
    session.sent()
    _, ping = session.ping()
    session.receive_data(line("alice", ping.data))
    session.connection_lost(CABLE)
    start(session)
    assert not session.ping()[1].done


def test_a_pending_ping_reports_a_loss_and_later_ones_do_not() -> None:
    session = session_of()
    session.send(Send("bob", b"lost"))
    session.sent()
    _, ping = session.ping()
    session.connection_lost(CABLE)
    assert ping.error is CABLE
    start(session)
    assert not session.ping()[1].done


def test_what_was_written_to_a_lost_connection_is_reported_as_lost() -> None:
    """Another thread may have made the next connection before the writing thread reports."""
    session = session_of()
    session.send(Send("bob", b"lost"))
    session.connection_lost(CABLE)
    start(session)
    session.sent(lost=True)
    with pytest.raises(ConnectionLostError, match="lost with a connection"):
        session.ping()
    assert not session.ping()[1].done


def test_a_ping_can_be_forgotten() -> None:
    session = session_of()
    _, ping = session.ping()
    session.forget(ping)
    session.forget(ping)
    session.receive_data(back(ping))
    assert not ping.done
    _, ping = session.ping()
    session.receive_data(back(ping))
    assert came_back(ping)
