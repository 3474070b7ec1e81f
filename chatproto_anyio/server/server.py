"""A chat server for asyncio and trio."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from ssl import SSLContext
from typing import Any

import anyio
from anyio.abc import ByteStream, TaskStatus
from anyio.lowlevel import current_token

from chatproto import (
    SERVER_NAME,
    ChatBroker,
    ClusterCounters,
    ClusterError,
    ConnectionInfo,
    Counters,
    Drop,
    GroupInfo,
    Health,
    HookVerdict,
    Limits,
    LoginRequest,
    Policy,
    ProxyNetworks,
    UserInfo,
)
from chatproto_sync.admin.requests import Office
from chatproto_sync.admin.socket import AdminSocket, open_admin_socket
from chatproto_sync.admin.stats import stats_of
from chatproto_sync.cluster.opening import check_cluster, default_node, make_transport
from chatproto_sync.sockets.addresses import DEFAULT_PORT
from chatproto_sync.sockets.descriptors import fitted
from chatproto_sync.sockets.driver import TICK, Driver, logger
from chatproto_sync.sockets.listeners import Path, open_listeners
from chatproto_sync.sockets.transport import Transport

from .decisions import Decisions
from .hooks import AnyHooks, ask_in_order, split_hooks
from .stream_transport import StreamTransport


class Server:
    """A chat server on an event loop.

    It listens as soon as it is made, and serves while `run` runs. The parameters and exceptions are
    those of `chatproto_sync.Server`, but `authenticate` is awaited for each LOGIN, and `hooks` may
    have coroutine functions too (`AsyncHook`). The server cancels a call of `authenticate` after
    `Limits.auth_timeout`, and a call of a hook after `Limits.hook_timeout`, or when it ends the
    connection. It cancels all calls when it shuts down. A call may shield itself from that, or wait
    for a thread without `abandon_on_cancel=True`. Then the server ends without it, after
    `Limits.grace` or `abort`. The program may still have to wait: trio's event loop waits for such
    a call, and Python waits for threads that are not daemons, such as AnyIO's on asyncio.

    Making a server blocks while the system looks up `host`, while it reads `state`, and while it
    joins `cluster`. Inside a running loop, use `serve`.
    """

    def __init__(
        self,
        host: str | Sequence[str] | None = None,
        port: int = DEFAULT_PORT,
        *,
        reuse_port: bool = False,
        unix: Path | Sequence[Path] | None = None,
        unix_mode: int | None = None,
        sockets: Sequence[socket.socket] = (),
        ssl: SSLContext | None = None,
        proxy_protocol: str | Sequence[str] = (),
        authenticate: Callable[[LoginRequest], Awaitable[bool]] | None = None,
        hooks: "AnyHooks | Callable[[Server], AnyHooks] | None" = None,
        policy: Policy = Policy(),
        limits: Limits = Limits(),
        notices: bool = True,
        state: Path | None = None,
        admin_socket: Path | None = None,
        cluster: str | None = None,
        cluster_password: str | None = None,
        sentinel_password: str | None = None,
        node: str | None = None,
        node_timeout: float = 10.0,
        patience: float = 3.0,
    ) -> None:
        redis = check_cluster(
            cluster, cluster_password, sentinel_password, node, node_timeout, patience, state
        )
        proxies = ProxyNetworks(proxy_protocol)
        plain, asynchronous = split_hooks(hooks(self) if callable(hooks) else (hooks or {}))
        with contextlib.ExitStack() as stack:
            self._writer = None
            if state is not None:
                # Imported here, because a server without such a file does not need sqlite3.
                from chatproto_sync.state.writer import StateWriter

                self._writer = StateWriter(state)
                stack.callback(self._writer.close)
            admin = None
            if admin_socket is not None:
                admin = open_admin_socket(admin_socket)
                stack.callback(admin.close)
            transport = None
            if redis is not None:
                transport = make_transport(
                    redis, node or default_node(port), node_timeout, patience
                )
                stack.callback(transport.close)
            self._cluster = None if transport is None else transport.cluster
            broker: ChatBroker[Transport] = ChatBroker(
                policy=policy,
                limits=fitted(limits),
                notices=notices,
                ask=authenticate is not None,
                groups=() if self._writer is None else self._writer.read(),
                bans=() if self._writer is None else self._writer.read_bans(),
                note_changes=self._writer is not None,
                hooks=plain,
                ask_hooks=asynchronous,
                cluster=self._cluster,
            )
            if transport is not None:
                transport.join(broker)
            listeners = open_listeners(host, port, unix, unix_mode, sockets, reuse_port)
            self._driver = Driver(broker, listeners, ssl, proxies, cluster=transport)
            self._desk = broker.desk
            stack.pop_all()
        self._admin = None
        if admin is not None:
            office = Office(self._desk, self._stats, self.drain)
            self._admin = AdminSocket(admin, self._driver.poller, self._driver.now, office)
            self._driver.admin = self._admin
        if self._writer is not None:
            self._driver.keep = self._writer.keep
            self._driver.keep_bans = self._writer.keep_bans
        self._grace = limits.grace
        self._stopping = False
        self._logins = None
        if authenticate is not None:
            self._logins = Decisions(
                authenticate, partial(_answer, self._driver), limits.auth_timeout
            )
            self._driver.ask = self._logins.ask
        self._hooks = None
        if asynchronous:
            ask = partial(ask_in_order, asynchronous)
            self._hooks = Decisions(ask, partial(_decide, self._driver), limits.hook_timeout)
            self._driver.ask_hooks = self._hooks.ask
            self._driver.withdraw = self._hooks.withdraw
        self.addresses: list[str] = self._driver.addresses
        """Where the server listens: `127.0.0.1:3333`, `[::1]:3333`, `unix:/run/chat`."""

    async def run(self, *, task_status: TaskStatus["Server"] = anyio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled or `drain`, then tell all clients, write what is queued, and close.

        Shutting down takes `Limits.grace` and a second at most, and ten seconds more if the disk
        of the state file hangs, and two seconds more if the Redis of the cluster does. It is
        shielded from the cancellation that starts it.

        Args:
            task_status: Gets this server when it accepts connections.

        Raises:
            ClusterError: The cluster takes this server no longer. It has shut down.
            RuntimeError: The server has run already, or is closed.
        """
        driver = self._driver
        driver.listen()
        try:
            if self._writer is not None:
                self._writer.start()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tick)
                task_status.started(self)
                try:
                    await _drive(driver, until=lambda: self._stopping or driver.refusal != "")
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._drain()
                tasks.cancel_scope.cancel()
        finally:
            driver.close()
            if self._admin is not None:
                self._admin.close()
            if self._writer is not None:
                # A limiter of its own: the application's threads may all be busy.
                limiter = anyio.CapacityLimiter(1)
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(self._writer.close, limiter=limiter)
        if driver.refusal:
            raise ClusterError(driver.refusal)

    def drain(self) -> None:
        """Have `run` shut down and return, as if it was cancelled, but without an exception.

        Returns at once; a second call changes nothing. Other threads and signal handlers may call
        it.
        """
        self._stopping = True
        self._driver.wake()

    def abort(self) -> None:
        """Close all connections at once: now if `run` shuts down already, else when it does."""
        self._driver.abort()

    def close(self) -> None:
        """Stop listening. Only a server that never runs needs this: `run` does it itself.

        Raises:
            RuntimeError: The server runs.
        """
        if self._driver.serving:
            raise RuntimeError("the server runs: call drain, or cancel it, and run closes it")
        self._driver.close()
        if self._admin is not None:
            self._admin.close()
        if self._writer is not None:
            self._writer.close()

    def replace_ssl(self, context: SSLContext) -> None:
        """Use another context for the TLS of new connections, with a new certificate for example.

        Other threads and signal handlers may call it too.

        Args:
            context: A new context: in one that has been in use, OpenSSL mixes old and new.

        Raises:
            ValueError: It is a context for clients, or the server does not use TLS.
        """
        self._driver.replace_ssl(context)

    def reconfigure(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        notices: bool | None = None,
    ) -> None:
        """Use another policy, other limits, and notices or none, for all connections.

        The change takes effect in the next round of the loop that serves. `ChatBroker.reconfigure`
        says what it does to connections and groups that exist. Calls of `authenticate` and of
        hooks that are running keep their timeout. Other threads and signal handlers may call this
        method too.

        Args:
            policy: The rules on which servers may differ; None to leave them.
            limits: The bounds on what clients can make the server hold or do; None to leave them.
            notices: Whether to tell clients why something was refused; None to leave that.

        Raises:
            ValueError: The other nodes of the cluster would not agree: the policy and the limits
                on groups belong to the chat. Nothing will change.
        """
        self._driver.reconfigure(policy=policy, limits=limits, notices=notices)
        if limits is not None:
            self._grace = limits.grace
            if self._logins is not None:
                self._logins.timeout = limits.auth_timeout
            if self._hooks is not None:
                self._hooks.timeout = limits.hook_timeout

    def users(self) -> list[UserInfo]:
        """The users who are online, on any node; see `Desk.users`."""
        return self._driver.call(self._desk.users)

    def groups(self) -> list[GroupInfo]:
        """The groups and their members; see `Desk.groups`."""
        return self._driver.call(self._desk.groups)

    def connections(self) -> list[ConnectionInfo]:
        """The connections of this server; see `Desk.connections`."""
        return self._driver.call(self._desk.connections)

    def tell(self, to: str, data: bytes, sender: str = SERVER_NAME) -> int:
        """Send a message to a user, or to the members of a group; see `Desk.tell`."""
        return self._driver.call(partial(self._desk.tell, to, data, sender))

    def kick(self, name: str, text: str = "") -> int:
        """End all connections under a name; see `Desk.kick`."""
        return self._driver.call(partial(self._desk.kick, name, text))

    def ban(self, what: str, text: str = "") -> int:
        """Ban a name, an address or a network; see `Desk.ban`."""
        return self._driver.call(partial(self._desk.ban, what, text))

    def unban(self, what: str) -> bool:
        """Lift a ban; see `Desk.unban`."""
        return self._driver.call(partial(self._desk.unban, what))

    def bans(self) -> list[str]:
        """The names, addresses and networks that are banned; see `Desk.bans`."""
        return self._driver.call(self._desk.bans)

    def add_member(self, group: str, member: str) -> None:
        """Add a user to a group; see `Desk.add_member`."""
        self._driver.call(partial(self._desk.add_member, group, member))

    def remove_member(self, group: str, member: str) -> None:
        """Remove a user from a group; see `Desk.remove_member`."""
        self._driver.call(partial(self._desk.remove_member, group, member))

    def snapshot(self) -> Counters:
        """A copy of the counters. Other threads may call it."""
        return self._driver.broker.snapshot()

    def cluster_snapshot(self) -> ClusterCounters | None:
        """A copy of the counters of the cluster; None without one. Other threads may call it."""
        return None if self._cluster is None else self._cluster.snapshot()

    def health(self) -> Health:
        """Whether the server listens, shuts down or hangs. Other threads may call it."""
        return self._driver.health()

    def on_reload(self, function: Callable[[], str]) -> None:
        """Have `chatproto admin reload` call a function, in the loop that serves.

        Args:
            function: Called without arguments. It reads a configuration again, and returns what is
                wrong with it, in words for people; empty for nothing. It must not block long.
        """
        if self._admin is not None:
            self._admin.office = replace(self._admin.office, reload=function)

    def on_tick(self, function: Callable[[], None]) -> None:
        """Call a function several times a second in the loop that serves, while `run` runs.

        There are no calls while the loop hangs, so a watchdog can notice that.

        Args:
            function: Called without arguments. It must not block. `run` raises its exceptions.
        """
        self._driver.on_tick = function

    async def serve_stream(self, stream: ByteStream) -> None:
        """Serve a connection that exists already, while `run` runs.

        Its client can chat with those on the server's own sockets. Returns when the connection has
        ended and the stream is closed.

        Args:
            stream: Any stream of bytes: TLS, the adapter of a WebSocket, memory.

        Raises:
            RuntimeError: The server has ended.
        """
        if self._driver.closed:
            raise RuntimeError("the server has ended")
        await StreamTransport(self._driver, stream).run()

    def _stats(self) -> Mapping[str, Any]:
        return stats_of(self.snapshot(), self.health(), self.cluster_snapshot())

    async def _tick(self) -> None:
        driver = self._driver
        while True:
            before = driver.now()
            await anyio.sleep(TICK)
            # The timers of an event loop may be a little early.
            driver.broker.note_lag(max(driver.now() - before - TICK, 0.0))
            driver.wake()

    async def _drain(self) -> None:
        driver = self._driver
        driver.drain()
        end = driver.now() + self._grace
        for decisions in (self._logins, self._hooks):
            if decisions is not None:
                decisions.cancel()

        def over() -> bool:
            if not driver.drained:
                return False
            return not self._deciding() or driver.aborting or driver.now() >= end

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tick)
            await _drive(driver, until=over)
            tasks.cancel_scope.cancel()
        if calls := self._deciding():
            logger.warning("ending although calls of authenticate or hooks go on: %d", calls)

    def _deciding(self) -> int:
        """The number of calls of `authenticate` and of hooks that have not returned."""
        return sum(each.pending for each in (self._logins, self._hooks) if each is not None)


async def serve(
    host: str | Sequence[str] | None = None,
    port: int = DEFAULT_PORT,
    *,
    reuse_port: bool = False,
    unix: Path | Sequence[Path] | None = None,
    unix_mode: int | None = None,
    sockets: Sequence[socket.socket] = (),
    ssl: SSLContext | None = None,
    proxy_protocol: str | Sequence[str] = (),
    authenticate: Callable[[LoginRequest], Awaitable[bool]] | None = None,
    hooks: AnyHooks | Callable[[Server], AnyHooks] | None = None,
    policy: Policy = Policy(),
    limits: Limits = Limits(),
    notices: bool = True,
    state: Path | None = None,
    admin_socket: Path | None = None,
    cluster: str | None = None,
    cluster_password: str | None = None,
    sentinel_password: str | None = None,
    node: str | None = None,
    node_timeout: float = 10.0,
    patience: float = 3.0,
    task_status: TaskStatus[Server] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Run a chat server until cancelled, then shut it down.

    The parameters and exceptions are those of `chatproto_sync.Server`, but `authenticate` is
    awaited for each LOGIN, and `task_status` gets the `Server` when it accepts connections:
    `server = await task_group.start(serve)`. The log says which port was free.

    Signals are the application's: cancel the scope around this call when one arrives. The command
    `chatproto serve` does so for SIGINT and SIGTERM.
    """
    make = partial(
        Server,
        host,
        port,
        reuse_port=reuse_port,
        unix=unix,
        unix_mode=unix_mode,
        sockets=sockets,
        ssl=ssl,
        proxy_protocol=proxy_protocol,
        authenticate=authenticate,
        hooks=hooks,
        policy=policy,
        limits=limits,
        notices=notices,
        state=state,
        admin_socket=admin_socket,
        cluster=cluster,
        cluster_password=cluster_password,
        sentinel_password=sentinel_password,
        node=node,
        node_timeout=node_timeout,
        patience=patience,
    )
    server = await anyio.to_thread.run_sync(make)
    await server.run(task_status=task_status)


def _answer(driver: Driver, token: int, allowed: object, error: BaseException | None) -> None:
    driver.answer(token, allowed is True, error)


def _decide(
    driver: Driver, token: int, verdict: HookVerdict | None, error: BaseException | None
) -> None:
    if verdict is not None or error is not None:
        driver.decide(token, Drop() if verdict is None else verdict, error)


async def _drive(driver: Driver, until: Callable[[], bool]) -> None:
    """Call `step` whenever the driver's descriptor is readable.

    Args:
        driver: The driver.
        until: Returns whether to stop. Called first, and after each `step`.
    """
    loop = current_token().native_token
    if isinstance(loop, asyncio.AbstractEventLoop):
        await _drive_by_callback(driver, until, loop)
        return
    while not until():
        await anyio.wait_readable(driver.fileno())
        driver.step(0)


async def _drive_by_callback(
    driver: Driver, until: Callable[[], bool], loop: asyncio.AbstractEventLoop
) -> None:
    """Do the same on asyncio, without AnyIO's `wait_readable`.

    There, `wait_readable` adds the descriptor to the loop and removes it on each call. Each time,
    Linux has to look at all sockets behind the descriptor.
    """
    if until():
        return
    over = loop.create_future()

    def step() -> None:
        if over.done():
            # The task that waits for `over` has not run yet.
            return
        try:
            driver.step(0)
            if until():
                over.set_result(None)
        except Exception as error:  # noqa: BLE001 - the waiting task raises it
            over.set_exception(error)

    fd = driver.fileno()
    loop.add_reader(fd, step)
    try:
        await over
    finally:
        loop.remove_reader(fd)
