"""The clients' methods (`client` in both packages), with a real or a played server."""

import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from chatproto import (
    ChatTimeoutError,
    ConnectionLostError,
    DuplicateLogin,
    ErrorCode,
    LocalProtocolError,
    LoginRefusedError,
    Message,
    Notice,
    Policy,
)

from ..clients import BlockingClient, Connect, Peer, each_client, played, send_for_ever, where
from ..servers import TIMEOUT, run_sync

pytestmark = each_client

NOBODY = Notice("NO_SUCH_USER", "SEND", "nobody is not online")


@pytest.fixture
def join(connect: Connect) -> Iterator[Connect]:
    """Connects to a server."""
    with run_sync(port=0) as server:
        yield partial(connect, **where(server))


def test_data_arrives_as_it_was_sent(join: Connect) -> None:
    every_byte = bytes(range(256)).replace(b"\n", b"")
    with join(name="alice") as alice, join(name="bob") as bob:
        values = (
            "hello",
            "",
            b"",
            bytearray(b"hi"),
            memoryview(b"hi"),
            "  two  spaces  ",
            "grüße ☃",
            every_byte,
            b"\r inner",
            b"\0",
        )
        for data in values:
            alice.send("bob", data)
            sent = data.encode() if isinstance(data, str) else bytes(data)
            assert bob.receive(TIMEOUT) == Message("alice", sent)
            alice.send("alice", data)
            assert alice.receive(TIMEOUT) == Message("alice", sent)


def test_groups(join: Connect) -> None:
    with join(name="alice") as alice, join(name="bob") as bob, join(name="carol") as carol:
        # Members are any iterable, and the maker of a group may broadcast to it.
        alice.group("g", (name for name in ("bob", "carol")))
        alice.broadcast("g", "welcome")
        for member in (bob, carol):
            assert member.receive(TIMEOUT) == Message("alice", b"welcome", "g")
        bob.broadcast("g", b"\xff")
        assert carol.receive(TIMEOUT) == Message("bob", b"\xff", "g")
        bob.leave("g")
        bob.flush()
        carol.broadcast("g", "anybody there?")
        carol.send("bob", "bye")
        assert bob.receive(TIMEOUT) == Message("carol", b"bye")
        for client in (alice, bob, carol):
            client.flush()
            assert client.take_notices() == []


def test_a_second_login(join: Connect) -> None:
    with join(name="alice") as alice, join(name="bob") as bob:
        alice.group("g", ["alice", "bob"])
        alice.login("alicia")
        assert alice.name == "alicia"
        bob.send("alicia", "hi")
        assert alice.receive(TIMEOUT) == Message("bob", b"hi")
        bob.send("alice", "are you there?")
        assert bob.receive_notice(TIMEOUT).code == ErrorCode.NO_SUCH_USER
        alice.send("bob", "it is me")
        assert bob.receive(TIMEOUT) == Message("alicia", b"it is me")
        alice.leave("g")
        alice.flush()
        # Membership stays with the old name.
        assert [notice.code for notice in alice.take_notices()] == [ErrorCode.NOT_A_MEMBER]


def test_a_name_in_use(connect: Connect) -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REJECT)
    with run_sync(port=0, policy=policy) as server:
        join = partial(connect, **where(server))
        with join(name="alice") as alice, join(name="bob") as bob:
            with pytest.raises(LoginRefusedError, match="NAME_IN_USE: bob is logged in already"):
                alice.login("bob")
            assert alice.name == "alice"
            bob.send("alice", "hi")
            assert alice.receive(TIMEOUT) == Message("bob", b"hi")
            alice.flush()
            assert alice.take_notices() == []
            with pytest.raises(LoginRefusedError) as caught, join(name="bob"):
                pytest.fail("there is a bob already")
            assert caught.value.code is ErrorCode.NAME_IN_USE
            # The refused logins are nothing that bob is told of.
            alice.send("bob", "yours")
            assert bob.receive(TIMEOUT) == Message("alice", b"yours")


def test_notices_and_messages_are_received_apart(join: Connect) -> None:
    with join(name="alice") as alice:
        alice.send("nobody", "?")
        alice.send("alice", "a message")
        assert alice.receive(TIMEOUT) == Message("alice", b"a message")
        alice.send("alice", "another")
        assert alice.receive_notice(TIMEOUT) == NOBODY
        assert alice.receive(TIMEOUT) == Message("alice", b"another")
        alice.leave("g")
        alice.send("nobody", "?")
        alice.flush()
        codes = [notice.code for notice in alice.take_notices()]
        assert codes == [ErrorCode.NO_SUCH_GROUP, ErrorCode.NO_SUCH_USER]
        assert alice.take_notices() == []


def test_items_of_a_client_that_does_not_reconnect_are_messages(join: Connect) -> None:
    with join(name="alice") as alice:
        for text in ("1", "2"):
            alice.send("alice", text)
        items = alice.items()
        assert [next(items), next(items)] == [Message("alice", b"1"), Message("alice", b"2")]
        alice.send("alice", "3")
        alice.flush()
        alice.logout()
        assert list(items) == [Message("alice", b"3")]
        assert list(alice.items()) == []


def test_a_timeout_changes_nothing(join: Connect) -> None:
    with join(name="alice") as alice:
        for wait in (alice.receive, alice.receive_notice):
            for seconds in (0, 0.01):
                with pytest.raises(ChatTimeoutError):
                    wait(seconds)
        alice.send("alice", "hi")
        alice.send("nobody", "?")
        assert alice.receive(TIMEOUT) == Message("alice", b"hi")
        assert alice.receive_notice(TIMEOUT) == NOBODY


def test_what_has_arrived_is_received_without_time(join: Connect) -> None:
    with join(name="alice") as alice:
        for number in range(3):
            alice.send("alice", str(number))
            alice.send("nobody", "?")
        alice.flush()
        assert [alice.receive(0).text for _ in range(3)] == ["0", "1", "2"]
        assert [alice.receive_notice(0) for _ in range(3)] == [NOBODY] * 3
        with pytest.raises(ChatTimeoutError):
            alice.receive(0)


def test_a_timeout_may_be_a_year(connect: Connect) -> None:
    with ThreadPoolExecutor() as pool, played(connect, timeout=365 * 86400.0) as (alice, peer):
        pool.submit(peer.echo)
        assert alice.ping() > 0


@pytest.mark.parametrize("options", [{}, {"notices": False, "policy": Policy.reference()}], ids=str)
def test_nobody_receives_pings(connect: Connect, options: dict[str, Any]) -> None:
    with run_sync(port=0, **options) as server, ThreadPoolExecutor() as pool:
        join = partial(connect, **where(server))

        def flush_often(client: BlockingClient) -> None:
            for number in range(20):
                client.send("carol", str(number))
                assert client.ping() > 0

        with join(name="alice") as one, join(name="alice") as other, join(name="carol") as carol:
            for flushing in [pool.submit(flush_often, client) for client in (one, other)]:
                flushing.result()
            carol.send("alice", "done")
            for client in (one, other):
                assert client.receive(TIMEOUT) == Message("carol", b"done")
                client.login("carol")
                assert client.take_notices() == []
            numbers = sorted(int(carol.receive(TIMEOUT).text) for _ in range(40))
            assert numbers == [number // 2 for number in range(40)]
            assert carol.invalid_lines == 0


BAD: list[tuple[ErrorCode, Callable[[BlockingClient], object]]] = [
    (ErrorCode.BAD_NAME, lambda client: client.send("a b", "x")),
    (ErrorCode.BAD_NAME, lambda client: client.broadcast("\ud800", "x")),
    (ErrorCode.BAD_NAME, lambda client: client.group("g", ["bob", "x" * 65])),
    (ErrorCode.BAD_NAME, lambda client: client.leave("g\n")),
    (ErrorCode.BAD_NAME, lambda client: client.login("a\tb")),
    (ErrorCode.NAME_RESERVED, lambda client: client.login("*server*")),
    (ErrorCode.MALFORMED, lambda client: client.send("alice", "two\nlines")),
    (ErrorCode.MALFORMED, lambda client: client.broadcast("g", b"ends with\r")),
    (ErrorCode.MALFORMED, lambda client: client.send("alice", "\ud800")),
    (ErrorCode.LINE_TOO_LONG, lambda client: client.send("alice", b"x" * 4096)),
    (ErrorCode.LINE_TOO_LONG, lambda client: client.group("g", ["x" * 64] * 64)),
]


def test_a_command_that_cannot_be_sent_changes_nothing(join: Connect) -> None:
    with join(name="alice") as alice:
        for code, send in BAD:
            with pytest.raises(LocalProtocolError) as caught:
                send(alice)
            assert caught.value.code == code
            alice.send("alice", code)
            assert alice.receive(TIMEOUT).text == code
        assert alice.name == "alice"
        alice.flush()
        assert alice.take_notices() == []


def test_data_of_the_wrong_type_is_a_type_error(join: Connect) -> None:
    data: Any = ["neither str nor bytes"]
    with join(name="alice") as alice, pytest.raises(TypeError):
        alice.send("alice", data)


def test_a_logout_delivers_all_that_was_sent(join: Connect) -> None:
    numbers = [str(number) for number in range(300)]
    # However little room the recipient has.
    with join(name="bob", max_queue=5) as bob:
        with join(name="alice") as alice:
            # Data that alice has not read when she logs out must not destroy what she has written.
            for _ in range(40):
                bob.send("alice", "x" * 1000)
            bob.flush()
            for number in numbers:
                alice.send("bob", number)
        assert [bob.receive(TIMEOUT).text for _ in numbers] == numbers


def test_an_exception_closes_without_a_logout(connect: Connect) -> None:
    error = ZeroDivisionError()
    here, there = socket.socketpair()
    with Peer(there) as peer, ThreadPoolExecutor() as pool:
        pool.submit(peer.let_in)
        with pytest.raises(ZeroDivisionError) as caught, connect(transport=here, name="alice"):
            raise error
        assert caught.value is error
        assert peer.read_line() == b""


USES: list[Callable[[BlockingClient], object]] = [
    lambda client: client.send("alice", "x"),
    lambda client: client.leave("g"),
    lambda client: client.login("bob"),
    lambda client: client.flush(),
    lambda client: client.ping(),
]


@pytest.mark.parametrize("end", ["logout", "close"])
def test_after_the_end(join: Connect, end: str) -> None:
    with join(name="alice") as alice, join(name="bob") as bob:
        for number in range(3):
            bob.send("alice", str(number))
        bob.flush()
        alice.send("nobody", "?")
        alice.flush()
        getattr(alice, end)()
        for use in USES:
            with pytest.raises(LocalProtocolError, match="NOT_LOGGED_IN"):
                use(alice)
        assert alice.receive(TIMEOUT) == Message("bob", b"0")
        assert [message.text for message in alice] == ["1", "2"]
        assert list(alice) == []
        assert alice.take_notices() == [NOBODY]
        for wait in (alice.receive, alice.receive_notice):
            with pytest.raises(LocalProtocolError, match="NOT_LOGGED_IN"):
                wait(TIMEOUT)
        getattr(alice, end)()
        assert alice.name == "alice"


def test_the_end_of_the_server(connect: Connect) -> None:
    with run_sync(port=0) as server, connect(**where(server), name="alice") as alice:
        with connect(**where(server), name="bob") as bob:
            bob.send("alice", "1")
            bob.send("alice", "2")
        server.shutdown()
        assert [alice.receive(TIMEOUT).text for _ in range(2)] == ["1", "2"]
        for use in (lambda client: client.receive(TIMEOUT), *USES):
            with pytest.raises(ConnectionLostError) as caught:
                use(alice)
            assert caught.value.code == ErrorCode.SHUTTING_DOWN
        assert [notice.code for notice in alice.take_notices()] == [ErrorCode.SHUTTING_DOWN]


def test_a_client_that_only_sends_learns_of_the_end(connect: Connect) -> None:
    """But not why: it would have to read that."""
    with played(connect) as (alice, peer):
        peer.say("*server*", b"ERR NAME_IN_USE - another client is alice now")
        peer.close()
        with pytest.raises(ConnectionLostError):
            send_for_ever(alice)


def test_a_name_taken_over(connect: Connect) -> None:
    policy = Policy(duplicate_login=DuplicateLogin.REPLACE)
    with (
        run_sync(port=0, policy=policy) as server,
        connect(**where(server), name="alice") as alice,
        connect(**where(server), name="alice") as other,
    ):
        with pytest.raises(ConnectionLostError) as caught:
            alice.receive(TIMEOUT)
        assert caught.value.code == ErrorCode.NAME_IN_USE
        assert other.ping() > 0
