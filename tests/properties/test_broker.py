"""The broker in any interleaving: whole lines without holes, sums that add up, nothing left."""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from chatproto import ChatBroker, Limits, Policy

NAMES = st.sampled_from(["alice", "bob", "carol"])
QUEUE = 512
GOODBYE = 1.0
LINGER = 10.0
BYE = b"CHAT/1.0 RECEIVE *server* ERR SHUTTING_DOWN - the server is shutting down\n"


@dataclass
class Peer:
    """What the model knows of one connection."""

    name: str
    # What the peer has said so far that has no end yet.
    partial: bytes = b""
    # All that was ever accepted for it, and how much of that the transport took.
    stream: bytes = b""
    written: int = 0
    reason: str | None = None
    deadline: float = 0.0
    # Whether our half is closed, and whether nothing of the peer is waited for.
    half_closed: bool = False
    done: bool = False
    # Whether the adapter knows that something is to be done.
    known: bool = False

    @property
    def queued(self) -> bytes:
        return self.stream[self.written :]


class BrokerMachine(RuleBasedStateMachine):
    """An adapter with a will of its own, and a model of what each peer must get."""

    cids = Bundle("cids")

    def __init__(self) -> None:
        super().__init__()
        limits = Limits(
            max_line=512, queue_bytes=QUEUE, linger=LINGER, goodbye=GOODBYE, notice_burst=10**6
        )
        self.broker: ChatBroker[int] = ChatBroker(policy=Policy(), limits=limits)
        self.peers: dict[int, Peer] = {}
        self.now = 0.0
        self.count = self.logins = self.messages = self.deliveries = 0
        self.octets_in = self.octets_out = self.refusals = 0
        self.closes: dict[str, int] = {}

    # What the model thinks

    def close(self, peer: Peer, reason: str) -> None:
        peer.reason = reason
        peer.deadline = self.now + LINGER
        peer.known = False

    def accept(self, peer: Peer, line: bytes) -> None:
        if not peer.queued:
            peer.known = False
        peer.stream += line
        if len(peer.queued) > QUEUE:
            self.close(peer, "slow consumer")
            self.give_up(peer)

    def give_up(self, peer: Peer) -> None:
        peer.stream = peer.stream[: peer.written]
        peer.done = True
        peer.known = False

    def obey(self, peer: Peer, line: bytes) -> None:
        """LOGOUT, or SEND to somebody."""
        if line.endswith(b"LOGOUT"):
            self.close(peer, "logged out")
            return
        name, data = line.split(b" ", 3)[2:]
        to = [
            other
            for other in self.peers.values()
            if other.name == name.decode() and other.reason is None
        ]
        for other in to:
            self.accept(other, b"CHAT/1.0 RECEIVE %b %b\n" % (peer.name.encode(), data))
        self.deliveries += len(to)
        if to:
            self.messages += 1
        else:
            self.refuse(peer, b"NO_SUCH_USER SEND %b is not online" % name)

    def refuse(self, peer: Peer, why: bytes) -> None:
        self.refusals += 1
        self.accept(peer, b"CHAT/1.0 RECEIVE *server* ERR %b\n" % why)

    # What the adapter does

    @rule(target=cids, name=NAMES)
    def connect(self, name: str) -> int:
        self.count += 1
        self.broker.connect(self.count, f"peer-{self.count}")
        line = f"CHAT/1.0 LOGIN {name}\n".encode()
        self.broker.receive(self.count, line)
        self.octets_in += len(line)
        self.logins += 1
        self.peers[self.count] = Peer(name)
        return self.count

    def receive(self, cid: int, octets: bytes) -> None:
        peer = self.peers.get(cid)
        if peer is None:
            return
        self.broker.receive(cid, octets)
        self.octets_in += len(octets)
        if peer.reason is not None:
            return
        *lines, peer.partial = (peer.partial + octets).split(b"\n")
        for line in lines:
            if peer.reason is None:
                self.obey(peer, line)

    @rule(cid=cids, to=NAMES, size=st.integers(0, 120), cut=st.integers(0, 40))
    def say(self, cid: int, to: str, size: int, cut: int) -> None:
        """Finish what was begun, and begin something."""
        peer = self.peers.get(cid)
        if peer is None:
            return
        head = b"" if peer.partial else f"CHAT/1.0 SEND {to} ".encode()
        line = f"CHAT/1.0 SEND {to} ".encode() + b"x" * size
        self.receive(cid, head + b"%d" % size + b"\n" + line + b"\n" + line[: 15 + len(to)])
        if cut % 2:
            self.receive(cid, b"end\n")

    @rule(cid=cids)
    def log_out_and_go_on(self, cid: int) -> None:
        peer = self.peers.get(cid)
        if peer is not None:
            end = b"\n" if peer.partial else b""
            self.receive(cid, end + b"CHAT/1.0 LOGOUT\nCHAT/1.0 SEND alice forged\n")

    @rule(cid=cids)
    def end_the_stream(self, cid: int) -> None:
        peer = self.peers.get(cid)
        if peer is None:
            return
        self.broker.receive_eof(cid)
        peer.done = True
        peer.known = False
        if peer.reason is None:
            if peer.partial:
                self.refuse(peer, b"TRUNCATED SEND the line has no end and was not run")
            if peer.reason is None:
                self.close(peer, "end of stream")

    @rule(cid=cids)
    def lose(self, cid: int) -> None:
        peer = self.peers.pop(cid, None)
        self.broker.disconnect(cid)
        if peer is not None:
            reason = peer.reason or "connection lost"
            self.closes[reason] = self.closes.get(reason, 0) + 1

    @rule()
    def wake_up(self) -> None:
        """Whoever has news and is not known to have is told of, and nobody who is gone."""
        for cid in self.broker.take_ready():
            self.peers[cid].known = True
        for peer in self.peers.values():
            assert peer.known or not (peer.queued or peer.reason)

    @rule(cid=cids, size=st.integers(1, 400))
    def write(self, cid: int, size: int) -> None:
        peer = self.peers.get(cid)
        if peer is None:
            return
        octets = bytes(self.broker.outgoing(cid)[:size])
        assert octets == peer.queued[:size]
        self.broker.sent(cid, len(octets))
        peer.written += len(octets)
        self.octets_out += len(octets)
        waiting = peer.reason is not None and not (peer.queued or peer.done or peer.half_closed)
        assert self.broker.take_half_close(cid) is waiting
        if waiting:
            peer.half_closed = True
            peer.deadline = self.now + GOODBYE
        if self.broker.finished(cid):
            self.lose(cid)

    @rule(seconds=st.floats(0, 6))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.broker.tick(self.now)
        for peer in self.peers.values():
            if peer.reason is not None and peer.deadline <= self.now:
                self.give_up(peer)
                # Once.
                peer.deadline = float("inf")

    @invariant()
    def every_queue_is_what_was_accepted(self) -> None:
        for cid, peer in self.peers.items():
            assert bytes(self.broker.outgoing(cid)) == peer.queued
            assert self.broker.reading(cid) is not peer.done
            over = peer.reason is not None and peer.done and not peer.queued
            assert self.broker.finished(cid) is over

    @invariant()
    def the_sums_add_up(self) -> None:
        counters = self.broker.snapshot()
        open_names = {peer.name for peer in self.peers.values() if peer.reason is None}
        assert counters.connections == len(self.peers) == self.broker.connections
        assert counters.users == len(open_names)
        assert counters.accepted == self.count == counters.connections + sum(self.closes.values())
        assert counters.logins == self.logins
        assert (counters.messages, counters.deliveries) == (self.messages, self.deliveries)
        assert (counters.octets_in, counters.octets_out) == (self.octets_in, self.octets_out)
        assert counters.queued == sum(len(peer.queued) for peer in self.peers.values())
        assert sum(counters.refusals.values()) == self.refusals
        assert counters.closes == self.closes

    def teardown(self) -> None:
        """Drain: what was accepted is written, or discarded in time, and nothing remains."""
        self.broker.drain()
        for cid, peer in self.peers.items():
            if peer.reason is None:
                assert bytes(self.broker.outgoing(cid)) in (peer.queued, peer.queued + BYE)
        self.broker.tick(self.now + LINGER)
        for cid in list(self.peers):
            assert self.broker.finished(cid)
            self.broker.disconnect(cid)
        counters = self.broker.snapshot()
        assert (counters.connections, counters.users, counters.queued) == (0, 0, 0)
        assert sum(counters.closes.values()) == counters.accepted
        assert self.broker.take_ready() == []


TestBroker = BrokerMachine.TestCase
