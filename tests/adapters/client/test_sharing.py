"""Clients that threads or tasks share (`connection` in both packages): locks, turns, timeouts."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from chatproto import (
    ChatTimeoutError,
    ConnectionLostError,
    DuplicateLogin,
    LocalProtocolError,
    LoginRefusedError,
    Message,
    Policy,
)

from ..clients import (
    LINE,
    Connect,
    assert_no_line_follows_half_a_one,
    each_client,
    played,
    send_for_ever,
    send_until_a_line_is_unfinished,
    times_out,
    where,
)
from ..servers import TIMEOUT, run_sync


@each_client
def test_four_send_while_one_receives_and_one_pings(connect: Connect) -> None:
    with run_sync(port=0) as server, connect(**where(server), name="alice") as alice:

        def send(sender: int) -> None:
            for number in range(200):
                alice.send("alice", f"{sender} {number}")

        def receive() -> list[str]:
            return [alice.receive(TIMEOUT).text for _ in range(800)]

        with ThreadPoolExecutor() as pool:
            received = pool.submit(receive)
            sending = [pool.submit(send, sender) for sender in range(4)]
            for _ in range(10):
                assert alice.ping() > 0
            for each in sending:
                each.result()
        for sender in range(4):
            of_one = [text for text in received.result() if text.startswith(f"{sender} ")]
            assert of_one == [f"{sender} {number}" for number in range(200)]


@each_client
def test_two_receivers_share_what_comes(connect: Connect) -> None:
    with run_sync(port=0) as server, connect(**where(server), name="alice") as alice:

        def receive() -> list[int]:
            texts = iter(lambda: alice.receive(TIMEOUT).text, "end")
            return [int(text) for text in texts]

        with ThreadPoolExecutor() as pool:
            receiving = [pool.submit(receive) for _ in range(2)]
            for number in range(200):
                alice.send("alice", str(number))
            # So that no number comes after an "end".
            alice.flush()
            for _ in receiving:
                alice.send("alice", "end")
            shares = [share.result() for share in receiving]
        assert all(share == sorted(share) for share in shares)
        assert sorted(shares[0] + shares[1]) == list(range(200))


@each_client
def test_a_timeout_while_another_receives(connect: Connect) -> None:
    with ThreadPoolExecutor() as pool, played(connect) as (alice, peer):
        waiting = pool.submit(alice.receive, TIMEOUT)
        for wait in (alice.receive, alice.receive_notice):
            with pytest.raises(ChatTimeoutError):
                wait(0.01)
        peer.say("bob", b"hi")
        assert waiting.result() == Message("bob", b"hi")


@each_client
def test_all_waiting_calls_raise_when_it_is_closed(connect: Connect) -> None:
    with ThreadPoolExecutor(8) as pool, played(connect) as (alice, peer):
        listening = pool.submit(list, alice)
        calls: list[Callable[[], object]] = [alice.receive, alice.receive_notice, alice.flush]
        waiting: list[Future[Any]] = [pool.submit(call) for call in calls]
        assert peer.read_line().startswith(b"SEND alice ")
        # This one holds the write lock until the login is decided, and the next one waits for it.
        renaming = pool.submit(alice.login, "alicia")
        assert peer.read_line() == b"LOGIN alicia\n"
        sending = pool.submit(alice.send, "bob", "hi")
        alice.close()
        for future in [*waiting, renaming, sending]:
            with pytest.raises(LocalProtocolError):
                future.result(TIMEOUT)
        assert listening.result(TIMEOUT) == []


@each_client
def test_lines_stay_whole(connect: Connect) -> None:
    with ThreadPoolExecutor() as pool, played(connect) as (alice, peer):
        for _ in range(4):
            pool.submit(send_for_ever, alice)
        assert {peer.read_line() for _ in range(200)} == {LINE}


@each_client
def test_a_line_that_could_not_be_finished_in_time_is_the_last(connect: Connect) -> None:
    with played(connect) as (alice, peer):
        send_until_a_line_is_unfinished(alice)
        for use in (alice.flush, alice.receive, partial(alice.send, "bob", "hi")):
            with pytest.raises(ConnectionLostError, match="could not be finished"):
                use()
        assert_no_line_follows_half_a_one(peer)


@each_client
def test_a_login_without_an_answer_closes_the_connection(connect: Connect) -> None:
    """It is not known which name the next line would come from."""
    with played(connect) as (alice, peer):
        read: list[bytes] = []
        times_out(
            alice,
            lambda: alice.login("alicia"),
            lambda: read.extend([peer.read_line(), peer.read_line()]),
        )
        with pytest.raises(ConnectionLostError, match="who this client is"):
            alice.flush()
        assert alice.name == "alice"
        assert read[0] == b"LOGIN alicia\n"
        assert read[1].startswith(b"SEND alicia ")
        assert peer.read_line() == b""


@each_client
def test_nothing_is_sent_while_a_login_is_undecided(connect: Connect) -> None:
    with ThreadPoolExecutor() as pool, played(connect) as (alice, peer):
        pool.submit(alice.login, "alicia")
        assert peer.read_line() == b"LOGIN alicia\n"
        _, name, data = peer.read_line().removesuffix(b"\n").split(b" ", 2)
        pool.submit(alice.send, "bob", "hi")
        for _ in range(20):
            peer.say("bob", b"hello")
            assert alice.receive(TIMEOUT) == Message("bob", b"hello")
        peer.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.socket.recv(1)
        peer.socket.settimeout(TIMEOUT)
        peer.say(name.decode(), data)
        assert peer.read_line() == b"SEND bob hi\n"


@each_client
def test_logins_while_others_send(connect: Connect) -> None:
    names = [f"alice{number}" for number in range(10)]
    with (
        run_sync(port=0, policy=Policy(duplicate_login=DuplicateLogin.REJECT)) as server,
        connect(**where(server), name=names[0]) as alice,
        connect(**where(server), name="bob") as bob,
    ):

        def send(sender: int) -> None:
            for number in range(100):
                alice.send("bob", f"{sender} {number}")

        def log_in() -> None:
            for name in names[1:]:
                alice.login(name)
                with pytest.raises(LoginRefusedError):
                    alice.login("bob")
                assert alice.name == name

        with ThreadPoolExecutor() as pool:
            working = [pool.submit(log_in), *(pool.submit(send, sender) for sender in range(4))]
            messages = [bob.receive(TIMEOUT) for _ in range(400)]
            for each in working:
                each.result()
        alice.flush()
        assert alice.take_notices() == []
        order = [names.index(message.sender) for message in messages]
        assert order == sorted(order)
        for sender in range(4):
            of_one = [each.text for each in messages if each.text.startswith(f"{sender} ")]
            assert of_one == [f"{sender} {number}" for number in range(100)]
