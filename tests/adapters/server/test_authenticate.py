"""`Server(authenticate=...)`: servers that ask the application who may log in."""

import asyncio
import contextlib
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from pathlib import Path

import anyio
import pytest
from anyio.abc import TaskStatus
from anyio.from_thread import start_blocking_portal

import chatproto_anyio
from chatproto import Limits, LoginRequest
from chatproto_sync.server.authenticator import Authenticator

from ..processes import spawn
from ..servers import KINDS, TIMEOUT, SocketClient, Start, run_sync
from ..sockets.insides import Clock, wait_until

FAILED = (
    b"CHAT/1.0 RECEIVE *server* ERR AUTH_FAILED LOGIN "
    b"the server could not decide whether you may log in\n"
)
REFUSED = b"CHAT/1.0 RECEIVE *server* ERR AUTH_FAILED LOGIN you may not log in under that name\n"
UNDECIDED = (
    b"CHAT/1.0 RECEIVE *server* ERR AUTH_FAILED LOGIN"
    b" it was not decided in time whether you may log in\n"
)

Decide = Callable[[LoginRequest], bool]


def asking(start: Start, decide: Decide) -> Start:
    """Starts a server that asks a plain function, on a thread for each kind of server."""
    if start is run_sync:
        return partial(start, authenticate=decide)

    async def authenticate(request: LoginRequest) -> bool:
        return await anyio.to_thread.run_sync(decide, request, abandon_on_cancel=True)

    return partial(start, authenticate=authenticate)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a decision can wait for. Set at the end, so that no thread goes on waiting."""
    event = threading.Event()
    yield event
    event.set()


class SlowFor:
    """Decides at once, but for one name only when the gate opens."""

    def __init__(self, name: str, gate: threading.Event) -> None:
        self.asked = threading.Event()
        self._name = name
        self._gate = gate

    def __call__(self, request: LoginRequest) -> bool:
        if request.name != self._name:
            return True
        self.asked.set()
        return self._gate.wait(TIMEOUT)


def only_alice(request: LoginRequest) -> bool:
    return request.name == "alice"


def test_allowed_and_refused(start: Start) -> None:
    with (
        asking(start, only_alice)(port=0) as server,
        SocketClient(server.addresses[0]) as alice,
        SocketClient(server.addresses[0]) as mallory,
    ):
        alice.login("alice")
        mallory.write(b"CHAT/1.0 LOGIN mallory\nCHAT/1.0 SEND alice hi\n")
        assert mallory.read_line() == REFUSED
        # Nothing from mallory arrives before this.
        alice.flush("alice")


def test_a_refused_login_leaves_the_name_free(start: Start) -> None:
    with (
        asking(start, only_alice)(port=0) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.write(b"CHAT/1.0 LOGIN mallory\n")
        assert alice.read_line() == REFUSED
        with SocketClient(server.addresses[0]) as again:
            again.login("alice")


def test_only_true_allows(start: Start) -> None:
    def decide(_: LoginRequest) -> bool:
        return 1  # type: ignore[return-value] # pyright: ignore[reportReturnType]

    with asking(start, decide)(port=0) as server, SocketClient(server.addresses[0]) as alice:
        alice.write(b"CHAT/1.0 LOGIN alice\n")
        assert alice.read_line() == REFUSED


def test_an_exception_is_logged_and_refuses(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    def decide(request: LoginRequest) -> bool:
        if request.name == "alice":
            return True
        raise LookupError("no such table")

    with (
        asking(start, decide)(port=0) as server,
        SocketClient(server.addresses[0]) as alice,
        SocketClient(server.addresses[0]) as mallory,
    ):
        alice.login("alice")
        mallory.write(b"CHAT/1.0 LOGIN mallory\n")
        assert mallory.read_line() == FAILED
        alice.flush("alice")
    first, second = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert first.name == second.name == "chatproto.server"
    assert first.getMessage() == "authenticate failed"
    assert first.exc_info
    assert isinstance(first.exc_info[1], LookupError)
    assert re.fullmatch(
        r"authenticate failed for mallory \(127\.0\.0\.1:\d+\): LookupError: no such table",
        second.getMessage(),
    )


def test_exceptions_do_not_flood_the_log(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """One of them has a traceback, and each has a line as long as there is room for lines."""

    def decide(request: LoginRequest) -> bool:
        if request.name == "alice":
            return True
        raise LookupError("no such table\n" * 1000)

    def fail(count: int) -> list[logging.LogRecord]:
        """Have it fail. Returns the errors in the log since the last call."""
        caplog.clear()
        alice.write(b"CHAT/1.0 LOGIN mallory\n" * count)
        alice.flush("alice")
        # The server writes before it logs.
        alice.flush("alice")
        return [each for each in caplog.records if each.levelno == logging.ERROR]

    with (
        asking(start, decide)(port=0, limits=Limits(log_lines=5), notices=False) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        clock = Clock(server)
        alice.login("alice")
        caplog.set_level(logging.INFO)
        errors = fail(100)
        assert [bool(each.exc_info) for each in errors] == [True, False, False, False]
        assert all(len(each.getMessage()) < 300 for each in errors)
        # Two more lines are of the connection and its login.
        left_out = "left out 97 lines about this machine"
        clock.skip(60.0)
        wait_until(lambda: left_out in caplog.messages, alice, "alice")
        errors = fail(2)
        assert [bool(each.exc_info) for each in errors] == [True, False, False]


def test_a_decision_that_takes_too_long(start: Start, gate: threading.Event) -> None:
    decide = SlowFor("bob", gate)
    with (
        asking(start, decide)(port=0) as server,
        SocketClient(server.addresses[0]) as alice,
        SocketClient(server.addresses[0]) as bob,
    ):
        alice.login("alice")
        bob.write(b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND alice late\n")
        assert decide.asked.wait(TIMEOUT)
        Clock(server).skip(Limits().auth_timeout)
        assert bob.read_line() == UNDECIDED
        gate.set()
        # The late answer changes nothing: nothing from bob arrives before this.
        alice.flush("alice")


@pytest.mark.parametrize("kind", ["asyncio", "trio"])
def test_a_task_that_takes_too_long_is_cancelled(kind: str) -> None:
    cancelled = threading.Event()

    async def authenticate(_: LoginRequest) -> bool:
        try:
            await anyio.sleep(TIMEOUT)
        finally:
            cancelled.set()
        return True

    limits = Limits(auth_timeout=0.01)
    with (
        KINDS[kind](port=0, authenticate=authenticate, limits=limits) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.write(b"CHAT/1.0 LOGIN alice\n")
        assert alice.read_line() in (REFUSED, UNDECIDED)
        assert cancelled.wait(TIMEOUT)


def test_a_thread_is_not_asked_when_it_is_too_late() -> None:
    """Because all threads were busy, for example."""
    asked: list[str] = []
    answered = threading.Event()

    def decide(request: LoginRequest) -> bool:
        asked.append(request.name)
        return True

    def answer(_token: int, allowed: bool, error: BaseException | None) -> None:
        assert allowed
        assert error is None
        answered.set()

    late = Authenticator(decide, answer, timeout=-1.0)
    late.ask(1, LoginRequest("bob", "", None, None))
    late.timeout = TIMEOUT
    late.ask(2, LoginRequest("alice", "", None, None))
    assert answered.wait(TIMEOUT)
    late.close()
    assert asked == ["alice"]


def test_what_follows_the_login_waits_in_order(start: Start, gate: threading.Event) -> None:
    decide = SlowFor("bob", gate)
    lines = [b"%d" % number for number in range(50)]
    with (
        asking(start, decide)(port=0) as server,
        SocketClient(server.addresses[0]) as alice,
        SocketClient(server.addresses[0]) as bob,
    ):
        alice.login("alice")
        bob.write(b"CHAT/1.0 LOGIN bob\n")
        bob.write(b"".join(b"CHAT/1.0 SEND alice %b\n" % line for line in lines))
        assert decide.asked.wait(TIMEOUT)
        alice.flush("alice")
        # Bob is not logged in yet.
        alice.write(b"CHAT/1.0 SEND bob hi\n")
        assert b"NO_SUCH_USER" in alice.read_line()
        gate.set()
        for line in lines:
            assert alice.read_line() == b"CHAT/1.0 RECEIVE bob %b\n" % line
        bob.flush("bob")


def test_a_client_that_is_gone_before_the_answer(
    start: Start, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer has no effect: nobody is logged in under the name."""
    decide = SlowFor("bob", gate)
    with (
        asking(start, decide)(port=0) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.login("alice")
        with SocketClient(server.addresses[0]) as bob:
            bob.write(b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND alice boo")
            assert decide.asked.wait(TIMEOUT)
            bob.reset()
        gate.set()
        wait_until(lambda: server.snapshot().connections == 1, alice, "alice")
        assert server.snapshot().users == 1
        alice.write(b"CHAT/1.0 SEND bob hi\n")
        assert b"NO_SUCH_USER" in alice.read_line()
        alice.flush("alice")
    assert [each for each in caplog.records if each.levelno > logging.INFO] == []


def test_the_shutdown_does_not_wait_for_a_decision(start: Start, gate: threading.Event) -> None:
    asked, decided = threading.Event(), threading.Event()

    def decide(_: LoginRequest) -> bool:
        asked.set()
        gate.wait(TIMEOUT)
        decided.set()
        return True

    with ThreadPoolExecutor() as pool:
        with asking(start, decide)(port=0) as server:
            bob = SocketClient(server.addresses[0])
            bob.write(b"CHAT/1.0 LOGIN bob\n")
            assert asked.wait(TIMEOUT)
            lines = pool.submit(_read_to_the_end, bob)
        # The server has ended, and the function still waits.
        assert not decided.is_set()
        [notice] = lines.result(TIMEOUT)
        assert b" ERR SHUTTING_DOWN " in notice


def _read_to_the_end(client: SocketClient) -> list[bytes]:
    with client:
        return list(iter(client.read_line, b""))


Authenticate = Callable[[LoginRequest], Awaitable[bool]]


@contextlib.contextmanager
def run_until_told(
    backend: str, authenticate: Authenticate, limits: Limits
) -> Iterator[tuple[chatproto_anyio.Server, Callable[[], None], threading.Event]]:
    """A server, with a function that cancels it, and an event that is set when it has ended.

    The event loop goes on until the end of the context. That may wait for what the server has left.
    """
    ended = threading.Event()

    async def run(*, task_status: TaskStatus[chatproto_anyio.Server]) -> None:
        try:
            await chatproto_anyio.serve(
                port=0, authenticate=authenticate, limits=limits, task_status=task_status
            )
        finally:
            ended.set()

    with start_blocking_portal(backend) as portal:
        future, server = portal.start_task(run)

        def cancel() -> None:
            future.cancel()

        yield server, cancel, ended


def shielded(asked: threading.Event, gate: threading.Event) -> Authenticate:
    async def authenticate(_: LoginRequest) -> bool:
        with anyio.CancelScope(shield=True):
            asked.set()
            await anyio.to_thread.run_sync(gate.wait, TIMEOUT, abandon_on_cancel=True)
        return True

    return authenticate


def in_a_thread(asked: threading.Event, gate: threading.Event) -> Authenticate:
    async def authenticate(_: LoginRequest) -> bool:
        asked.set()
        return await anyio.to_thread.run_sync(gate.wait, TIMEOUT)

    return authenticate


each_backend = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@each_backend
@pytest.mark.parametrize("make", [shielded, in_a_thread])
@pytest.mark.parametrize("aborts", [False, True], ids=["after the grace", "at the abort"])
def test_a_decision_that_cannot_be_cancelled_is_left_behind(
    backend: str,
    make: Callable[[threading.Event, threading.Event], Authenticate],
    aborts: bool,
    gate: threading.Event,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = threading.Event()
    limits = Limits(grace=1000.0 if aborts else 0.05)
    with run_until_told(backend, make(asked, gate), limits) as (server, cancel, ended):
        try:
            with SocketClient(server.addresses[0]) as bob:
                bob.write(b"CHAT/1.0 LOGIN bob\n")
                assert asked.wait(TIMEOUT)
                if aborts:
                    server.abort()
                cancel()
                assert b" ERR SHUTTING_DOWN " in bob.read_line()
            assert ended.wait(TIMEOUT)
            assert caplog.messages[-1] == (
                "ending although calls of authenticate or hooks go on: 1"
            )
        finally:
            gate.set()


@each_backend
def test_a_decision_may_clean_up_when_the_server_ends(backend: str) -> None:
    asked, cleaned = threading.Event(), threading.Event()

    async def authenticate(_: LoginRequest) -> bool:
        try:
            asked.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
                cleaned.set()
        return True

    with run_until_told(backend, authenticate, Limits()) as (server, cancel, ended):
        with SocketClient(server.addresses[0]) as bob:
            bob.write(b"CHAT/1.0 LOGIN bob\n")
            assert asked.wait(TIMEOUT)
        cancel()
        assert ended.wait(TIMEOUT)
        assert cleaned.is_set()


@each_backend
def test_an_exit_in_a_decision_refuses_the_login(backend: str) -> None:
    async def authenticate(request: LoginRequest) -> bool:
        if request.name == "mallory":
            raise SystemExit(1)
        return True

    with (
        KINDS[backend](port=0, authenticate=authenticate) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.write(b"CHAT/1.0 LOGIN mallory\n")
        assert alice.read_line() == FAILED
        alice.login("alice")


@each_backend
def test_a_decision_has_the_context_of_the_server(backend: str) -> None:
    """Its context variables."""
    where: ContextVar[str] = ContextVar("where", default="nowhere")
    found: list[str] = []

    async def authenticate(_: LoginRequest) -> bool:
        found.append(where.get())
        return True

    async def run(*, task_status: TaskStatus[chatproto_anyio.Server]) -> None:
        where.set("here")
        await chatproto_anyio.serve(port=0, authenticate=authenticate, task_status=task_status)

    with start_blocking_portal(backend) as portal:
        future, server = portal.start_task(run)
        with SocketClient(server.addresses[0]) as alice:
            alice.login("alice")
        future.cancel()
    assert found == ["here"]


def test_a_decision_that_waits_for_a_cancelled_task() -> None:
    """Only the other task was cancelled, so the server goes on."""

    async def authenticate(request: LoginRequest) -> bool:
        if request.name == "mallory":
            task = asyncio.ensure_future(asyncio.sleep(TIMEOUT))
            task.cancel()
            await task
        return True

    with (
        KINDS["asyncio"](port=0, authenticate=authenticate) as server,
        SocketClient(server.addresses[0]) as alice,
        SocketClient(server.addresses[0]) as mallory,
    ):
        alice.login("alice")
        mallory.write(b"CHAT/1.0 LOGIN mallory\n")
        assert mallory.read_line() == FAILED
        alice.flush("alice")


BLOCKING = """
import threading
from chatproto_sync import Server
from chatproto_sync.service.startup import greet
from chatproto_sync.server.server import shutdown_on_signals

def decide(request):
    print("asked", flush=True)
    return threading.Event().wait()

server = Server(port=0, authenticate=decide)
with shutdown_on_signals(server):
    greet(server.addresses, None)
    server.run()
"""


def test_the_process_does_not_wait_for_a_decision(tmp_path: Path) -> None:
    """A process waits for its threads, unless they are daemons."""
    with (
        spawn([sys.executable, "-c", BLOCKING], tmp_path / "log") as process,
        SocketClient(process.address) as bob,
    ):
        bob.write(b"CHAT/1.0 LOGIN bob\n")
        assert process.popen.stdout is not None
        assert process.popen.stdout.readline() == "asked\n"
        process.popen.send_signal(signal.SIGTERM)
        assert b" ERR SHUTTING_DOWN " in bob.read_line()
        bob.close()
        assert process.popen.wait(TIMEOUT) == 0


def test_the_request_over_tcp(start: Start) -> None:
    requests: list[LoginRequest] = []

    def decide(request: LoginRequest) -> bool:
        requests.append(request)
        return True

    with (
        asking(start, decide)(port=0) as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.login("alice")
        host, port = alice.socket.getsockname()
    assert requests == [LoginRequest("alice", f"{host}:{port}", None, None)]


def test_the_request_over_a_unix_socket_has_credentials(start: Start, tmp_path: Path) -> None:
    requests: list[LoginRequest] = []

    def decide(request: LoginRequest) -> bool:
        requests.append(request)
        return request.credentials is not None and request.credentials.uid == os.getuid()

    with (
        asking(start, decide)(unix=tmp_path / "chat") as server,
        SocketClient(server.addresses[0]) as alice,
    ):
        alice.login("alice")
    [request] = requests
    assert request.peer == "unix"
    assert request.credentials is not None
    assert (request.credentials.pid, request.credentials.gid) == (os.getpid(), os.getgid())
