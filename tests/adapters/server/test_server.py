"""`Server`: listening, chatting, logging and shutting down over real sockets."""

import errno
import gc
import logging
import queue
import re
import socket
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import EventKind, Limits, NameRule, Policy

from ..servers import TIMEOUT, SocketClient, Start, clients, in_thread, reserved_port
from ..sockets.insides import Clock, NarrowClient, narrow_listener, wait_until

PATIENT = Limits(high_water=1 << 19)
"""Senders wait only for a queue of more than half a megabyte."""

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="counts descriptors in /proc"
)


def test_unix_socket(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "chat"
    with start(unix=str(path)) as server:
        assert server.addresses == [f"unix:{path}"]
        with clients(server.addresses[0], "alice", "bob") as (alice, bob):
            alice.write(b"CHAT/1.0 SEND bob hi\n")
            assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
    assert not path.exists()


def test_the_loop_calls_a_function_again_and_again(start: Start) -> None:
    called: queue.SimpleQueue[int] = queue.SimpleQueue()
    with start(port=0) as server:
        server.on_tick(lambda: called.put(threading.get_ident()))
        threads = {called.get(timeout=TIMEOUT) for _ in range(3)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


@pytest.mark.parametrize("make", [chatproto_sync.Server, chatproto_anyio.Server])
def test_sockets_that_do_not_listen(make: Callable[..., object]) -> None:
    with socket.socket() as sock, pytest.raises(ValueError, match=r"^can't use <.*it does not li"):
        make(sockets=[sock])


def test_several_places(start: Start, tmp_path: Path) -> None:
    paths = [tmp_path / "one", tmp_path / "two"]
    with start(host=["127.0.0.1", "127.0.0.1"], port=0, unix=paths) as server:
        tcp, *others = server.addresses
        assert others == [f"unix:{path}" for path in paths]
        with clients(tcp, "alice") as (alice,), clients(others[1], "bob") as (bob,):
            alice.write(b"CHAT/1.0 SEND bob hi\n")
            assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
    assert list(tmp_path.iterdir()) == []


def test_listens_on_every_address_of_a_name(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    if not socket.has_ipv6 or not _has_ipv6_loopback():
        pytest.skip("no IPv6 here")

    def both(*_: object, **__: object) -> list[object]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 0)),
            (socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("::1", 0, 0, 0)),
        ]

    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", both)
        stack = ExitStack()
        server = stack.enter_context(start(host="both.example", port=0))
    with stack:
        first, second = server.addresses
        assert first.rpartition(":")[2] == second.rpartition(":")[2]
        assert second.startswith("[::1]:")
        with clients(first, "alice") as (alice,), clients(second, "bob") as (bob,):
            alice.write(b"CHAT/1.0 SEND bob hi\n")
            assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"


def _has_ipv6_loopback() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        return probe.connect_ex(("::1", 9)) != errno.EADDRNOTAVAIL


def test_port_in_use(start: Start) -> None:
    with start(port=0) as server:
        port = int(server.addresses[0].rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), start(port=port):
            pass


@pytest.mark.skipif(sys.platform != "linux", reason="others do not spread the connections")
def test_two_servers_on_one_port(start: Start) -> None:
    """Linux spreads the connections over them. Those who come later go to the one that is left."""
    with start(port=0, reuse_port=True) as first:
        [address] = first.addresses
        port = int(address.rpartition(":")[2])
        with start(port=port, reuse_port=True) as second:
            # It is as likely as 200 heads in a row that one of them gets none of so many.
            for _ in range(200):
                with SocketClient(address) as client:
                    client.login("alice")
                if first.snapshot().logins and second.snapshot().logins:
                    break
            assert first.snapshot().logins
            assert second.snapshot().logins
        before = first.snapshot().logins
        for _ in range(5):
            with SocketClient(address) as client:
                client.login("alice")
        assert first.snapshot().logins == before + 5


def test_queue_larger_than_the_sockets_buffers(start: Start) -> None:
    """Partial writes, and a sender that has to wait: each line arrives once and in order."""
    count, data = 4000, b"x" * 4000
    lines = [b"CHAT/1.0 SEND bob %d %b\n" % (number, data) for number in range(count)]
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
        ThreadPoolExecutor() as pool,
    ):
        # If bob has no turn for a while, that does not count.
        Clock(server)
        writing = pool.submit(alice.write, b"".join(lines))
        for number in range(count):
            assert bob.read_line() == b"CHAT/1.0 RECEIVE alice %d %b\n" % (number, data)
        writing.result()
        alice.flush("alice")
        bob.flush("bob")


def test_four_senders_to_one_recipient(start: Start) -> None:
    count = 500
    names = ["one", "two", "three", "four"]
    with (
        start(port=0) as server,
        clients(server.addresses[0], "sink", *names) as (sink, *senders),
    ):

        def send(client: SocketClient) -> None:
            for number in range(count):
                client.write(b"CHAT/1.0 SEND sink %d\n" % number)

        threads = [in_thread(send, client) for client in senders]
        seen: dict[bytes, list[int]] = {name.encode(): [] for name in names}
        for _ in range(count * len(names)):
            _, _, sender, number = sink.read_line().split()
            seen[sender].append(int(number))
        for thread in threads:
            thread.join()
        assert list(seen.values()) == [list(range(count))] * len(names)


@needs_proc
def test_connections_that_come_and_go_leave_nothing(start: Start) -> None:
    """They end by FIN, RST and LOGOUT, logged in or not, some in the middle of a line."""
    with (
        start(port=0) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        # What other tests have left to the garbage collector does not count.
        gc.collect()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for number in range(60):
            client = SocketClient(server.addresses[0])
            if number % 2:
                client.login(f"user{number}")
            if number % 3 == 0:
                client.write(b"CHAT/1.0 SEND bob unfin")
            elif number % 3 == 1:
                client.write(b"CHAT/1.0 LOGOUT\n")
            if number % 5:
                client.close()
            else:
                client.reset()
            alice.write(b"CHAT/1.0 SEND bob %d\n" % number)
        received = [bob.read_line() for _ in range(60)]
        assert received == [b"CHAT/1.0 RECEIVE alice %d\n" % number for number in range(60)]
        wait_until(lambda: len(list(Path("/proc/self/fd").iterdir())) == before, alice, "alice")


def test_log_of_a_session(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "chatproto.server")
    policy = Policy(names=NameRule.ANY)
    with start(port=0, policy=policy) as server, SocketClient(server.addresses[0]) as alice:
        alice.write(
            b"CHAT/1.0 LOGIN al\xe2\x80\xaeice\nCHAT/1.0 GROUP g a\nCHAT/1.0 LEAVE g\n"
            b"CHAT/1.0 LOGIN a\nCHAT/1.0 LEAVE g\nCHAT/1.0 LOGOUT\n"
        )
        while alice.read_line():
            pass
        host, port = alice.socket.getsockname()
    peer = f"{host}:{port}"
    *lines, last, last_but_one, end = [record.getMessage() for record in caplog.records]
    assert lines == [
        f"listening on {server.addresses[0]}",
        f"accepted from {peer}",
        f"logged in al\\u202eice ({peer})",
        f"group made g by al\\u202eice ({peer})",
        f"logged in a ({peer})",
        f"left g: a ({peer})",
        f"logged out a ({peer})",
    ]
    # The system decides which of these comes first.
    closed, ending = sorted([last, last_but_one])
    assert closed == f"closed a ({peer}): logged out"
    assert ending.startswith("shutting down, ")
    assert re.fullmatch(r"shut down after [\d.]+ s, connections cut off: 0", end)
    assert [record.event.kind for record in caplog.records[1:3]] == [  # type: ignore[attr-defined]
        EventKind.ACCEPTED,
        EventKind.LOGGED_IN,
    ]


def test_the_shutdown_tells_all_clients_and_writes_what_is_queued(start: Start) -> None:
    def read_to_the_end(client: SocketClient) -> list[bytes]:
        with client:
            return list(iter(client.read_line, b""))

    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        with start(port=0, limits=PATIENT) as server:
            alice, bob = stack.enter_context(clients(server.addresses[0], "alice", "bob"))
            line = b"CHAT/1.0 SEND bob " + b"x" * 4000 + b"\n"
            alice.write(line * 100)
            alice.flush("alice")
            reading = [pool.submit(read_to_the_end, client) for client in (alice, bob)]
        [notice], [*received, last] = (each.result(TIMEOUT) for each in reading)
        assert received == [b"CHAT/1.0 RECEIVE alice " + b"x" * 4000 + b"\n"] * 100
        assert notice == last
        assert notice.startswith(b"CHAT/1.0 RECEIVE *server* ERR SHUTTING_DOWN - ")


def test_what_is_queued_arrives_although_the_client_goes_on_sending(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """If the server closed with unread data, the system would drop what bob has not read."""
    caplog.set_level(logging.INFO, "chatproto.server")
    with (
        start(port=0, limits=PATIENT) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        alice.write((b"CHAT/1.0 SEND bob " + b"x" * 4000 + b"\n") * 100)
        alice.flush("alice")
        bob.write(b"CHAT/1.0 LOGOUT\n")
        wait_until(lambda: "logged out bob" in caplog.text, alice, "alice")
        bob.write(b"and something after it\n")
        alice.flush("alice")
        received = list(iter(bob.read_line, b""))
        assert received == [b"CHAT/1.0 RECEIVE alice " + b"x" * 4000 + b"\n"] * 100


def test_the_shutdown_does_not_wait_for_a_client_that_does_not_read(start: Start) -> None:
    """It waits for `Limits.linger` at most, and what is queued then is lost."""
    count = 60
    line = b"CHAT/1.0 SEND bob " + b"x" * 4000 + b"\n"
    limits = replace(PATIENT, linger=0.01, close_timeout=0.01, grace=1000.0)
    with ExitStack() as stack:
        with start(sockets=[narrow_listener()], limits=limits) as server:
            [alice] = stack.enter_context(clients(server.addresses[0], "alice"))
            bob = stack.enter_context(NarrowClient(server.addresses[0]))
            bob.login("bob")
            alice.write(line * count)
            alice.flush("alice")
            assert server.snapshot().queued > 0
        lines = list(iter(bob.read_line, b""))
    assert 0 < len(lines) < count
    assert not any(b"SHUTTING_DOWN" in each for each in lines)


def test_a_server_runs_once() -> None:
    server = chatproto_sync.Server(port=0)
    server.shutdown()
    server.run()
    with pytest.raises(RuntimeError, match="runs once"):
        server.run()
    server.shutdown()
    with pytest.raises(RuntimeError, match="runs once"):
        anyio.run(_run_closed)


def test_a_server_that_runs_is_not_closed(start: Start) -> None:
    with start(port=0) as server:
        closable: Any = server
        with pytest.raises(RuntimeError, match="the server runs: call drain"):
            closable.close()
        with clients(server.addresses[0], "alice") as [alice]:
            alice.flush("alice")


async def _run_closed() -> None:
    server = chatproto_anyio.Server(port=0)
    server.close()
    server.close()
    await server.run()


@pytest.mark.parametrize("module", [chatproto_sync, chatproto_anyio])
def test_a_server_that_never_runs_leaves_nothing_open(module: Any, tmp_path: Path) -> None:
    server = module.Server(unix=tmp_path / "chat")
    server.close()
    assert not (tmp_path / "chat").exists()
    for options in ({"port": 65536}, {"port": -1}, {"unix": ""}, {"host": ""}, {"host": ()}):
        with pytest.raises(ValueError, match=r"port|path|host"):
            module.Server(**options)


def test_connections_are_refused_after_the_end(start: Start) -> None:
    # Nobody else gets that port.
    with start(port=reserved_port()) as server:
        host, _, port = server.addresses[0].rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), TIMEOUT).close()
