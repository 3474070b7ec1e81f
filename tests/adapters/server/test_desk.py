"""The methods of a server for those who run it: from other threads, and where the loop runs."""

import threading
from typing import cast

import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import GroupInfo, LocalProtocolError, UserInfo
from chatproto_sync.sockets import driver as driver_module

from ..servers import TIMEOUT, SocketClient, Start, clients
from ..sockets.insides import server_log

Desk = chatproto_sync.Server | chatproto_anyio.Server


def test_another_thread_sees_and_acts(start: Start) -> None:
    with start(port=0) as running, clients(running.addresses[0], "alice", "bob") as found:
        server = cast(Desk, running)
        alice, bob = found
        alice.write(b"CHAT/1.0 GROUP tea alice\n")
        alice.flush("alice")
        assert server.users() == [UserInfo("alice", (1,), ()), UserInfo("bob", (2,), ())]
        assert [each.name for each in server.connections()] == ["alice", "bob"]
        server.add_member("tea", "bob")
        assert server.groups() == [GroupInfo("tea", "alice", ("alice", "bob"))]
        assert server.tell("#tea", b"hi") == 2
        assert server.tell("bob", b"you", "*ops*") == 1
        assert bob.read_line() == b"CHAT/1.0 RECEIVE *server* hi\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE *ops* you\n"
        server.remove_member("tea", "bob")
        with pytest.raises(LookupError, match="bob is not in tea"):
            server.remove_member("tea", "bob")
        with pytest.raises(LocalProtocolError):
            server.tell("bob", b"a\nb")
        assert server.ban("bob", "be nice") == 1
        assert bob.read_line() == b"CHAT/1.0 RECEIVE *server* ERR REFUSED - be nice\n"
        assert server.bans() == ["bob"]
        assert server.unban("bob")
        assert not server.unban("bob")
        with SocketClient(running.addresses[0]) as again:
            again.login("bob")


def test_the_thread_that_serves(start: Start) -> None:
    """As in a hook, where waiting for the loop would take for ever."""
    seen: list[list[UserInfo]] = []
    told = threading.Event()
    with start(port=0) as running, clients(running.addresses[0], "bob") as [bob]:
        server = cast(Desk, running)

        def act() -> None:
            if not told.is_set():
                seen.append(server.users())
                server.tell("bob", b"hi")
                told.set()

        running.on_tick(act)
        assert bob.read_line() == b"CHAT/1.0 RECEIVE *server* hi\n"
    assert seen == [[UserInfo("bob", (1,), ())]]


def test_a_loop_that_hangs(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call of another thread ends, and is not made later."""
    hangs, goes_on, made = threading.Event(), threading.Event(), threading.Event()

    def hang() -> None:
        if goes_on.is_set():
            made.set()
        hangs.set()
        goes_on.wait(TIMEOUT)

    monkeypatch.setattr(driver_module, "CALL_TIMEOUT", 0.01)
    with start(port=0) as running, clients(running.addresses[0], "bob") as [bob]:
        server = cast(Desk, running)
        running.on_tick(hang)
        assert hangs.wait(TIMEOUT)
        with pytest.raises(TimeoutError, match="has not answered"):
            server.kick("bob")
        goes_on.set()
        # The next tick comes after the calls that were waiting.
        assert made.wait(TIMEOUT)
        bob.flush("bob")


def test_drain_ends_run(start: Start) -> None:
    with server_log() as log:
        with start(port=0) as running, clients(running.addresses[0], "bob") as [bob]:
            server = cast(Desk, running)
            server.drain()
            server.drain()
            assert b"SHUTTING_DOWN" in bob.read_line()
            assert bob.read_line() == b""
        assert log.wait_for_one("shut down after")
    assert server.health().draining
