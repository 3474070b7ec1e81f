"""chatproto.server.broker against a model, whatever clients and the network do, in any order.

No message is lost, the counters add up, and nothing is left at the end.
"""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from chatproto import ChatBroker

from ..remains import remains
from ..server.broker_model import CLOSE_TIMEOUT, LIMITS, LINGER, BrokerModel, PeerModel
from ..server.brokers import half_close

NAMES = st.sampled_from(["alice", "bob", "carol"])
# Which connection, modulo how many there are.
INDICES = st.integers(0, 4)
SIZES = st.sampled_from([0, 50, 150, 300])
SHUTTING_DOWN = b"CHAT/1.0 RECEIVE *server* ERR SHUTTING_DOWN - the server is shutting down\n"


class BrokerMachine(RuleBasedStateMachine):
    """Uses the broker as an adapter may, and compares each connection with the model."""

    def __init__(self) -> None:
        super().__init__()
        self.broker: ChatBroker[int] = ChatBroker(limits=LIMITS)
        # Here each queue counts as one that drains: time has a part of its own, tests/simulation.
        self.broker._dispatcher.flow._share = 0.0
        self.model = BrokerModel()
        self.peers = self.model.peers
        self.count = self.bytes_received = self.bytes_sent = 0
        self.closes: dict[str, int] = {}
        for name in ("alice", "bob", "carol"):
            self.connect(name)

    connected = precondition(lambda self: self.peers)

    def pick(self, index: int) -> int:
        return list(self.peers)[index % len(self.peers)]

    @precondition(lambda self: len(self.peers) < 5)
    @rule(name=NAMES)
    def connect(self, name: str) -> None:
        self.count += 1
        self.broker.connect(self.count, f"peer-{self.count}")
        self.peers[self.count] = PeerModel(name)
        line = f"CHAT/1.0 LOGIN {name}\n".encode()
        self.broker.receive(self.count, line)
        self.bytes_received += len(line)

    def receive(self, cid: int, data: bytes) -> None:
        """Receive data from a peer. It first ends the line that it has begun, if any."""
        peer = self.peers[cid]
        if not peer.done:
            data = b"end\n" * bool(peer.rest) + data
            self.broker.receive(cid, data)
            self.model.receive(cid, data)
            self.bytes_received += len(data)

    @connected
    @rule(
        index=INDICES, to=NAMES, size=SIZES, times=st.sampled_from([1, 8]), cut=st.integers(0, 40)
    )
    def send(self, index: int, to: str, size: int, times: int, cut: int) -> None:
        """Send some lines, and the beginning of one."""
        line = f"CHAT/1.0 SEND {to} ".encode() + b"x" * size + b"\n"
        self.receive(self.pick(index), line * times + line[: 15 + len(to) + cut])

    @connected
    @rule(index=INDICES)
    def log_out_and_send(self, index: int) -> None:
        self.receive(self.pick(index), b"CHAT/1.0 LOGOUT\nCHAT/1.0 SEND alice forged\n")

    @connected
    @rule(index=INDICES)
    def end_the_stream(self, index: int) -> None:
        cid = self.pick(index)
        self.broker.receive_eof(cid)
        self.model.receive_eof(cid)

    @connected
    @rule(index=INDICES)
    def lose(self, index: int) -> None:
        self.disconnect(self.pick(index))

    def disconnect(self, cid: int) -> None:
        self.broker.disconnect(cid)
        reason = self.model.remove(cid)
        self.closes[reason] = self.closes.get(reason, 0) + 1

    @rule()
    def take_ready(self) -> None:
        """All connections whose next step has changed are reported, and none that is gone."""
        self.model.release()
        for cid in self.broker.take_ready():
            self.peers[cid].reported = True
        for peer in self.peers.values():
            assert peer.reported or not (peer.queued or peer.reason or peer.waiting)

    @connected
    @rule(index=INDICES, size=st.integers(1, 1000))
    def write_some(self, index: int, size: int) -> None:
        self.write(self.pick(index), size)

    @rule(size=st.integers(500, 2000), times=st.integers(1, 3))
    def write_to_all(self, size: int, times: int) -> None:
        for _ in range(times):
            for cid in list(self.peers):
                self.write(cid, size)
            self.take_ready()

    def write(self, cid: int, size: int) -> None:
        peer = self.peers[cid]
        data = bytes(self.broker.next_step(cid).write[:size])
        assert data == peer.queued[:size]
        idle = self.broker.sent(cid, len(data))
        self.model.write(cid, len(data))
        self.bytes_sent += len(data)
        assert idle is not (bool(peer.queued) or peer.reason is not None or peer.waiting)
        waiting = peer.reason is not None and not (peer.queued or peer.done or peer.half_closed)
        assert half_close(self.broker, cid) is waiting
        if waiting:
            peer.half_closed = True
            peer.deadline = self.model.now + CLOSE_TIMEOUT
        if self.broker.next_step(cid).close:
            self.disconnect(cid)

    @rule(seconds=st.floats(0, 6))
    def wait(self, seconds: float) -> None:
        now = self.model.now + seconds
        self.broker.tick(now)
        self.model.tick(now)

    @invariant()
    def every_next_step_is_as_the_model_says(self) -> None:
        for cid, peer in self.peers.items():
            assert bytes(self.broker.next_step(cid).write) == peer.queued
            assert self.broker.next_step(cid).read is not (peer.done or peer.waiting)
            over = peer.reason is not None and peer.done and not peer.queued
            assert self.broker.next_step(cid).close is over

    @invariant()
    def the_counters_add_up(self) -> None:
        counters, model = self.broker.snapshot(), self.model
        peers = self.peers.values()
        assert counters.connections == len(peers) == self.broker.connections
        assert counters.users == len({peer.name for peer in peers if peer.reason is None})
        assert counters.accepted == self.count == counters.connections + sum(self.closes.values())
        assert counters.logins == self.count
        assert (counters.messages, counters.deliveries) == (model.messages, model.deliveries)
        assert (counters.bytes_received, counters.bytes_sent) == (
            self.bytes_received,
            self.bytes_sent,
        )
        assert counters.queued == sum(peer.kept for peer in peers)
        assert counters.waiting == sum(map(len, model.waiters.values()))
        assert sum(counters.refusals.values()) == model.refusals
        assert counters.closes == self.closes

    def teardown(self) -> None:
        """Drain: each queue is written or dropped in time, and nothing is left."""
        self.broker.drain()
        for cid, peer in self.peers.items():
            if peer.reason is None:
                assert bytes(self.broker.next_step(cid).write) in (
                    peer.queued,
                    peer.queued + SHUTTING_DOWN,
                )
        self.broker.tick(self.model.now + LINGER)
        for cid in list(self.peers):
            assert self.broker.next_step(cid).close
            self.broker.disconnect(cid)
        counters = self.broker.snapshot()
        assert (counters.connections, counters.users, counters.queued) == (0, 0, 0)
        assert sum(counters.closes.values()) == counters.accepted
        assert self.broker.take_ready() == []
        assert remains(self.broker) == []


TestBroker = BrokerMachine.TestCase
