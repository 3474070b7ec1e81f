"""All connections of a broker, and how each of them ends."""

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from .buffers import Buffers
from .close_reason import CloseReason
from .limits import Limits
from .peer import Peer, Phase, Waiting
from .send_queue import front
from .timers import Timers


class Step(NamedTuple):
    """What an adapter is to do for one connection now."""

    write: bytes
    """What to write next: all of a short queue, about 64 KiB of a long one. Empty when nothing is
    queued. Report with `ChatBroker.sent` how much of it is on its way."""

    read: bool
    """Whether to read from the connection now."""

    half_close: bool
    """Whether to end our half of the stream now, and to report that with
    `ChatBroker.half_closed`. If the transport can't do that, close it instead."""

    close: bool
    """Whether to close the transport now, and to report that with `ChatBroker.disconnect`."""


class Peers:
    """The connections, from `add` to `remove`.

    Args:
        limits: How long a connection may take to end.
        buffers: Where its bytes are kept.
        by_id: Where to keep the connections, by the adapter's ids.
    """

    def __init__(self, limits: Limits, buffers: Buffers, by_id: dict[Any, Peer]) -> None:
        self._buffers = buffers
        self._by_id = by_id
        self._lingering: Timers[Peer] = Timers(limits.linger)
        self._half_closed: Timers[Peer] = Timers(limits.close_timeout)
        self._now = 0.0
        self.cut_off: int = 0
        """Connections that were aborted with something left to write."""

    def reconfigure(self, limits: Limits) -> None:
        """Use other bounds from now on, also for connections that are ending."""
        self._lingering.span = limits.linger
        self._half_closed.span = limits.close_timeout

    def add(self, peer: Peer) -> None:
        """Take a connection on.

        Raises:
            ValueError: There is one with that id already.
        """
        if peer.cid in self._by_id:
            raise ValueError(f"{peer.cid!r} is connected already")
        self._by_id[peer.cid] = peer

    def remove(self, cid: Any) -> Peer | None:
        """Forget a connection.

        Returns:
            The connection; None when there is none with that id.
        """
        peer = self._by_id.pop(cid, None)
        if peer is not None:
            # Other nodes of a chat may still know it.
            peer.phase = Phase.ABORTED
            self._buffers.forget(peer)
            self._stop_timers(peer)
        return peer

    def tick(self, now: float) -> Iterator[Peer]:
        """Advance the clock.

        Returns:
            The connections to abort because their time to end is over.
        """
        self._now = now
        return chain(self._lingering.take_expired(now), self._half_closed.take_expired(now))

    def receive_eof(self, peer: Peer) -> None:
        """Note that the peer's half of the stream has ended."""
        peer.eof = True
        self._buffers.ready[peer] = None

    def close(self, peer: Peer, reason: CloseReason, notice: bytes) -> None:
        """Begin to close a connection: write its queue, then half-close.

        Args:
            peer: The connection.
            reason: Why.
            notice: The last line to write; may be empty.
        """
        peer.phase, peer.close_reason = Phase.CLOSING, reason
        self._lingering.start(peer, self._now)
        self._buffers.queue_last(peer, notice)

    def half_closed(self, peer: Peer) -> None:
        """Note that the adapter has ended our half of a stream."""
        if peer.phase is Phase.CLOSING:
            peer.phase = Phase.HALF_CLOSED
            self._lingering.stop(peer)
            self._half_closed.start(peer, self._now)

    def abort(self, peer: Peer) -> None:
        """Write nothing more to a connection and wait for nothing."""
        peer.phase = Phase.ABORTED
        self.cut_off += peer.queued_bytes > 0
        self._stop_timers(peer)
        self._buffers.drop_queue(peer)

    def next_step(self, peer: Peer) -> Step:
        """What is to be done for a connection now."""
        gone = peer.eof or peer.phase is Phase.ABORTED
        written = peer.phase is not Phase.OPEN and not peer.queued_bytes
        return Step(
            front(peer.queue),
            read=not gone and peer.waiting is Waiting.NOTHING,
            half_close=written and not gone and peer.phase is Phase.CLOSING,
            close=written and gone,
        )

    def _stop_timers(self, peer: Peer) -> None:
        self._lingering.stop(peer)
        self._half_closed.stop(peer)
