"""`events`: what a node logs of the others."""

from .world import World


def test_a_node_that_joins_logs_nothing_of_what_was_before() -> None:
    world = World("a", "b")
    world.nodes["b"].cluster.leave()
    world.tick()
    world.add("c")
    assert [str(each) for each in world.nodes["a"].cluster.take_events()] == [
        "standing a#t.1: up",
        "node joined b#t.1",
        "node left b#t.1",
        "node joined c#t.1",
    ]
    assert [str(each) for each in world.nodes["c"].cluster.take_events()] == ["standing c#t.1: up"]
