"""chatproto.client.session: what a client says to itself comes back, or does not."""

import pytest

from chatproto import ChatSession, ConnectionLostError, Echo, Send

from .sessions import (
    CABLE,
    HEARD,
    HI,
    back,
    came_back,
    items,
    line,
    notices,
    session_of,
    start_again,
)


def test_an_echo_is_decided_once_somebody_says_so() -> None:
    echo = Echo("alice", b"x", login=False, said=3)
    assert (echo.name, echo.data, echo.login, echo.said) == ("alice", b"x", False, 3)
    assert (echo.done, echo.error) == (False, None)
    echo.decide()
    assert (echo.done, echo.error) == (True, None)


def test_an_echo_can_be_decided_by_an_error() -> None:
    echo = Echo("alice", b"x", login=True, said=0)
    echo.decide(CABLE)
    assert (echo.done, echo.error) == (True, CABLE)


def test_a_ping_is_a_message_to_oneself() -> None:
    session = session_of()
    data, echo = session.ping()
    assert data == b"CHAT/1.0 SEND alice " + echo.data + b"\n"
    assert (echo.name, echo.login, echo.done) == ("alice", False, False)


def test_no_two_echoes_are_the_same() -> None:
    session = session_of()
    echoes = [session.ping()[1] for _ in range(3)] + [session.login("bob")[1]]
    session.lose(CABLE)
    echoes += [session.start(b"m")[1], session.ping()[1]]
    assert len({echo.data for echo in echoes}) == 6


def test_it_is_done_when_it_is_back_and_not_before() -> None:
    session = session_of()
    _, echo = session.ping()
    session.hear(HI + back(echo)[:-1])
    assert not echo.done
    session.hear(b"\n")
    assert came_back(echo)


def test_nobody_gets_to_see_it() -> None:
    session = session_of()
    _, echo = session.ping()
    session.hear(HI + back(echo) + HI)
    assert items(session) == [HEARD, HEARD]
    assert notices(session) == []


@pytest.mark.parametrize("sender", ["alice", "bob", "*server*"])
@pytest.mark.parametrize("nonce", [b"n 2", b"m 1", b"m 2", b""])
def test_nobody_gets_to_see_anybody_elses(sender: str, nonce: bytes) -> None:
    """Several clients may share a name, or have had this one before."""
    session = session_of()
    _, echo = session.login("carol")
    assert echo.data == b"\0chatproto echo n 2"
    session.hear(line(sender, b"\0chatproto echo " + nonce))
    assert (items(session), notices(session)) == ([], [])
    assert not echo.done
    assert session.name == "alice"


def test_only_what_begins_like_one_is_hidden() -> None:
    session = session_of()
    session.hear(line("bob", b"\0chatproto echo") + line("bob", b" \0chatproto echo x"))
    assert len(items(session)) == 2


def test_one_that_comes_twice_does_no_harm() -> None:
    session = session_of()
    _, first = session.ping()
    _, second = session.ping()
    session.hear(back(first) * 2)
    assert came_back(first)
    assert not second.done


def test_a_later_one_proves_the_earlier_ones() -> None:
    """It has overtaken nothing: what was said before was handled before."""
    session = session_of()
    echoes = [session.ping()[1] for _ in range(4)]
    session.hear(back(echoes[2]))
    assert [came_back(echo) for echo in echoes] == [True, True, True, False]
    session.hear(back(echoes[3]))
    assert came_back(echoes[3])


def test_what_was_not_back_when_the_connection_ended_never_will_be() -> None:
    session = session_of()
    _, ping = session.ping()
    _, login = session.login("bob")
    session.lose(CABLE)
    assert (ping.done, ping.error) == (True, CABLE)
    assert (login.done, login.error) == (True, CABLE)
    session.hear(back(ping) + back(login))
    assert ping.error is CABLE
    assert session.name == "alice"


def test_what_is_lost_after_the_end_has_the_same_reason() -> None:
    session = session_of()
    session.lose(CABLE)
    _, ping = session.ping()
    session.lose(ConnectionLostError("closed"))
    assert ping.error is CABLE


def test_an_echo_of_an_earlier_connection_says_nothing_about_this_one() -> None:
    session = ChatSession("alice")
    _, old = session.start(b"n")
    session.lose(CABLE)
    _, new = session.start(b"m")
    session.hear(back(old))
    assert not new.done
    assert items(session) == []


def test_a_new_connection_proves_nothing_of_what_was_said_on_the_one_before() -> None:
    """A line can be written after the loss is known and before the socket is closed."""
    session = session_of()
    session.lose(CABLE)
    session.send(Send("bob", b"lost"))
    _, flush = session.ping()
    start_again(session, b"m")
    assert (flush.done, flush.error) == (True, CABLE)


def test_who_begins_on_a_new_connection_gives_up_the_one_before() -> None:
    session = session_of()
    _, ping = session.ping()
    session.start(b"m")
    assert ping.done
    assert isinstance(ping.error, ConnectionLostError)
    assert session.ended is None


def test_a_ping_does_not_vouch_for_what_went_down_with_a_connection() -> None:
    session = session_of()
    session.send(Send("bob", b"lost"))
    session.said()
    session.lose(CABLE)
    start_again(session, b"m")
    with pytest.raises(ConnectionLostError, match=str(CABLE)):
        session.ping()
    # Only once: now it is known.
    assert not session.ping()[1].done


def test_what_a_ping_has_vouched_for_is_not_lost_later() -> None:
    session = session_of()
    session.send(Send("bob", b"hi"))
    session.said()
    _, echo = session.ping()
    session.hear(line("alice", echo.data))
    session.lose(CABLE)
    start_again(session, b"m")
    assert not session.ping()[1].done


def test_who_waits_for_a_ping_hears_of_the_loss_and_nobody_else_has_to() -> None:
    session = session_of()
    session.send(Send("bob", b"lost"))
    session.said()
    _, echo = session.ping()
    session.lose(CABLE)
    assert echo.error is CABLE
    start_again(session, b"m")
    assert not session.ping()[1].done


def test_what_was_written_while_the_connection_was_lost_is_not_vouched_for() -> None:
    """Another thread may have made the next connection before the one that wrote comes back."""
    session = session_of()
    session.send(Send("bob", b"lost"))
    session.lose(CABLE)
    start_again(session, b"m")
    session.said(lost=True)
    with pytest.raises(ConnectionLostError, match="went down with a connection"):
        session.ping()
    assert not session.ping()[1].done


def test_an_echo_that_nobody_waits_for_is_forgotten() -> None:
    session = session_of()
    _, echo = session.ping()
    session.abandon(echo)
    session.abandon(echo)
    session.hear(back(echo))
    assert not echo.done
    _, echo = session.ping()
    session.hear(back(echo))
    assert came_back(echo)
