"""A chat server on one thread."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from ssl import SSLContext
from types import FrameType
from typing import Any

from chatproto import (
    SERVER_NAME,
    ChatBroker,
    ClusterCounters,
    ClusterError,
    ConnectionInfo,
    Counters,
    GroupInfo,
    Health,
    Hooks,
    Limits,
    LoginRequest,
    Policy,
    ProxyNetworks,
    UserInfo,
)

from ..admin.requests import Office
from ..admin.socket import AdminSocket, open_admin_socket
from ..admin.stats import stats_of
from ..cluster.opening import check_cluster, default_node, make_transport
from ..sockets.addresses import DEFAULT_PORT
from ..sockets.descriptors import fitted
from ..sockets.driver import TICK, Driver
from ..sockets.listeners import Path, open_listeners
from ..sockets.transport import Transport
from .authenticator import Authenticator


class Server:
    """A chat server on one thread.

    It listens as soon as it is made, and serves while `run` runs.

    The methods from `users` to `remove_member` do the same as those of `Desk`, and raise the same.
    Hooks, `on_tick` and other threads may call them, but no signal handlers. In another thread, the
    call waits until the current round of the loop is over. It raises TimeoutError if that takes ten
    seconds.

    Args:
        host: The host name or IP address to listen on, or several; `*` for all addresses of the
            machine, IPv4 and IPv6. None for 127.0.0.1, or for no TCP if there is `unix`.
        port: The TCP port; 0 for a free one.
        reuse_port: Whether other servers of the same user may listen on the same TCP port, if they
            ask for that too. Linux spreads the connections over them (socket(7), SO_REUSEPORT).
        unix: The path of a Unix socket to listen on, or several; None for none.
        unix_mode: The file mode of these sockets; None for the one that the umask yields.
        sockets: Sockets to use instead of all these, which listen already. The server closes them.
        ssl: The context for TLS; None for no TLS. If the context asks for certificates, clients may
            log in only under the DNS names and mail addresses among the subject's alternative names
            of their certificate (RFC 9525). If a certificate has no alternative name of any kind,
            and exactly one common name, then they may log in under that name.
        proxy_protocol: The network of balancers, or several: IP networks such as `10.0.0.0/8`, IP
            addresses, or `unix` for Unix sockets. Connections from there have to begin with a PROXY
            header, version 1 or 2; the server takes the client's address from it (HAProxy's
            proxy-protocol.txt). A connection from elsewhere that begins with such a header is
            closed.
        authenticate: Called for each LOGIN, on a thread of its own. Only True allows the login. An
            exception is logged and refuses it; so does taking longer than `Limits.auth_timeout`.
        hooks: Your own rules on what clients send; see `Hook`. The loop that serves calls them, and
            serves nobody meanwhile. A function in place of the table is called with this server,
            which is not ready yet, and returns the table: so hooks can use `kick`.
        policy: The rules on which servers may differ.
        limits: The bounds on what clients can make the server hold or do.
        notices: Whether to tell clients why something was refused (protocol.md, section 3).
        state: The path of a file to keep the groups and bans in, so that they are there after a
            restart. None to keep them in memory only. The file is made if there is none.
        admin_socket: The path of a Unix socket for those who run the server, see `chatproto admin`.
            Only root and the user of the server can use it. None for none.
        cluster: The URL of a Redis or Valkey, 6.2 or newer, over which this server and others are
            one chat: `redis://HOST:PORT/NAME`, `redis+unix:///PATH/OF/SOCKET?name=NAME`, or with
            Sentinel `redis+sentinel://HOST:PORT,HOST:PORT/SERVICE/NAME`; `rediss` in place of
            `redis` for TLS. NAME is the name of the chat. `USER:PASSWORD@` or `:PASSWORD@` may
            stand before HOST or PATH. Redis also keeps the groups and bans. The server joins the
            chat before it listens. This needs the extra `cluster`. None for a server that is a chat
            of its own.
        cluster_password: The password of Redis, so that the URL need not have it; None for none.
        sentinel_password: The same for the sentinels.
        node: The name of this server in the cluster, different for each; None for the name of the
            machine and the port.
        node_timeout: Seconds without a sign of life after which another server counts as dead, and
            its users as offline.
        patience: Seconds that users wait while Redis does not answer, before what they send to
            users of other servers is refused with UNAVAILABLE.

    Raises:
        ClusterError: Redis can't be used, the chat does not take this server, or the extra is
            missing.
        StateError: The file can't be used: another server uses it, or it is damaged, for example.
        OSError: The server cannot listen there. The error has the address as `filename`.
        TypeError: `hooks` is no table of plain functions.
        ValueError: There is no such port, a host or a path is empty, `host` and `unix` are both
            empty, `unix_mode`, `reuse_port`, `node` or a password has no use, `cluster` is
            no such URL or excludes `state`, one of the sockets does not listen, the context is for
            clients, or a part of `proxy_protocol` is not a network, or a command can't have hooks.
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
        authenticate: Callable[[LoginRequest], bool] | None = None,
        hooks: "Hooks | Callable[[Server], Hooks] | None" = None,
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
        with contextlib.ExitStack() as stack:
            self._writer = None
            if state is not None:
                # Imported here, because a server without such a file does not need sqlite3.
                from ..state.writer import StateWriter

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
                hooks=hooks(self) if callable(hooks) else (hooks or {}),
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
        self._authenticator = None
        if authenticate is not None:
            self._authenticator = Authenticator(
                authenticate, self._driver.answer, limits.auth_timeout
            )
            self._driver.ask = self._authenticator.ask
        self._stopping = False
        self.addresses: list[str] = self._driver.addresses
        """Where the server listens: `127.0.0.1:3333`, `[::1]:3333`, `unix:/run/chat`."""

    def run(self) -> None:
        """Serve until `shutdown`, then tell all clients, write what is queued, and close.

        Shutting down takes `Limits.grace` and a second at most, and ten seconds more if the disk
        of the state file hangs, and two seconds more if the Redis of the cluster does.

        Raises:
            ClusterError: The cluster takes this server no longer. It has shut down.
            RuntimeError: The server has run already, or is closed.
        """
        driver = self._driver
        driver.listen()
        try:
            if self._writer is not None:
                self._writer.start()
            while not self._stopping and not driver.refusal:
                driver.step(TICK)
            driver.drain()
            while not driver.drained:
                driver.step(TICK)
        finally:
            self._close()
        if driver.refusal:
            raise ClusterError(driver.refusal)

    def shutdown(self) -> None:
        """Have `run` shut down and return; a second call closes all connections at once.

        Returns at once. Other threads and signal handlers may call it.
        """
        if self._stopping:
            self._driver.abort()
        self.drain()

    def drain(self) -> None:
        """Have `run` shut down and return, like the first call of `shutdown`.

        Returns at once; a second call changes nothing. Other threads and signal handlers may call
        it.
        """
        self._stopping = True
        self._driver.wake()

    def close(self) -> None:
        """Stop listening. Only a server that never runs needs this: `run` does it itself.

        Raises:
            RuntimeError: The server runs.
        """
        if self._driver.serving:
            raise RuntimeError("the server runs: call drain or shutdown, and run closes it")
        self._close()

    def _close(self) -> None:
        self._driver.close()
        if self._admin is not None:
            self._admin.close()
        if self._authenticator is not None:
            self._authenticator.close()
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
        says what it does to connections, groups and queues that exist. A call of `authenticate`
        that is running keeps its old timeout. Other threads and signal handlers may call this too.

        Args:
            policy: The rules on which servers may differ; None to leave them.
            limits: The bounds on what clients can make the server hold or do; None to leave them.
            notices: Whether to tell clients why something was refused; None to leave that.

        Raises:
            ValueError: The other nodes of the cluster would not agree: the policy and the limits
                on groups belong to the chat. Nothing will change.
        """
        self._driver.reconfigure(policy=policy, limits=limits, notices=notices)
        if limits is not None and self._authenticator is not None:
            self._authenticator.timeout = limits.auth_timeout

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
        """Have the loop that serves call a function several times a second, while `run` runs.

        There are no calls while the loop hangs, so a watchdog can notice that.

        Args:
            function: Called without arguments. It must not block. If it raises, `run`
                raises the same.
        """
        self._driver.on_tick = function

    def _stats(self) -> Mapping[str, Any]:
        return stats_of(self.snapshot(), self.health(), self.cluster_snapshot())


def serve(
    host: str | Sequence[str] | None = None,
    port: int = DEFAULT_PORT,
    *,
    reuse_port: bool = False,
    unix: Path | Sequence[Path] | None = None,
    unix_mode: int | None = None,
    sockets: Sequence[socket.socket] = (),
    ssl: SSLContext | None = None,
    proxy_protocol: str | Sequence[str] = (),
    authenticate: Callable[[LoginRequest], bool] | None = None,
    hooks: Hooks | Callable[[Server], Hooks] | None = None,
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
    """Run a chat server until SIGINT or SIGTERM, then shut it down.

    The parameters and exceptions are those of `Server`. With port 0, the log says which port was
    free.

    In the main thread, this handles the two signals while it runs. Other threads get no signals:
    there, use a `Server` and its `shutdown`.
    """
    server = Server(
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
    with shutdown_on_signals(server):
        server.run()


@contextlib.contextmanager
def shutdown_on_signals(server: Server) -> Iterator[None]:
    """Have SIGINT and SIGTERM shut a server down. Outside the main thread, this does nothing."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.shutdown()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            # None means that the handler was not set from Python, and cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
