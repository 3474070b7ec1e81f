"""chatproto.cluster.hub: the routing of a node."""

from chatproto import Broadcast, Group, Limits, Login, Policy, Send
from chatproto.cluster.hub import ReplicatedHub

from ..routing.hubs import delivery


def test_nothing_goes_to_a_connection_that_leaves_and_still_has_its_name() -> None:
    hub = ReplicatedHub(Policy(), Limits(), {2})
    for cid, name in enumerate(["alice", "bob", "bob"], 1):
        hub.connect(cid)
        hub.handle(cid, Login(name))
    hub.handle(1, Group("g", ["bob", "alice"]))
    hub.end(2)
    assert hub.handle(1, Send("bob", b"x")) == delivery("alice", b"x", 3)
    assert hub.handle(1, Broadcast("g", b"x")) == delivery("alice", b"x", 3, group="g")
    assert list(hub.registered["bob"]) == [2, 3]
    hub.depart(2)
    assert list(hub.registered["bob"]) == [3]
