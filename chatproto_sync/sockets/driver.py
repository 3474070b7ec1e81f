"""The loop of a server: polls sockets, passes bytes to the broker, writes what it queues."""

import logging
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from math import inf
from random import shuffle
from ssl import SSLContext
from traceback import format_exception_only
from typing import Any, Final, Protocol, TypeVar

from chatproto import (
    ChatBroker,
    GroupChange,
    Health,
    Hook,
    HookVerdict,
    Limits,
    LoginRequest,
    Policy,
    ProxyNetworks,
    Said,
    visible,
)

from .acceptor import Acceptor
from .addresses import describe, host_of, prepare
from .descriptors import fitted
from .handshakes import HandshakeQueue
from .listeners import Listeners
from .poller import READ, Handler, Poller, new_poller
from .tls import check_server_context
from .transport import SocketTransport, Transport
from .waker import Waker

TICK: Final = 0.1
"""Most seconds between two calls of `Driver.tick` or `Driver.step`."""

RESOLUTION: Final = 0.01
"""Seconds between two calls of the broker's `tick` while sockets are ready all the time."""

STEP_BUDGET: Final = 0.004
"""Seconds after which `step` returns although more sockets are ready, so that the other tasks of an
event loop can run."""

MAX_WRITES: Final = 512
"""Connections written to in one round of a step, before the driver looks for new input."""

MAX_ROUNDS: Final = 64
"""Most rounds of polling and serving in one `step`."""

SPIN_THRESHOLD: Final = 0.0001
"""If a socket becomes ready within so many seconds after a `step`, more will probably follow."""

SPIN_COUNT: Final = 40
"""How many times `step` then polls in vain before it returns. Waking a process takes longer than
delivering a message."""

SPIN_TIME: Final = 0.001
"""Seconds after which it stops, also after fewer polls. On a busy machine, each of them may let
others run for much longer."""

CALL_TIMEOUT: Final = 10.0
"""Seconds that `Driver.call` waits for the thread that serves."""

TRACEBACK_PAUSE: Final = 60.0
"""Seconds between two tracebacks in the log, at least."""

HOOK_BUDGET: Final = 0.05
"""Seconds that a hook may take before the log has a warning."""

HOOK_PAUSE: Final = 60.0
"""Seconds between two such warnings, at least."""

MAX_ERROR: Final = 200
"""Most characters of an error in a line of the log."""

NO_PROXIES: Final = ProxyNetworks(())
"""No connection begins with a PROXY header."""

logger: Final = logging.getLogger("chatproto.server")

_T = TypeVar("_T")


class ClusterTransport(Handler, Protocol):
    """What connects the broker of a driver to those of other nodes of its cluster.

    The driver watches its descriptor like a socket. After each round of serving sockets it calls
    `receive`, and writes to the connections of the broker in between, until there is no more. Each
    time when all that the broker has decided is done, it calls `flush`.
    """

    @property
    def refusal(self) -> str:
        """Why the cluster does not take this node, which then has to end; empty while it does."""
        ...

    @property
    def left(self) -> bool:
        """After `leave`: whether there is no need to wait any longer."""
        ...

    def fileno(self) -> int:
        """The descriptor that is readable while there is something to receive."""
        ...

    def receive(self) -> bool:
        """Give the broker a part of what has come. Returns whether there was something."""
        ...

    def flush(self) -> None:
        """Send what the cluster has for other nodes."""

    def tick(self, now: float) -> None:
        """Advance the clock, after the broker's."""

    def leave(self) -> None:
        """Begin to leave the cluster."""


class Ticked(Protocol):
    """What has something to do after some time."""

    def tick(self, now: float) -> None:
        """Advance the clock."""


class Driver:
    """Moves bytes between sockets and a broker, and decides nothing.

    All sockets are in one poller. `chatproto_sync` waits inside `step`. An event loop waits for the
    poller's own descriptor, and calls `step` when it is readable: one task switch, however many
    sockets are ready.

    Args:
        broker: The broker.
        listeners: The listening sockets. `close` closes them.
        ssl: The context for TLS; None for no TLS.
        proxies: The networks whose connections begin with a PROXY header.
        clock: Returns seconds that do not run backwards.
        cluster: What connects the broker to other nodes; None for a server that is alone. `close`
            closes it.

    Raises:
        ValueError: `ssl` is a context for clients. The listeners are closed.
    """

    def __init__(
        self,
        broker: ChatBroker[Transport],
        listeners: Listeners,
        ssl: SSLContext | None = None,
        proxies: ProxyNetworks = NO_PROXIES,
        clock: Callable[[], float] = time.monotonic,
        cluster: ClusterTransport | None = None,
    ) -> None:
        if ssl is not None:
            try:
                check_server_context(ssl)
            except ValueError:
                listeners.close()
                raise
        self.broker = broker
        self.listeners = listeners
        self.addresses: list[str] = [
            describe(each.getsockname(), each.family) for each in listeners.sockets
        ]
        self._ssl = ssl
        self._proxies = proxies
        self._clock = clock
        self._acceptors: list[Acceptor] = []
        self._draining = False
        self.aborting: bool = False
        """Whether `abort` was called."""
        self.closed: bool = False
        self.ask: Callable[[int, LoginRequest], None] | None = None
        """Called with each question of the broker and its token; `answer` takes the answer."""
        self.ask_hooks: Callable[[int, Said], None] | None = None
        """Called with each event about which the broker asks, and the token of that question;
        `decide` takes the verdict."""
        self.withdraw: Callable[[int], None] | None = None
        """Called with the token of each such question that nobody waits for any more."""
        self.keep: Callable[[list[GroupChange]], None] | None = None
        """Called with the changes of groups, in order, if the broker notes them."""
        self.keep_bans: Callable[[dict[str, bool]], None] | None = None
        """Called with the changes of bans, if the broker notes them."""
        self.on_tick: Callable[[], None] | None = None
        """Called several times a second by the loop that serves."""
        self.admin: Ticked | None = None
        """What answers those who run the server, through the same poller."""
        # The times of the last tick, and of the end of the last `step`.
        self._ticked = -inf
        self._stepped = -inf
        self._answers: deque[tuple[int, bool, BaseException | None]] = deque()
        self._calls: deque[Callable[[], None]] = deque()
        # The thread that serves; None before and after. The lock protects it from other threads.
        self._thread: int | None = None
        self._lock = threading.RLock()
        self._verdicts: deque[tuple[int, HookVerdict, BaseException | None]] = deque()
        # When the next traceback of `authenticate` and of hooks, and the next warning of a slow
        # hook may be logged.
        self._traceback_at = -inf
        self._hook_traceback_at = -inf
        self._slow_hook_at = -inf
        # Whether `ask_hooks` was called in this round of a step.
        self._has_asked = False
        # Whether the broker calls hooks.
        self._has_hooks = False
        broker.wrap_hooks(self._timed)
        # What has been read in this round. The broker gets it all at once.
        self._received: list[tuple[Transport, bytes]] = []
        self._handshakes = HandshakeQueue(self._next_handshake, self.now)
        self.poller: Poller[Handler] = new_poller()
        self._waker = Waker()
        self.poller.register(self._waker, READ, self._waker)
        self._cluster = cluster
        self._is_leaving = False
        if cluster is not None:
            self.poller.register(cluster, READ, cluster)

    @property
    def refusal(self) -> str:
        """Why the server has to shut down: its cluster does not take it. Empty if it does."""
        return "" if self._cluster is None else self._cluster.refusal

    @property
    def serving(self) -> bool:
        """Whether it has begun to serve, and is not closed."""
        return self._thread is not None

    @property
    def drained(self) -> bool:
        """Whether a drain is over: nobody is connected, and the other nodes know that we leave."""
        if self.broker.connections:
            return False
        return self._cluster is None or self._cluster.left or self.aborting

    def listen(self) -> None:
        """Begin to accept connections.

        Raises:
            RuntimeError: The driver is closed.
        """
        if self.closed:
            raise RuntimeError("a server runs once")
        with self._lock:
            self._thread = threading.get_ident()
        self._acceptors = [
            Acceptor(each, self.poller, self.now, self._take_on) for each in self.listeners.sockets
        ]
        logger.info("listening on %s", ", ".join(map(visible, self.addresses)))

    def _take_on(self, sock: socket.socket, address: Any) -> None:
        peer, host = describe(address, sock.family), host_of(address, sock.family)
        try:
            prepare(sock)
        except OSError:
            # The peer has gone already.
            sock.close()
        else:
            SocketTransport(
                self.broker,
                self.poller,
                sock,
                peer,
                host,
                self._received,
                self._ssl,
                self._handshakes,
                proxied=host in self._proxies,
            )

    def _next_handshake(self) -> SocketTransport | None:
        transport = self.broker.next_handshake()
        assert transport is None or isinstance(transport, SocketTransport)  # noqa: S101 - others have none
        return transport

    def replace_ssl(self, context: SSLContext) -> None:
        """Use another context for the TLS of new connections.

        Other threads and signal handlers may call it too.

        Raises:
            ValueError: It is a context for clients, or the server does not use TLS.
        """
        if self._ssl is None:
            raise ValueError("a server without TLS has no context to replace")
        check_server_context(context)
        self._ssl = context

    def reconfigure(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        notices: bool | None = None,
    ) -> None:
        """Have the broker use another configuration, see `ChatBroker.reconfigure`.

        It does so in the next round of a `step`. Other threads and signal handlers may call it too.

        Raises:
            ValueError: The other nodes of a cluster would not agree. Nothing will change.
        """
        limits = None if limits is None else fitted(limits)
        self.broker.check_configuration(policy=policy, limits=limits, notices=notices)
        self._calls.append(
            partial(self.broker.reconfigure, policy=policy, limits=limits, notices=notices)
        )
        self.wake()

    def call(self, function: Callable[[], _T]) -> _T:
        """Call a function that uses the broker, on the thread that serves, and return its result.

        On that thread itself, as in a hook, the call is made at once. Other threads wait for the
        next round of a `step`. While nobody serves, any thread makes the call. Signal handlers may
        not use this.

        Args:
            function: Called without arguments. What it raises is raised here.

        Raises:
            TimeoutError: Another thread has waited for `CALL_TIMEOUT`. The call is not made, unless
                it is being made just now.
        """
        with self._lock:
            if self._thread in (None, threading.get_ident()):
                result = function()
                self.wake()
                return result
            future: Future[_T] = Future()
            self._calls.append(partial(_complete, future, function))
        self.wake()
        try:
            return future.result(CALL_TIMEOUT)
        except TimeoutError:
            if future.cancel() or not future.done():
                raise TimeoutError(
                    f"the thread that serves has not answered for {CALL_TIMEOUT:.0f} seconds: look"
                    " for a hook or another function of yours that blocks"
                ) from None
            # It has answered just now, or the function itself has raised this.
            return future.result()

    def drain(self) -> None:
        """Begin to shut down. Call `step` from then on until `drained` is true."""
        for acceptor in self._acceptors:
            acceptor.close()
        self._acceptors = []
        self.tick()
        self.broker.drain()
        self._draining = True
        # In random order, so that clients do not reconnect in the order in which they had come.
        ready: list[Transport] = []
        while batch := self.broker.take_ready():
            ready += batch
        shuffle(ready)
        for transport in ready:
            transport.flush()
        self.settle()

    def abort(self) -> None:
        """Close all connections at once, in the current drain or in a later one.

        Other threads and signal handlers may call it too.
        """
        self.aborting = True
        self.wake()

    def step(self, timeout: float) -> None:
        """Serve all sockets that are ready, and those that become ready meanwhile.

        Args:
            timeout: Seconds to wait at most for a socket to become ready.
        """
        ready = self.poller.poll(timeout)
        start = now = self._clock()
        spins = SPIN_COUNT if start - self._stepped < SPIN_THRESHOLD else 1
        for rounds_left in reversed(range(MAX_ROUNDS)):
            self._serve(ready, now)
            before, now = now, self._clock()
            self.broker.note_lag(now - before)
            # The poller reports most things once only, so all that it returns has to be served.
            if self._has_asked:
                # Tasks on this thread have something to do: do not spin.
                self._has_asked, spins = False, 1
            ready = self._poll(spins) if rounds_left and now - start <= STEP_BUDGET else []
            if not ready:
                break
        self._stepped = self._clock()

    def _serve(self, ready: list[tuple[int, int]], now: float) -> None:
        if now >= self._ticked + RESOLUTION or self.broker.busy or self._draining:
            self._tick(now)
        handlers = self.poller.handlers
        for fd, events in ready:
            handlers[fd].ready(events)
        # After the waker has forgotten what woke it, so that no call waits for a tick; and before
        # what has arrived since, so that a new configuration holds for it.
        self._make_calls()
        if self._received:
            self.broker.receive_all(self._received)
            self._received.clear()
        while self._answers:
            token, allowed, error = self._answers.popleft()
            self.broker.answer(token, allowed=allowed, error=self._failure(error, now))
        while self._verdicts:
            self.broker.decide(*self._verdicts.popleft())
        self.settle()
        if self._ssl is not None:
            if self._handshakes.run():
                self.settle()
            if self._handshakes.ready:
                self.wake()
        if self._cluster is not None:
            self._receive_from(self._cluster, now)

    def _make_calls(self) -> None:
        while self._calls:
            self._calls.popleft()()

    def _receive_from(self, cluster: ClusterTransport, now: float) -> None:
        # Not in the loop above: what comes may close connections that the poller has just reported.
        while cluster.receive():
            # After each part, so that no queue fills although its client reads.
            self.settle()
            if self._clock() - now > STEP_BUDGET:
                self.wake()
                return

    def _poll(self, spins: int) -> list[tuple[int, int]]:
        ready = self.poller.poll(0)
        if ready or spins == 1:
            return ready
        # Not by the clock of this driver, which stands still in tests.
        end = time.monotonic() + SPIN_TIME
        for _ in range(spins - 1):
            os.sched_yield()
            ready = self.poller.poll(0)
            if ready or time.monotonic() >= end:
                break
        return ready

    def answer(self, token: int, allowed: bool, error: BaseException | None = None) -> None:
        """Answer a question that `ask` was called with. Other threads may call it too.

        Args:
            token: The question's.
            allowed: Whether the client may log in.
            error: What the application raised; None for nothing. The log mentions each such error
                like all else that clients cause. Once in a while it has a traceback too.
        """
        self._answers.append((token, allowed, error))
        self.wake()

    def decide(self, token: int, verdict: HookVerdict, error: BaseException | None = None) -> None:
        """Answer a question that `ask_hooks` was called with, see `ChatBroker.decide`."""
        self._verdicts.append((token, verdict, error))
        self.wake()

    def _timed(self, hook: Hook) -> Hook:
        """Have the log warn if a hook takes long: nobody is served meanwhile."""
        self._has_hooks = True

        def timed(said: Said) -> HookVerdict | None:
            start = self._clock()
            try:
                return hook(said)
            finally:
                if (took := self._clock() - start) > HOOK_BUDGET:
                    self._warn_of(hook, start, took)

        return timed

    def _warn_of(self, hook: Hook, now: float, took: float) -> None:
        if now >= self._slow_hook_at:
            self._slow_hook_at = now + HOOK_PAUSE
            logger.warning(
                "a hook has taken %d ms, and the server has served nobody meanwhile: %s",
                round(1000 * took),
                getattr(hook, "__qualname__", type(hook).__qualname__),
            )

    def _log_hook_failure(self) -> None:
        failure = self.broker.take_hook_failure()
        if failure is not None and (now := self._clock()) >= self._hook_traceback_at:
            self._hook_traceback_at = now + TRACEBACK_PAUSE
            logger.error("a hook failed", exc_info=failure)

    def _failure(self, error: BaseException | None, now: float) -> str:
        """What the log says of an error in `authenticate`; empty for none."""
        if error is None:
            return ""
        if now >= self._traceback_at:
            self._traceback_at = now + TRACEBACK_PAUSE
            logger.error("authenticate failed", exc_info=error)
        return format_exception_only(error)[-1].strip()[:MAX_ERROR]

    def tick(self) -> None:
        """Advance the broker's clock. Call `settle` afterwards. `step` does both."""
        self._tick(self._clock())

    def _tick(self, now: float) -> None:
        self._ticked = now
        if self.on_tick is not None:
            self.on_tick()
        self.broker.tick(now)
        for acceptor in self._acceptors:
            acceptor.tick(now)
        if self.admin is not None:
            self.admin.tick(now)
        if self._draining and self.aborting:
            self.broker.abort()
        if self._cluster is not None:
            if self._draining and not self._is_leaving and not self.broker.connections:
                self._is_leaving = True
                self._cluster.leave()
            self._cluster.tick(now)

    def settle(self) -> None:
        """Do what the broker has decided: write, ask, log. What is left is for the next round."""
        writes = 0
        while writes < MAX_WRITES and (ready := self.broker.take_outgoing()):
            writes += len(ready)
            sent: list[tuple[Transport, int]] = []
            others: list[Transport] = []
            for transport, data in ready:
                if size := transport.write(data):
                    sent.append((transport, size))
                else:
                    others.append(transport)
            others += self.broker.sent_all(sent)
            for transport in others:
                transport.flush()
        if self.ask is not None:
            for question in self.broker.take_questions():
                cid = question.cid
                self.ask(
                    question.token,
                    LoginRequest(question.name, cid.peer, cid.certificate, cid.credentials),
                )
        if self.ask_hooks is not None:
            for asked in self.broker.take_hook_questions():
                self._has_asked = True
                self.ask_hooks(asked.token, asked.said)
        if self.withdraw is not None:
            for token in self.broker.take_withdrawn_questions():
                self.withdraw(token)
        if self._has_hooks or self.ask_hooks is not None:
            self._log_hook_failure()
        if self.keep is not None and (changes := self.broker.take_group_changes()):
            self.keep(changes)
        if self.keep_bans is not None and (bans := self.broker.take_ban_changes()):
            self.keep_bans(bans)
        for event in self.broker.take_log_events():
            level = logging.INFO if event.important else logging.DEBUG
            level = logging.ERROR if event.is_error else level
            logger.log(level, "%s", event, extra={"event": event})
        if writes >= MAX_WRITES or self.broker.busy:
            self.wake()
        if self._cluster is not None:
            self._cluster.flush()

    def fileno(self) -> int:
        """The descriptor that is readable while `step` has something to do."""
        return self.poller.fileno()

    def now(self) -> float:
        """The clock's time in seconds."""
        return self._clock()

    def health(self) -> Health:
        """How the server is now. Other threads may call it."""
        # Before the first tick, nothing is late.
        ticked = self._clock() if self._ticked == -inf else self._ticked
        return Health(
            listening=bool(self._acceptors) and not self.closed,
            draining=self._draining,
            late=max(self._clock() - ticked - TICK, 0.0),
        )

    def wake(self) -> None:
        """Have a waiting `step` return. Other threads and signal handlers may call it too."""
        self._waker.wake()

    def close(self) -> None:
        """Stop listening, and close all sockets at once. You may call it twice."""
        if self.closed:
            return
        self.closed = True
        for acceptor in self._acceptors:
            acceptor.close()
        # Not all of them are in the poller: the broker may want none of their events.
        if self.broker.connections:
            self.broker.abort()
        while ready := self.broker.take_ready():
            for transport in ready:
                transport.flush()
        for handler in list(self.poller.handlers.values()):
            handler.close()
        with self._lock:
            self._thread = None
            # Threads may wait for these.
            self._make_calls()
        self.settle()
        self.poller.close()
        self.listeners.close()


def _complete(future: "Future[_T]", function: Callable[[], _T]) -> None:
    """Call a function for a thread that waits for the result."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(function())
    except Exception as error:  # noqa: BLE001 - the other thread raises it
        future.set_exception(error)
