"""The loop's body: which sockets are ready, and what is to be done for them."""

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from random import shuffle
from ssl import PROTOCOL_TLS_CLIENT, SSLContext
from typing import Any, Final

from chatproto import ChatBroker, Limits, LoginRequest, Policy

from .acceptor import Acceptor
from .addresses import describe, host_of, prepare
from .descriptors import fitted
from .listeners import Listeners, open_listeners
from .poller import READ, Handler, Poller, new_poller
from .tls import start_tls
from .transport import SocketTransport, Transport
from .waker import Waker

TICK: Final = 0.1
"""The longest time in seconds that may pass between two calls of `Driver.tick`."""

RESOLUTION: Final = 0.01
"""Seconds between two calls of the broker's `tick` while there is much to do."""

STEP_BUDGET: Final = 0.004
"""Seconds after which a `step` ends though there is more to do, so that an event loop's other tasks
have their turn."""

MAX_ROUNDS: Final = 64
"""How often it looks what there is to do until then, at the most."""

SPIN_THRESHOLD: Final = 0.0001
"""When there was something to do after so short a time in seconds, more is likely to come soon."""

SPIN_COUNT: Final = 40
"""How often to look for it in vain, before waiting: to be woken up takes a process longer than to
deliver a message."""

logger: Final = logging.getLogger("chatproto.server")


class Driver:
    """Carries bytes between plain sockets and a broker, and decides nothing.

    Every socket is in one poller. `chatproto_sync` waits in `step`; an event loop waits for the
    poller's own descriptor and calls `step` when it is readable, so that a hundred ready sockets
    cost it one task switch.

    Args:
        broker: Who decides.
        listeners: Where connections come from; closed in the end.
        ssl: What to do TLS with; None for none.
        clock: Seconds that do not run backwards.
    """

    def __init__(
        self,
        broker: ChatBroker[Transport],
        listeners: Listeners,
        ssl: SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.broker = broker
        self.listeners = listeners
        self.addresses = [describe(each.getsockname(), each.family) for each in listeners.sockets]
        self._ssl = ssl
        self._clock = clock
        self._accepting: list[Acceptor] = []
        self._draining = False
        self._aborting = False
        self.closed = False
        # Set by who can answer the broker's questions.
        self.ask: Callable[[int, LoginRequest], None] | None = None
        self._lag = 0.0
        # When the broker was last told the time, and when a `step` last ended.
        self._ticked = -inf
        self._rested = -inf
        self._answers: deque[tuple[int, bool]] = deque()
        # What has been read and not been told the broker yet.
        self._received: list[tuple[Transport, bytes]] = []
        self.poller: Poller[Handler] = new_poller()
        self._waker = Waker()
        self.poller.register(self._waker, READ, self._waker)

    def listen(self) -> None:
        """Begin to serve.

        Raises:
            RuntimeError: It has been closed.
        """
        if self.closed:
            raise RuntimeError("a server runs once")
        self._accepting = [Acceptor(self, each) for each in self.listeners.sockets]
        logger.info("listening on %s", ", ".join(self.addresses))

    def take_on(self, sock: socket.socket, address: Any) -> None:
        """Serve a connection.

        Args:
            sock: What `accept` has given.
            address: Likewise.
        """
        peer, host = describe(address, sock.family), host_of(address, sock.family)
        try:
            prepare(sock)
            if self._ssl is not None:
                sock = start_tls(sock, self._ssl)
        except OSError:
            # Some platforms report here that the peer has gone again.
            sock.close()
        else:
            SocketTransport(self.broker, self.poller, sock, peer, host, self._received)

    def drain(self) -> None:
        """Begin to end; go on with `step` until the broker has no connections."""
        for listener in self._accepting:
            listener.close()
        self._accepting = []
        self.tick()
        logger.info("ending, with %d connections", self.broker.connections)
        self.broker.drain()
        self._draining = True
        # In no order, so that those who come back do not all come back in the order of arrival.
        ready = self.broker.take_ready()
        shuffle(ready)
        for transport in ready:
            transport.flush()
        self.settle()

    def abort(self) -> None:
        """Have a drain, now or later, wait for nobody. For threads and signal handlers too."""
        self._aborting = True
        self.wake()

    def step(self, timeout: float) -> None:
        """Do what there is to do, and what comes in meanwhile.

        Args:
            timeout: Seconds to wait when there is nothing.
        """
        clock = self._clock
        ready = self.poller.poll(timeout)
        start = now = clock()
        polls = SPIN_COUNT if start - self._rested < SPIN_THRESHOLD else 1
        for left in reversed(range(MAX_ROUNDS)):
            self._work(ready, now)
            before, now = now, clock()
            self.note_lag(now - before)
            # What is polled is told of once, so it has to be worked on.
            ready = self._poll(polls) if left and now - start <= STEP_BUDGET else []
            if not ready:
                break
        self._rested = clock()

    def _work(self, ready: list[tuple[int, int]], now: float) -> None:
        if now >= self._ticked + RESOLUTION or self.broker.busy or self._draining:
            self._tick(now)
        handlers = self.poller.handlers
        for fd, events in ready:
            handlers[fd].ready(events)
        if self._received:
            self.broker.receive_all(self._received)
            self._received.clear()
        while self._answers:
            token, allowed = self._answers.popleft()
            self.broker.answer(token, allowed=allowed)
        self.settle()

    def _poll(self, times: int) -> list[tuple[int, int]]:
        for _ in range(times):
            ready = self.poller.poll(0)
            if ready:
                return ready
            os.sched_yield()
        return []

    def note_lag(self, seconds: float) -> None:
        """Take note that everybody had to wait, for something else than this."""
        self._lag = max(self._lag, seconds)

    def take_lag(self) -> float:
        """The longest time in seconds since the last call that everybody had to wait."""
        lag, self._lag = self._lag, 0.0
        return lag

    def answer(self, token: int, allowed: bool) -> None:
        """Answer a question that `ask` was called with. For other threads too."""
        self._answers.append((token, allowed))
        self.wake()

    def tick(self) -> float:
        """Let time pass. `step` does it too; here `settle` has to follow.

        Returns:
            What the clock says.
        """
        now = self._clock()
        self._tick(now)
        return now

    def _tick(self, now: float) -> None:
        self._ticked = now
        self.broker.tick(now)
        for listener in self._accepting:
            listener.tick(now)
        if self._draining and self._aborting:
            self.broker.abandon()

    def settle(self) -> None:
        """Have the broker's decisions carried out."""
        while ready := self.broker.take_outgoing():
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
        for record in self.broker.take_records():
            logger.log(logging.INFO if record.important else logging.DEBUG, "%s", record)
        if self.broker.busy:
            self.wake()

    def fileno(self) -> int:
        """The descriptor that is readable while `step` has something to do."""
        return self.poller.fileno()

    def now(self) -> float:
        """The clock's time in seconds."""
        return self._clock()

    def wake(self) -> None:
        """Have a `step` that waits return. For other threads and signal handlers too."""
        self._waker.wake()

    def close(self) -> None:
        """Stop listening, and drop every connection on a plain socket. Twice is fine."""
        if self.closed:
            return
        self.closed = True
        for listener in self._accepting:
            listener.close()
        for handler in list(self.poller.handlers.values()):
            handler.close()
        self.settle()
        self.poller.close()
        self.listeners.close()


def open_driver(
    host: str,
    port: int,
    *,
    unix: str | os.PathLike[str] | None,
    unix_mode: int | None,
    sockets: Sequence[socket.socket],
    ssl: SSLContext | None,
    policy: Policy,
    limits: Limits,
    notices: bool,
    ask: bool,
) -> Driver:
    """Listen, and make the driver that serves: what both servers begin with.

    Raises:
        OSError: It can't listen there.
        ValueError: There is no such port, the path is empty, or `ssl` is for clients.
    """
    if ssl is not None and ssl.protocol is PROTOCOL_TLS_CLIENT:
        raise ValueError("ssl is to be a server's context, and this one is a client's")
    broker: ChatBroker[Transport] = ChatBroker(
        policy=policy, limits=fitted(limits), notices=notices, ask=ask
    )
    return Driver(broker, open_listeners(host, port, unix, unix_mode, sockets), ssl)
