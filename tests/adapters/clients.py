"""Each kind of client, with blocking methods: a test reads like plain code and runs for each kind.

With `pytestmark = each_client`, or `@each_client`, a test takes `connect`, which has the parameters
of `chatproto_sync.connect`.
"""

import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol, Self

import anyio
import anyio.to_thread
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

import chatproto_anyio
import chatproto_sync
from chatproto import BytesLike, ChatTimeoutError, ConnectionLostError, Item, Message, Notice
from chatproto_anyio.client.runtime import LoopRuntime
from chatproto_sync.client.deadline import Deadline
from chatproto_sync.client.runtime import SystemRuntime

from .servers import TIMEOUT


class BlockingClient(Protocol):
    """The methods of `chatproto_sync.Client`."""

    @property
    def name(self) -> str: ...
    @property
    def invalid_lines(self) -> int: ...
    @property
    def labels(self) -> bool: ...
    def send(self, to: str, data: str | BytesLike, *, confirm: bool = False) -> None: ...
    def broadcast(self, group: str, data: str | BytesLike, *, confirm: bool = False) -> None: ...
    def group(self, name: str, members: Iterable[str] = (), *, confirm: bool = False) -> None: ...
    def leave(self, group: str, *, confirm: bool = False) -> None: ...
    def reply(self, message: Message, data: str | BytesLike, *, confirm: bool = False) -> None: ...
    def groups(self) -> list[str]: ...
    def members(self, group: str) -> list[str]: ...
    def add(self, group: str, member: str) -> None: ...
    def login(self, name: str) -> None: ...
    def flush(self) -> None: ...
    def ping(self) -> float: ...
    def receive(self, timeout: float | None = None) -> Message: ...
    def receive_item(self, timeout: float | None = None) -> Item: ...
    def items(self) -> Iterator[Item]: ...
    def receive_notice(self, timeout: float | None = None) -> Notice: ...
    def take_notices(self) -> list[Notice]: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> Message: ...
    def logout(self) -> None: ...
    def close(self) -> None: ...


class PortalClient:
    """A client of `chatproto_anyio`, on an event loop in another thread."""

    def __init__(self, portal: BlockingPortal, client: chatproto_anyio.Client) -> None:
        self._call = portal.call
        self.client = client

    @property
    def name(self) -> str:
        return self.client.name

    @property
    def invalid_lines(self) -> int:
        return self.client.invalid_lines

    @property
    def labels(self) -> bool:
        return self.client.labels

    def send(self, to: str, data: str | BytesLike, *, confirm: bool = False) -> None:
        self._call(partial(self.client.send, to, data, confirm=confirm))

    def broadcast(self, group: str, data: str | BytesLike, *, confirm: bool = False) -> None:
        self._call(partial(self.client.broadcast, group, data, confirm=confirm))

    def group(self, name: str, members: Iterable[str] = (), *, confirm: bool = False) -> None:
        self._call(partial(self.client.group, name, members, confirm=confirm))

    def leave(self, group: str, *, confirm: bool = False) -> None:
        self._call(partial(self.client.leave, group, confirm=confirm))

    def reply(self, message: Message, data: str | BytesLike, *, confirm: bool = False) -> None:
        self._call(partial(self.client.reply, message, data, confirm=confirm))

    def groups(self) -> list[str]:
        return self._call(self.client.groups)

    def members(self, group: str) -> list[str]:
        return self._call(self.client.members, group)

    def add(self, group: str, member: str) -> None:
        self._call(self.client.add, group, member)

    def login(self, name: str) -> None:
        self._call(self.client.login, name)

    def flush(self) -> None:
        self._call(self.client.flush)

    def ping(self) -> float:
        return self._call(self.client.ping)

    def receive(self, timeout: float | None = None) -> Message:
        return self._call(self.client.receive, timeout)

    def receive_item(self, timeout: float | None = None) -> Item:
        return self._call(self.client.receive_item, timeout)

    def items(self) -> Iterator[Item]:
        items = self.client.items()
        with contextlib.suppress(StopAsyncIteration):
            while True:
                yield self._call(items.__anext__)

    def receive_notice(self, timeout: float | None = None) -> Notice:
        return self._call(self.client.receive_notice, timeout)

    def take_notices(self) -> list[Notice]:
        return self._call(self.client.take_notices)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Message:
        try:
            return self._call(self.client.__anext__)
        except StopAsyncIteration:
            raise StopIteration from None

    def logout(self) -> None:
        self._call(self.client.logout)

    def close(self) -> None:
        self._call(self.client.close)


Connect = Callable[..., AbstractContextManager[BlockingClient]]
"""Takes the parameters of `chatproto_sync.connect`."""


@contextlib.contextmanager
def connect_async(backend: str, **options: Any) -> Iterator[BlockingClient]:
    with start_blocking_portal(backend) as portal:
        context = portal.call(partial(chatproto_anyio.connect, **options))
        with portal.wrap_async_context_manager(context) as client:
            yield PortalClient(portal, client)


CLIENTS: dict[str, Connect] = {
    "sync": chatproto_sync.connect,
    "asyncio": partial(connect_async, "asyncio"),
    "trio": partial(connect_async, "trio"),
}

each_client = pytest.mark.parametrize("connect", CLIENTS.values(), ids=CLIENTS)


def each_backend(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Run a test of something that only tasks can do on both event loops."""
    each = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
    pytest.mark.anyio(each(test))
    return test


SHORT = 0.1
"""A timeout in seconds for something that never happens."""

LONG = 1000.0
"""What a call would wait for otherwise, in seconds: far more than `TIMEOUT`."""


def set_timeout(client: BlockingClient, seconds: float) -> None:
    """Change the `timeout` of `connect` after it.

    So a test can have a short timeout for something that never happens, and a long one for all that
    does happen, the login included.
    """
    inner: Any = client.client if isinstance(client, PortalClient) else client
    inner._timeout = inner._connection._timeout = seconds


class _SyncTime(SystemRuntime):
    """Time limits that begin when `begin` is called."""

    def __init__(self, _: BlockingClient) -> None:
        self._begun: float | None = None

    def begin(self) -> None:
        self._begun = time.monotonic()

    def deadline(self, seconds: float | None) -> Deadline:
        return Deadline(None) if seconds is None else _Deadline(seconds, self._elapsed)

    def _elapsed(self) -> float:
        return 0.0 if self._begun is None else time.monotonic() - self._begun


class _Deadline(Deadline):
    """Has its caller look at the clock often."""

    def left(self) -> float:
        return min(super().left() or 0.0, SHORT)


class _LoopTime(LoopRuntime):
    """The same on an event loop."""

    def __init__(self, client: BlockingClient) -> None:
        assert isinstance(client, PortalClient)
        self._call = client._call
        self._scope: anyio.CancelScope | None = None

    def begin(self) -> None:
        self._call(self._begin)

    def _begin(self) -> None:
        if self._scope is not None:
            self._scope.deadline = anyio.current_time() + SHORT

    def time_limit(self, seconds: float | None) -> AbstractContextManager[None]:
        return super().time_limit(None) if seconds is None else self._limit()

    @contextlib.contextmanager
    def _limit(self) -> Iterator[None]:
        with anyio.CancelScope() as scope:
            self._scope = scope
            yield
        if scope.cancelled_caught:
            raise ChatTimeoutError


def times_out(
    client: BlockingClient, call: Callable[[], object], after: Callable[[], object]
) -> None:
    """Have a call end because its time is over, which begins only when `after` has returned.

    So a client always does first what `after` waits for, however slow the machine is.
    """
    inner: Any = client.client if isinstance(client, PortalClient) else client
    times = _LoopTime(client) if isinstance(client, PortalClient) else _SyncTime(client)
    with ThreadPoolExecutor() as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner, "_timeout", SHORT)
        patch.setattr(inner._connection, "_runtime", times)
        calling = pool.submit(call)
        try:
            after()
        finally:
            times.begin()
        with pytest.raises(ChatTimeoutError):
            calling.result(TIMEOUT)


ASK_FOR_LABELS = b"SEND *groups* on\n"
"""What a client asks when it logs in, without the version."""


class Listening(Protocol):
    """A server of any kind, or a played one."""

    @property
    def addresses(self) -> list[str]: ...


def where(server: Listening) -> dict[str, Any]:
    """The parameters of `connect` that say where a server is."""
    kind, _, path = server.addresses[0].partition(":")
    if kind == "unix":
        return {"unix": path}
    host, _, port = server.addresses[0].rpartition(":")
    return {"host": host.strip("[]"), "port": int(port)}


class Peer:
    """The server's end of one connection, played by the test.

    Logging in takes both ends, so one of them has to run in another thread.
    """

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(TIMEOUT)
        self.socket = sock
        self._reader = sock.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read_line(self) -> bytes:
        """The next line, without its version; empty at the end. An unfinished line has no LF."""
        try:
            return self._reader.readline().removeprefix(b"CHAT/1.0 ")
        except ConnectionResetError:
            return b""

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def say(self, sender: str, data: bytes) -> None:
        """Send a message."""
        self.write(b"CHAT/1.0 RECEIVE %b %b\n" % (sender.encode(), data))

    def echo(self) -> None:
        """Send back the ping of a client's flush."""
        self._echo(self.read_line())

    def let_in(self) -> None:
        """Accept a client's login, its first one or another.

        A question for labels is not answered, as on the reference server.
        """
        assert self.read_line().startswith(b"LOGIN ")
        line = self.read_line()
        self._echo(self.read_line() if line == ASK_FOR_LABELS else line)

    def _echo(self, line: bytes) -> None:
        command, name, data = line.removesuffix(b"\n").split(b" ", 2)
        assert command == b"SEND"
        self.say(name.decode(), data)

    def let_go(self) -> None:
        """Answer a client's logout, by closing the connection."""
        assert self.read_line() == b"LOGOUT\n"
        self.close()

    def close(self) -> None:
        self._reader.close()
        self.socket.close()


@contextlib.contextmanager
def played(connect: Connect, **options: Any) -> Iterator[tuple[BlockingClient, Peer]]:
    """A client named alice and the server's end of its connection, until the end of the context."""
    here, there = socket.socketpair()
    with Peer(there) as peer, ThreadPoolExecutor() as pool:
        letting_in = pool.submit(peer.let_in)
        with connect(transport=here, name="alice", **options) as client:
            letting_in.result()
            yield client, peer
            client.close()


@contextlib.asynccontextmanager
async def playing(**options: Any) -> AsyncIterator[tuple[chatproto_anyio.Client, Peer]]:
    """The same as `played`, for tasks."""
    here, there = socket.socketpair()
    with anyio.fail_after(TIMEOUT), Peer(there) as peer:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, peer.let_in)
            async with chatproto_anyio.connect(transport=here, name="alice", **options) as client:
                yield client, peer
                await client.close()


async def cancel(function: Callable[..., Awaitable[object]], *args: object) -> None:
    """Call a function, and cancel it once it waits."""

    async def call() -> None:
        await function(*args)
        pytest.fail("it did not wait")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()


DATA = b"x" * 4000
"""What tests send that fill buffers. Few lines with so much data are enough."""

LINE = b"SEND bob %b\n" % DATA


def send_for_ever(client: BlockingClient) -> None:
    """Send `DATA` to bob until that fails."""
    while True:
        client.send("bob", DATA)


def send_until_a_line_is_unfinished(client: BlockingClient) -> None:
    """Send `DATA` to bob, with a short timeout, until the connection is closed for it."""
    set_timeout(client, SHORT)
    timeouts = 0
    lost: ConnectionLostError | None = None
    while lost is None:
        try:
            client.send("bob", DATA)
        except ChatTimeoutError:
            timeouts += 1
        except ConnectionLostError as error:
            lost = error
    assert "could not be finished" in str(lost)
    assert timeouts


def assert_no_line_follows_half_a_one(peer: Peer) -> None:
    """Read all that a client has written which sent `DATA` until that failed."""
    *lines, last = [LINE, *iter(peer.read_line, b"")]
    assert set(lines) <= {LINE}
    assert LINE.startswith(last) or b"CHAT/1.0 ".startswith(last)
