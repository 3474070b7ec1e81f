"""Which connections do their TLS handshake now."""

from collections import Counter, OrderedDict

from .limits import Limits
from .peer import Peer


class Handshakes:
    """The order of TLS handshakes, and a bound on the unfinished ones.

    An unfinished handshake takes ten times the memory of an idle connection, and the peer decides
    how long it takes. So their number is bounded. Above the bound, a new one takes the place of an
    old one.

    Networks share both time and places, so that none of them keeps the others out. Within a network
    the newest connection is first. If there are more than the server can do, it does those whose
    clients still wait, rather than those whose clients will give up first.

    Args:
        limits: How many there may be.
    """

    def __init__(self, limits: Limits) -> None:
        self._most = limits.max_handshakes
        # By network. The next network is in front, the newest connection of each is at the end.
        self._waiting: OrderedDict[str, dict[Peer, None]] = OrderedDict()
        # The oldest is in front.
        self._begun: OrderedDict[Peer, None] = OrderedDict()
        self._counts: Counter[str] = Counter()

    def reconfigure(self, limits: Limits) -> None:
        """Use another bound from now on. Handshakes that have begun go on."""
        self._most = limits.max_handshakes

    def request(self, peer: Peer) -> None:
        """Have a connection wait for its turn."""
        self._waiting.setdefault(peer.network, {})[peer] = None

    def begin_next(self) -> tuple[Peer | None, Peer | None]:
        """Let the next connection begin.

        Returns:
            The connection that begins; None when none waits. Then the connection to close, whose
            place it takes; None when there was room.
        """
        if not self._waiting:
            return None, None
        network, waiting = self._waiting.popitem(last=False)
        peer, _ = waiting.popitem()
        if waiting:
            self._waiting[network] = waiting
        self._begun[peer] = None
        self._counts[network] += 1
        if len(self._begun) <= self._most:
            return peer, None
        [(largest, _)] = self._counts.most_common(1)
        return peer, next(each for each in self._begun if each.network == largest)

    def end(self, peer: Peer) -> None:
        """Forget a connection whose handshake is done, or will never be."""
        network = peer.network
        if peer in self._begun:
            del self._begun[peer]
            self._counts[network] -= 1
            if not self._counts[network]:
                del self._counts[network]
        elif peer in self._waiting.get(network, ()):
            del self._waiting[network][peer]
            if not self._waiting[network]:
                del self._waiting[network]
