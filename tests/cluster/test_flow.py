"""Flow control across nodes. Private names."""

from chatproto import Limits
from chatproto.cluster.flow import EXCUSE, ClusterFlow
from chatproto.cluster.nodes import Node, Remote


def test_a_wait_for_another_node_excuses_a_full_queue_for_some_time() -> None:
    flow = ClusterFlow(Limits(), lambda cid: cid)
    remote = Remote(Node("b#1", 0, 0.0), b"1")
    flow.hold(remote)
    # One waits for another one of this node, which waits for one of another node.
    flow.wait("ann", remote)
    flow.wait("bob", "ann")
    for name in ("ann", "bob"):
        flow.mark_full(name)
    for tenths in range(int(EXCUSE * 10)):
        assert list(flow.tick(tenths / 10)) == []
        assert set(flow.blockers(("ann", "bob"))) == {"ann", "bob"}
    for tenths in range(int(EXCUSE * 10), int(EXCUSE * 10) + 12):
        assert list(flow.tick(tenths / 10)) == []
    assert set(flow.blockers(("ann", "bob", remote))) == {remote}
