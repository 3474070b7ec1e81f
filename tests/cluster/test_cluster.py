"""Nodes of one chat, with the ledger and the mailboxes in memory: what users see."""

from dataclasses import replace
from typing import Any

import pytest

from chatproto import (
    ChatBroker,
    CloseReason,
    Cluster,
    ClusterError,
    DuplicateLogin,
    GroupMade,
    Limits,
    Policy,
    Said,
    Send,
    Standing,
)
from chatproto.cluster import cluster as cluster_module
from chatproto.cluster import snapshot as snapshot_module
from chatproto.cluster.mailroom import WINDOW

from .world import TestNode, World

GONE = "*server* ERR NO_SUCH_USER SEND {} is not online"
UNREACHABLE = "the servers of this chat can't reach one another now; try again later"


@pytest.fixture
def world() -> World:
    """Two nodes with alice at one and bob at the other."""
    world = World("a", "b")
    world.client("a", "alice")
    world.client("b", "bob")
    return world


def events(node: TestNode) -> list[str]:
    return [str(event) for event in node.cluster.take_events()]


# Messages


def test_messages_reach_users_of_other_nodes(world: World) -> None:
    world.do("a", "alice", "SEND bob hi", "SEND bob there")
    world.do("b", "bob", "SEND alice hello")
    assert world.take("b", "bob") == ["alice hi", "alice there"]
    assert world.take("a", "alice") == ["bob hello"]


def test_a_refusal_waits_until_the_ledger_confirms_it(world: World) -> None:
    world.nodes["b"].connect("carol")
    world.nodes["b"].broker.receive("carol", b"CHAT/1.0 LOGIN carol\n")
    world.nodes["b"].say()
    # The login is in the ledger, and this node has not read it yet.
    world.do("a", "alice", "SEND carol hi", "SEND dan hi")
    assert world.take("b", "carol") == ["alice hi"]
    assert world.take("a", "alice") == [GONE.format("dan")]
    assert world.nodes["a"].cluster.snapshot().syncs == 2


def test_a_broadcast_is_one_frame_for_each_node() -> None:
    world = World("a", "b")
    for name in ("ann", "bob", "cyd", "dan"):
        world.client("a" if name == "ann" else "b", name)
    world.do("a", "ann", "GROUP tea ann bob cyd dan")
    before = world.nodes["a"].cluster.snapshot().mail_bytes_sent
    world.do("a", "ann", "BROADCAST tea " + "x" * 1000)
    assert world.nodes["a"].cluster.snapshot().mail_bytes_sent - before < 1200
    for name in ("bob", "cyd", "dan"):
        assert world.take("b", name) == ["ann " + "x" * 1000]


@pytest.mark.parametrize("fast_path", [True, False])
def test_labels_reach_those_who_asked_on_any_node(fast_path: bool) -> None:
    world = World("a", "b", fast_path=fast_path)
    for node, name in (("a", "ann"), ("b", "bob"), ("b", "cyd")):
        world.client(node, name)
    world.do("b", "bob", "SEND *groups* on")
    world.do("a", "ann", "GROUP tea ann bob cyd", "BROADCAST tea hi", "BROADCAST tea " + "x" * 4067)
    assert world.take("b", "bob") == ["*groups* on", "*groups* in tea ann hi", "ann " + "x" * 4067]
    assert world.take("b", "cyd") == ["ann hi", "ann " + "x" * 4067]
    world.do("a", "ann", "BROADCAST tea hi", "BROADCAST tea ho")
    world.do("a", "ann", "BROADCAST tea " + "x" * 4067)
    assert world.take("b", "bob") == [
        "*groups* in tea ann hi",
        "*groups* in tea ann ho",
        "ann " + "x" * 4067,
    ]
    world.do("b", "bob", "SEND *groups* off")
    world.do("a", "ann", "BROADCAST tea again")
    assert world.take("b", "bob") == ["*groups* off", "ann again"]


def test_labels_begin_with_the_answer_whatever_the_other_nodes_know(world: World) -> None:
    world.do("a", "alice", "GROUP tea alice bob")
    a, b = world.nodes["a"], world.nodes["b"]
    b.broker.receive("bob", b"CHAT/1.0 SEND *groups* on\n")
    b.say()
    a.broker.receive("alice", b"CHAT/1.0 BROADCAST tea hi\n")
    a.say()
    world.run()
    assert world.take("b", "bob") == ["*groups* on", "*groups* in tea alice hi"]


def test_a_user_of_two_nodes_gets_messages_at_both() -> None:
    world = World("a", "b")
    world.client("a", "bob")
    world.nodes["b"].connect("bob2")
    world.do("b", "bob2", "LOGIN bob")
    world.do("b", "bob2", "SEND bob hi")
    assert world.take("a", "bob") == ["bob hi"]
    assert world.take("b", "bob2") == ["bob hi"]
    # One of them has left, and the other gets it: nobody is told.
    world.nodes["a"].broker.disconnect("bob")
    world.nodes["b"].broker.receive("bob2", b"CHAT/1.0 SEND bob again\n")
    world.run()
    assert world.take("b", "bob2") == ["bob again"]


@pytest.mark.parametrize("lines", [1, 30])
def test_a_sender_is_told_when_the_recipient_had_left(world: World, lines: int) -> None:
    world.nodes["b"].broker.disconnect("bob")
    # This node has not heard of it.
    data = b"CHAT/1.0 SEND bob hi\n" * lines
    world.nodes["a"].broker.receive("alice", data)
    world.run()
    assert world.take("a", "alice")[:20] == [GONE.format("bob")] * min(lines, 20)
    assert world.nodes["a"].cluster.snapshot().returned == lines


@pytest.mark.parametrize("fast_path", [True, False])
@pytest.mark.parametrize(
    ("places", "leave", "told"),
    [
        ("bb", (0, 1), 1),
        ("bb", (0,), 0),
        ("bcc", (0, 1, 2), 1),
        ("bcc", (1, 2), 0),
        ("abc", (0, 1, 2), 1),
        ("abc", (1, 2), 0),
        ("abc", (0, 2), 0),
    ],
)
def test_a_sender_is_told_once_when_no_connection_of_the_recipient_was_left(
    places: str, leave: tuple[int, ...], told: int, *, fast_path: bool
) -> None:
    world = World("a", "b", "c", fast_path=fast_path)
    world.client("a", "alice")
    for number, node in enumerate(places):
        world.nodes[node].connect(f"bob{number}")
        world.do(node, f"bob{number}", "LOGIN bob")
    for number in leave:
        world.nodes[places[number]].broker.disconnect(f"bob{number}")
    world.do("a", "alice", "SEND bob hi")
    world.tick(times=2)
    assert world.take("a", "alice") == [GONE.format("bob")] * told
    for number, node in enumerate(places):
        got = [] if number in leave else ["alice hi"]
        assert world.take(node, f"bob{number}") == got


@pytest.mark.parametrize(
    ("slow", "free", "reads"),
    [
        ("a", "c", ""),
        ("b", "c", ""),
        ("ab", "c", ""),
        ("ba", "c", ""),
        ("b", "c", "b"),
        ("ab", "c", "a"),
        ("ab", "c", "b"),
        ("b", "a", ""),
    ],
)
def test_a_sender_that_has_waited_for_some_connections_is_told_if_nobody_got_its_message(
    slow: str, free: str, reads: str
) -> None:
    world = World("a", "b", "c")
    a, elsewhere = world.nodes["a"], free != "a"
    for node in (*slow, free):
        world.nodes[node].connect("bob")
        world.do(node, "bob", "LOGIN bob")
    for node in slow:
        world.nodes[node].slow.add("bob")
    world.client("a", "carol")
    world.client("a", "alice")
    for _ in range(70):
        a.broker.receive("carol", f"CHAT/1.0 SEND bob {'x' * 1000}\n".encode())
        world.run(2)
    if elsewhere:
        world.nodes[free].broker.disconnect("bob")
    a.broker.receive("alice", b"CHAT/1.0 SEND bob last\n")
    world.run()
    assert a.broker.desk.connections()[-1].is_waiting
    assert world.take("a", "alice") == []
    for node in slow:
        if node == reads:
            world.nodes[node].slow.clear()
            world.tick(times=2)
            assert world.take(node, "bob")[-1] == "alice last"
        else:
            world.nodes[node].broker.disconnect("bob")
            world.tick()
    assert world.take("a", "alice") == [GONE.format("bob")] * (elsewhere and not reads)
    assert a.broker.snapshot().waiting == 0


@pytest.mark.parametrize("is_lost", [True, False])
def test_what_was_returned_comes_before_its_acknowledgement(world: World, *, is_lost: bool) -> None:
    a, b = world.nodes["a"], world.nodes["b"]
    world.client("b", "carol")
    a.broker.receive("alice", b"CHAT/1.0 SEND bob hi\n")
    a.say()
    b.broker.disconnect("bob")
    for _ in range(70):
        b.broker.receive("carol", b"CHAT/1.0 SEND alice " + b"x" * 1000 + b"\n")
    b.hear()
    # Two mails are written back at once. The second one has what was returned.
    mails = [entry for to, entry in b.cluster.take_appends() if to is not None]
    assert ["\nB " in each.decode() for each in mails] == [False, True]
    a.cluster.receive_mail(mails[0])
    if is_lost:
        # Redis has no memory for it, but for the next one.
        a.broker.receive("alice", b"CHAT/1.0 SEND carol hi\n")
        a.say()
        b.hear()
        world.now += 0.1
        b.broker.tick(world.now)
        [acknowledgement] = [entry for to, entry in b.cluster.take_appends() if to is not None]
        a.cluster.receive_mail(acknowledgement)
        b.cluster.set_connected(True)
    else:
        a.cluster.receive_mail(mails[1])
    world.tick(times=2)
    assert a.cluster.snapshot().unacknowledged == {"b#t.1": 0}
    assert world.take("a", "alice") == [*["carol " + "x" * 1000] * 70, GONE.format("bob")]


def test_nobody_is_told_of_a_return_whose_sender_has_left(world: World) -> None:
    world.nodes["b"].broker.disconnect("bob")
    world.nodes["a"].broker.receive("alice", b"CHAT/1.0 SEND bob hi\nCHAT/1.0 LOGOUT\n")
    world.run()
    assert world.take("a", "alice") == []


def test_an_answer_never_overtakes_the_login_that_it_needs() -> None:
    world = World("a", "b", "c")
    world.client("a", "alice")
    world.client("b", "bob")
    c = world.nodes["c"]
    c.connect("carol")
    c.broker.receive("carol", b"CHAT/1.0 LOGIN carol\nCHAT/1.0 SEND bob hi\n")
    for _ in range(2):
        c.say()
        c.hear()
    # The mailbox is read before the ledger.
    b = world.nodes["b"]
    b.hear_mail()
    assert world.take("b", "bob") == []
    assert b.cluster.snapshot().waited == 1
    world.run()
    assert world.take("b", "bob") == ["carol hi"]


# Names and groups


@pytest.mark.parametrize("policy", [DuplicateLogin.REJECT, DuplicateLogin.REPLACE])
def test_two_logins_of_one_name_at_once(policy: DuplicateLogin) -> None:
    world = World("a", "b", policy=Policy(duplicate_login=policy))
    for node in ("a", "b"):
        world.nodes[node].connect("x")
        world.nodes[node].broker.receive("x", b"CHAT/1.0 LOGIN bob\n")
    world.run()
    first, second = world.take("a", "x"), world.take("b", "x")
    if policy is DuplicateLogin.REJECT:
        assert (first, second) == ([], ["*server* ERR NAME_IN_USE LOGIN bob is logged in already"])
    else:
        assert first == ["*server* ERR NAME_IN_USE - somebody else has logged in under your name"]
        assert second == []
        assert world.nodes["a"].closed == {"x"}
    world.client("a", "ann")
    world.do("a", "ann", "SEND bob hi")
    assert world.take("a" if policy is DuplicateLogin.REJECT else "b", "x") == ["ann hi"]


def test_a_name_is_free_when_its_connection_ends(world: World) -> None:
    world.do("b", "bob", "LOGOUT")
    world.do("a", "alice", "SEND bob hi", "LOGIN bob", "SEND bob me")
    assert world.take("a", "alice") == [GONE.format("bob"), "bob me"]


def test_a_refused_login_leaves_nothing_behind() -> None:
    world = World("a", "b", policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    world.client("a", "bob")
    world.nodes["b"].connect("x")
    world.do("b", "x", "LOGIN bob", "LOGIN bob", "LOGIN cyd", "SEND bob hi")
    assert world.take("a", "bob") == ["cyd hi"]
    assert len(world.take("b", "x")) == 2
    assert world.nodes["a"].cluster.snapshot().far_users == 1


def test_what_no_other_node_can_decide_needs_no_ledger(world: World) -> None:
    world.nodes["a"].connect("x")
    before = len(world.streams.ledger)
    world.do("a", "x", "GROUP tea ann", "LEAVE tea", "LOGIN a\u200bb", "SEND bob hi")
    world.do("a", "alice", "LOGIN alice", "GROUP t\u200bea bob", "SEND *groups* \xff", "SEND *x* y")
    assert len(world.streams.ledger) == before
    assert [line.split()[2] for line in world.take("a", "x")] == [
        *["NOT_LOGGED_IN"] * 2,
        "BAD_NAME",
        "NOT_LOGGED_IN",
    ]
    assert [line.split()[2] for line in world.take("a", "alice")] == ["BAD_NAME"]


def test_groups_are_the_same_everywhere(world: World) -> None:
    world.do("a", "alice", "GROUP tea alice bob")
    world.do("b", "bob", "GROUP tea bob", "SEND *groups* members tea", "LEAVE tea")
    world.do("a", "alice", "BROADCAST tea hi", "SEND *groups* add tea bob", "SEND *groups* add x y")
    assert world.take("b", "bob") == [
        "*server* ERR GROUP_EXISTS GROUP there is a group tea already",
        "*groups* members tea alice bob",
        "*groups* added tea bob alice",
    ]
    assert world.take("a", "alice") == [
        "*groups* added tea bob alice",
        "*groups* refused NO_SUCH_GROUP add x y",
    ]


def test_a_new_member_has_gone_when_the_answer_is_written() -> None:
    world = World("a")
    world.client("a", "alice")
    world.client("a", "bob")
    world.do("a", "alice", "GROUP tea alice")
    a = world.nodes["a"]
    a.broker.receive("alice", b"CHAT/1.0 SEND *groups* add tea bob\n")
    # The answer waits for its turn, and meanwhile bob leaves.
    for number in range(900):
        a.connect(f"x{number}")
        a.broker.receive(f"x{number}", f"CHAT/1.0 LOGIN x{number}\n".encode())
    a.say()
    a.hear_ledger()
    a.broker.receive("bob", b"CHAT/1.0 LOGOUT\n")
    world.run()
    assert world.take("a", "alice") == ["*groups* added tea bob alice"]


def test_a_cluster_has_its_groups_in_the_ledger_alone() -> None:
    made = GroupMade("tea", "ann", ("ann",))
    with pytest.raises(ValueError, match="they need no other place"):
        ChatBroker(cluster=Cluster("a", token="t"), groups=[made])
    with pytest.raises(ValueError, match="they need no other place"):
        ChatBroker(cluster=Cluster("a", token="t"), note_changes=True)
    with pytest.raises(ValueError, match="they need no other place"):
        ChatBroker(cluster=Cluster("a", token="t"), bans=["bob"])


def test_a_cluster_belongs_to_one_broker() -> None:
    cluster = Cluster("a", token="t")
    ChatBroker(cluster=cluster)
    with pytest.raises(ValueError, match="belongs to one broker"):
        ChatBroker(cluster=cluster)


@pytest.mark.parametrize("name", ["", "a b", "a#b", "a\n"])
def test_names_of_nodes(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a node"):
        Cluster(name, token="t")
    with pytest.raises(ValueError, match="no name of a node"):
        Cluster("a", token=name)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_times_are_positive(seconds: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Cluster("a", token="t", node_timeout=seconds)
    with pytest.raises(ValueError, match="positive"):
        Cluster("a", token="t", patience=seconds)


# Flow control


def test_a_full_queue_holds_senders_on_other_nodes(world: World) -> None:
    b = world.nodes["b"]
    b.slow.add("bob")
    line = "SEND bob " + "x" * 1000
    for _ in range(200):
        world.nodes["a"].broker.receive("alice", f"CHAT/1.0 {line}\n".encode())
        world.run(1)
    assert b.cluster.snapshot().full_told == 1
    assert world.nodes["a"].broker.snapshot().waiting == 1
    # While bob reads, others write to him without waiting for alice.
    b.slow.clear()
    world.tick(times=3)
    assert world.take("b", "bob") == ["alice " + "x" * 1000] * 200
    assert world.nodes["a"].broker.snapshot().waiting == 0


def test_a_queue_that_has_stopped_holds_nobody(world: World) -> None:
    b = world.nodes["b"]
    b.slow.add("bob")
    data = ("CHAT/1.0 SEND bob " + "x" * 1000 + "\n").encode()
    world.nodes["a"].broker.receive("alice", data * 100)
    world.run()
    world.nodes["a"].broker.receive("alice", data)
    assert world.nodes["a"].broker.snapshot().waiting == 1
    world.tick(times=6)
    assert world.nodes["a"].broker.snapshot().waiting == 0
    # Rule 4 stays with the node of the reader.
    world.tick(times=250)
    assert "bob" in b.closed
    world.do("a", "alice", "SEND bob hi")
    assert GONE.format("bob") in world.take("a", "alice")


def test_a_node_that_takes_nothing_holds_senders_to_it(world: World) -> None:
    world.client("a", "cyd")
    world.nodes["b"].cut = True
    data = ("CHAT/1.0 SEND bob " + "x" * 4000 + "\n").encode()
    for _ in range(WINDOW // 4000 + 20):
        world.nodes["a"].broker.receive("alice", data)
    world.run()
    a = world.nodes["a"]
    assert a.cluster.snapshot().full == ("b#t.1",)
    assert a.broker.snapshot().waiting == 1
    assert WINDOW < a.cluster.snapshot().unacknowledged["b#t.1"] < WINDOW + 5000
    # Everybody else goes on.
    world.do("a", "cyd", "SEND cyd hi")
    assert world.take("a", "cyd") == ["cyd hi"]
    world.nodes["b"].cut = False
    world.run()
    world.tick()
    assert a.cluster.snapshot().full == ()
    assert a.broker.snapshot().waiting == 0
    assert len(world.take("b", "bob")) == WINDOW // 4000 + 20


def test_a_broadcast_waits_for_a_full_node_too(world: World) -> None:
    world.client("a", "cyd")
    world.do("a", "alice", "GROUP tea alice bob cyd")
    world.nodes["b"].cut = True
    data = ("CHAT/1.0 BROADCAST tea " + "x" * 4000 + "\n").encode()
    for _ in range(WINDOW // 4000 + 20):
        world.nodes["a"].broker.receive("alice", data)
        world.nodes["a"].settle()
    assert world.nodes["a"].broker.snapshot().waiting == 1
    world.nodes["b"].cut = False
    world.tick(times=3)
    assert len(world.take("a", "cyd")) == len(world.take("b", "bob")) == WINDOW // 4000 + 20


def test_clients_that_wait_for_one_another_are_no_circle_for_ever(world: World) -> None:
    a, b = world.nodes["a"], world.nodes["b"]
    # Both only read when all is written that they have to say.
    a.slow.add("alice")
    b.slow.add("bob")
    for _ in range(20):
        a.broker.receive("alice", ("CHAT/1.0 SEND bob " + "x" * 1000 + "\n").encode() * 10)
        b.broker.receive("bob", ("CHAT/1.0 SEND alice " + "x" * 1000 + "\n").encode() * 10)
        world.run(1)
    assert a.broker.snapshot().waiting == b.broker.snapshot().waiting == 2
    world.tick(times=20)
    assert a.broker.snapshot().waiting == b.broker.snapshot().waiting == 2
    world.tick(times=20)
    assert a.broker.snapshot().waiting == b.broker.snapshot().waiting == 0
    a.slow.clear()
    b.slow.clear()
    world.run()
    assert len(world.take("a", "alice")) == len(world.take("b", "bob")) == 200


# Interruptions


def test_a_lost_acknowledgement_is_made_up_for(world: World) -> None:
    world.do("a", "alice", "SEND bob hi")
    world.now += 0.1
    b = world.nodes["b"]
    b.broker.tick(world.now)
    assert [to for to, _ in b.cluster.take_appends()] == ["a#t.1"]
    b.cluster.set_connected(False)
    b.cluster.set_connected(True)
    world.tick(times=2)
    assert world.nodes["a"].cluster.snapshot().unacknowledged == {"b#t.1": 0}


def test_a_sync_that_was_given_up_ends_no_later_wait(world: World) -> None:
    a = world.nodes["a"]
    a.broker.receive("alice", b"CHAT/1.0 SEND carol hi\n")
    a.cluster.set_connected(True)
    stale = a.cluster.take_appends()
    a.cut = True
    world.tick(1.0, times=6)
    assert world.take("a", "alice") == [f"*server* ERR UNAVAILABLE SEND {UNREACHABLE}"]
    world.nodes["b"].connect("carol")
    world.do("b", "carol", "LOGIN carol")
    # The first entry that comes back makes this node go on.
    a.cut = False
    world.streams.ledger[:] = [*world.streams.ledger[:-1], stale[0][1], world.streams.ledger[-1]]
    position = len(world.streams.ledger) - 1
    while a.read < position:
        a.read += 1
        a.cluster.receive_ledger(world.streams.ledger[a.read - 1], str(a.read))
    assert a.cluster.standing is Standing.UP
    a.broker.receive("alice", b"CHAT/1.0 SEND carol again\n")
    a.cluster.set_connected(True)
    world.run()
    assert world.take("b", "carol") == ["alice again"]
    assert world.take("a", "alice") == []


def test_senders_to_other_nodes_answer_for_what_is_kept_for_them() -> None:
    world = World("a", "b", limits=Limits(total_queue_bytes=1 << 20))
    world.client("a", "alice")
    world.client("b", "bob")
    world.nodes["b"].slow.add("bob")
    a = world.nodes["a"]
    data = ("CHAT/1.0 SEND bob " + "x" * 1000 + "\n").encode() * 100
    a.broker.receive("alice", data)
    world.run()
    a.broker.receive("alice", data * 11)
    # Nobody else on this node can be to blame.
    a.settle()
    assert a.closed == {"alice"}


def test_what_is_appended_twice_is_executed_once(world: World) -> None:
    a = world.nodes["a"]
    for _ in range(3):
        a.cluster.set_connected(False)
        world.do("a", "alice", "SEND bob hi", "GROUP tea alice bob")
        a.cluster.set_connected(True)
        a.say()
        a.cluster.set_connected(True)
    world.run()
    world.tick(1.0)
    assert world.take("b", "bob") == ["alice hi"] * 3
    assert len(world.take("a", "alice")) == 2
    assert a.cluster.snapshot().resent > 0
    assert a.cluster.snapshot().unacknowledged == {"b#t.1": 0}


def test_an_isolated_node_refuses_what_needs_others(world: World) -> None:
    world.client("a", "cyd")
    world.do("a", "alice", "GROUP tea alice bob cyd")
    a = world.nodes["a"]
    a.connect("x")
    a.connect("y")
    a.broker.receive("x", b"CHAT/1.0 LOGIN x\n")
    a.say()
    a.cut = True
    a.cluster.set_connected(False)
    a.broker.receive("y", b"CHAT/1.0 LOGIN y\n")
    a.broker.receive("alice", b"CHAT/1.0 SEND nobody hi\n")
    world.tick(1.0, times=3)
    assert str(a.cluster.standing) == "late"
    assert world.take("a", "alice") == []
    world.tick(1.0, times=3)
    assert str(a.cluster.standing) == "isolated"
    # Nobody knows whether x is logged in. The others were refused.
    assert a.closed == {"x"}
    assert world.take("a", "x") == [
        "*server* ERR UNAVAILABLE - this server was cut off from the others; log in again"
    ]
    assert world.take("a", "y") == [f"*server* ERR UNAVAILABLE LOGIN {UNREACHABLE}"]
    assert world.take("a", "alice") == [f"*server* ERR UNAVAILABLE SEND {UNREACHABLE}"]
    # The local chat goes on.
    world.do("a", "alice", "SEND cyd hi", "SEND bob hi", "BROADCAST tea hi", "SEND nobody hi")
    world.do("a", "alice", "SEND *groups* list", "SEND cyd ho", "LEAVE tea")
    assert world.take("a", "cyd") == ["alice hi", "alice hi", "alice ho"]
    refused = [line.split()[3] for line in world.take("a", "alice")]
    assert refused == ["SEND", "BROADCAST", "SEND", "SEND", "LEAVE"]
    a.cut = False
    a.cluster.set_connected(True)
    world.tick(0.1, times=2)
    assert str(a.cluster.standing) == "up"
    world.do("a", "alice", "SEND bob back", "SEND *groups* list")
    assert world.take("b", "bob") == ["alice back"]
    assert world.take("a", "alice") == ["*groups* list tea"]
    world.do("a", "y", "LOGIN y", "SEND bob y")
    assert world.take("b", "bob") == ["y y"]


def test_a_hook_ends_a_connection_that_is_about_to_be_refused(world: World) -> None:
    def hook(said: Said) -> None:
        if said.event == Send("cyd", b"kick"):
            node.broker.desk.kick("dan", "enough")

    node = world.add("c", hooks={Send: [hook]})
    world.client("c", "cyd")
    world.client("c", "dan")
    node.cut = True
    node.cluster.set_connected(False)
    node.broker.receive("cyd", b"CHAT/1.0 SEND nobody hi\nCHAT/1.0 SEND cyd kick\n")
    node.broker.receive("dan", b"CHAT/1.0 SEND nobody hi\n")
    world.tick(1.0, times=6)
    assert world.take("c", "cyd") == [f"*server* ERR UNAVAILABLE SEND {UNREACHABLE}", "cyd kick"]
    assert node.closed == {"dan"}


def test_senders_that_wait_for_a_node_are_refused_when_it_cannot_be_reached(world: World) -> None:
    a = world.nodes["a"]
    a.cut = True
    a.cluster.set_connected(False)
    data = ("CHAT/1.0 SEND bob " + "x" * 4000 + "\n").encode()
    for _ in range(WINDOW // 4000 + 20):
        a.broker.receive("alice", data)
    assert a.broker.snapshot().waiting == 1
    world.tick(1.0, times=6)
    assert a.broker.snapshot().waiting == 0
    refused = len(world.take("a", "alice"))
    assert 0 < refused <= 20
    # What was accepted arrives.
    a.cut = False
    a.cluster.set_connected(True)
    world.tick(0.1, times=3)
    assert len(world.take("b", "bob")) == WINDOW // 4000 + 20 - refused


def test_a_pause_of_the_process_isolates_nobody(world: World) -> None:
    world.now += 60.0
    for node in world.nodes.values():
        node.broker.tick(world.now)
        assert node.cluster.standing is Standing.UP
    world.tick(1.0, times=3)
    assert world.nodes["a"].cluster.snapshot().nodes == 2


# Nodes that come and go


def test_a_node_that_is_silent_is_down(world: World) -> None:
    world.do("a", "alice", "GROUP tea alice bob")
    dead = world.nodes.pop("b")
    assert dead.cluster.standing is Standing.UP
    world.tick(1.0, times=8)
    assert world.nodes["a"].cluster.snapshot().nodes == 2
    world.tick(1.0, times=4)
    assert world.nodes["a"].cluster.snapshot().nodes == 1
    assert events(world.nodes["a"])[-1] == "node down b#t.1"
    world.do("a", "alice", "SEND bob hi", "SEND *groups* members tea", "LOGIN bob")
    assert world.take("a", "alice") == [GONE.format("bob"), "*groups* members tea alice bob"]


def test_senders_are_told_of_messages_that_a_node_takes_with_it() -> None:
    world = World("a", "b", "c")
    world.client("a", "alice")
    world.client("b", "bob")
    world.client("b", "dave")
    world.client("c", "carol")
    world.nodes["c"].connect("dave2")
    world.do("c", "dave2", "LOGIN dave")
    world.do("a", "alice", "GROUP tea alice bob", "SEND bob arrives")
    world.tick()
    dead = world.nodes.pop("b")
    # All of it is on its way to the same node. Carol gets hers, and so does Dave elsewhere.
    world.do("a", "alice", "SEND bob 1", "SEND carol hi", "SEND dave hi", "BROADCAST tea hi")
    world.tick(1.0, times=8)
    # One more, which has not been appended.
    world.nodes["a"].broker.receive("alice", b"CHAT/1.0 SEND bob 2\n")
    world.nodes["a"].cut = True
    world.nodes["c"].broker.receive("carol", b"CHAT/1.0 SEND alice bye\n")
    assert world.take("a", "alice") == []
    world.nodes["a"].cut = False
    world.tick(1.0, times=4)
    assert world.take("a", "alice") == ["carol bye", GONE.format("bob"), GONE.format("bob")]
    assert world.nodes["a"].cluster.snapshot().returned == 2
    assert world.take("c", "carol") == ["alice hi"]
    assert world.take("c", "dave2") == ["alice hi"]
    assert dead.take("bob") == ["alice arrives"]


def test_nobody_is_taken_for_down_while_the_ledger_is_away(world: World) -> None:
    for node in world.nodes.values():
        node.cut = True
    world.tick(1.0, times=30)
    for node in world.nodes.values():
        node.cut = False
        node.cluster.set_connected(True)
    world.tick(0.1, times=5)
    assert world.nodes["a"].cluster.snapshot().nodes == 2
    world.do("a", "alice", "SEND bob hi")
    assert world.take("b", "bob") == ["alice hi"]


def test_a_node_that_was_taken_for_down_joins_anew(world: World) -> None:
    b = world.nodes["b"]
    b.connect("anonymous")
    world.client("b", "cyd")
    b.cut = True
    world.do("b", "cyd", "LOGOUT")
    world.tick(1.0, times=15)
    b.cut = False
    b.cluster.set_connected(True)
    world.tick(0.1, times=3)
    assert b.cluster.name == "b#t.2"
    assert b.closed == {"bob", "cyd"}
    assert world.take("b", "bob") == [
        "*server* ERR UNAVAILABLE - this server was cut off from the others; log in again"
    ]
    assert "fenced b#t.1" in events(b)
    world.do("b", "anonymous", "LOGIN bob", "SEND alice hi")
    world.do("a", "alice", "SEND bob hi")
    assert world.take("b", "anonymous") == ["alice hi"]
    assert world.take("a", "alice") == ["bob hi"]


def test_mail_to_an_earlier_incarnation_is_not_taken_for_a_later_one(world: World) -> None:
    b = world.nodes["b"]
    b.cut = True
    world.do("a", "alice", "SEND bob first")
    world.tick(1.0, times=15)
    old = world.streams.mail["b#t.1"]
    b.cut = False
    b.cluster.set_connected(True)
    # The adapter had read the mailbox before it gave the node the ledger.
    b.hear_ledger()
    for entry in old:
        b.cluster.receive_mail(entry)
    world.run()
    b.connect("bob2")
    world.do("b", "bob2", "LOGIN bob")
    world.do("a", "alice", "SEND bob hi")
    assert world.take("b", "bob2") == ["alice hi"]


def test_a_server_with_the_node_id_of_another_one_does_not_start(world: World) -> None:
    new = TestNode(world.streams, "b", token="u", limits=Limits(max_groups=7))
    new.broker.tick(world.now)
    world.nodes["new"] = new
    world.tick(times=12)
    assert "node b is running already: give each server" in new.cluster.refusal
    assert new.cluster.standing is Standing.JOINING
    # The first one notices nothing.
    assert not world.nodes["b"].cluster.refusal
    world.do("a", "alice", "SEND bob hi")
    assert world.take("b", "bob") == ["alice hi"]
    assert world.nodes["a"].cluster.snapshot().nodes == 2


@pytest.mark.parametrize("pause", [0.0, 30.0])
def test_a_server_takes_the_place_of_one_that_was_killed(world: World, pause: float) -> None:
    old = world.nodes.pop("b")
    new = TestNode(world.streams, "b", token="u")
    new.broker.tick(world.now)
    world.nodes["new"] = new
    world.tick(times=10)
    # It stands still for a while, and still listens for as long.
    world.now += pause
    assert world.take("a", "alice") == []
    world.tick(times=8)
    assert new.cluster.snapshot().standing is Standing.JOINING
    world.tick(times=4)
    assert new.cluster.standing is Standing.UP
    assert world.nodes["a"].cluster.snapshot().nodes == 2
    world.do("a", "alice", "SEND bob hi")
    assert world.take("a", "alice") == [GONE.format("bob")]
    # If the other one has only stood still, it has to end.
    old.hear()
    assert "another server has joined the chat as node b" in old.cluster.refusal
    old.settle()
    assert old.closed == {"bob"}


def test_a_server_that_loses_redis_while_it_listens_begins_anew(world: World) -> None:
    del world.nodes["b"]
    new = TestNode(world.streams, "b", token="u")
    new.broker.tick(world.now)
    world.nodes["new"] = new
    world.tick(times=15)
    new.cluster.set_connected(False)
    world.tick(times=15)
    new.cluster.set_connected(True)
    world.tick(times=15)
    assert new.cluster.snapshot().standing is Standing.JOINING
    world.tick(times=10)
    assert new.cluster.standing is Standing.UP


def test_a_node_leaves_when_its_mail_is_acknowledged(world: World) -> None:
    b = world.nodes["b"]
    b.broker.receive("bob", b"CHAT/1.0 SEND alice bye\n")
    b.broker.drain()
    b.settle()
    b.cluster.leave()
    for _ in range(3):
        world.tick()
    assert b.cluster.left
    assert world.take("a", "alice") == ["bob bye"]
    assert events(world.nodes["a"])[-1] == "node left b#t.1"


@pytest.mark.parametrize(
    ("policy", "limits", "words"),
    [
        (Policy(), Limits(max_groups=7), "max_groups is 100000 there and 7 here"),
        (Policy.reference(), Limits(), "names is visible there and any here"),
    ],
)
def test_a_node_with_another_configuration_is_refused(
    world: World, policy: Policy, limits: Limits, words: str
) -> None:
    c = world.add("c", policy=policy, limits=limits)
    assert not c.cluster.refusal
    world.tick(1.0, times=2)
    assert words in c.cluster.refusal
    assert c.cluster.standing is Standing.JOINING
    assert world.nodes["a"].cluster.snapshot().nodes == 2


def test_a_node_takes_the_place_of_nodes_that_are_all_silent(world: World) -> None:
    world.do("a", "alice", "GROUP tea alice bob")
    world.nodes.clear()
    c = world.add("c", policy=Policy.reference())
    world.tick(1.0, times=12)
    assert c.cluster.standing is Standing.UP
    assert not c.cluster.refusal
    assert c.cluster.snapshot().nodes == 1
    world.client("c", "bob")
    world.do("c", "bob", "BROADCAST tea x")
    assert world.take("c", "bob") == []


def test_the_configuration_of_a_chat_does_not_change(world: World) -> None:
    broker = world.nodes["a"].broker
    with pytest.raises(ValueError, match="max_groups is 100000 there and 5 here"):
        broker.reconfigure(limits=Limits(max_groups=5))
    with pytest.raises(ValueError, match="services is true there and false here"):
        broker.reconfigure(notices=False)
    broker.reconfigure(limits=Limits(rate=5.0))


# Snapshots, and a ledger that is lost


def test_a_node_joins_from_a_snapshot(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "SNAPSHOT_ENTRIES", 20)
    monkeypatch.setattr(snapshot_module, "SLICE", 8000)
    world.nodes["a"].connect("x")
    for number in range(600):
        world.nodes["a"].connect(f"u{number}")
        world.nodes["a"].broker.receive(f"u{number}", f"CHAT/1.0 LOGIN u{number}\n".encode())
    world.do("a", "alice", "GROUP tea alice bob", "SEND *groups* on")
    # Until all are logged in.
    world.tick(times=3)
    hubs: list[Any] = [node.cluster._hub for node in world.nodes.values()]
    while not any(hub.table.copy_on_write for hub in hubs):
        world.do("a", "alice", "GROUP jam bob")
    # The snapshot is written in slices. What changes meanwhile does not get into it.
    world.do("a", "alice", "LEAVE tea", "SEND *groups* add tea alice", "GROUP pie bob")
    assert any(hub.table.copy_on_write for hub in hubs)
    world.tick(times=3)
    assert world.streams.snapshot is not None
    position, data = world.streams.snapshot
    assert b"tea alice bob" in data
    assert b" pie " not in data
    world.streams.ledger[:position] = [b""] * position
    c = world.add("c")
    assert c.cluster.snapshot().ledger_position == len(world.streams.ledger)
    world.client("c", "cyd")
    world.do("c", "cyd", "SEND u599 hi", "SEND bob hi")
    assert world.take("a", "u599") == ["cyd hi"]
    assert world.take("b", "bob")[-1] == "cyd hi"


@pytest.mark.parametrize(
    ("snapshot", "words"),
    [
        (b"2 0 0 version=2", "has version 2 of the ledger, and this server has 1"),
        (b"", "damaged"),
        (b"\xff", "damaged"),
        (b"1 x 0 version=1", "damaged"),
        (b"1 0 0 version=1\nU 0 1 - - bob", "damaged"),
        (b"1 0 0 version=1\nX", "damaged"),
    ],
)
def test_a_snapshot_that_cannot_be_read(snapshot: bytes, words: str) -> None:
    cluster = Cluster("a", token="t")
    ChatBroker(cluster=cluster)
    with pytest.raises(ClusterError, match=words):
        cluster.load(snapshot)


def test_groups_survive_when_redis_has_lost_everything(world: World) -> None:
    world.nodes["a"].connect("carol", "192.0.2.1")
    world.do("a", "carol", "LOGIN carol", "GROUP jam bob", "GROUP pie bob")
    world.do("a", "alice", "GROUP tea alice bob")
    world.streams.ledger.clear()
    world.streams.mail.clear()
    for node in world.nodes.values():
        groups = node.cluster.lose_ledger()
        if world.streams.snapshot is None:
            world.streams.snapshot = 0, groups
        node.mail_read.clear()
        node.load()
    world.run()
    assert world.nodes["a"].closed == {"alice", "carol"}
    assert "ledger lost a#t.1" in events(world.nodes["a"])
    world.nodes["b"].connect("bob2")
    world.do("b", "bob2", "LOGIN bob", "SEND *groups* list")
    assert world.take("b", "bob2") == ["*groups* list jam pie tea"]


def test_an_entry_that_redis_refuses_comes_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "SNAPSHOT_ENTRIES", 1)
    b = world.nodes["b"]
    b.broker.receive("bob", b"CHAT/1.0 GROUP tea bob\n")
    # Redis has no memory for this entry, but for the next one.
    b.cluster.take_appends()
    before = world.streams.snapshot
    last = str(len(world.streams.ledger))
    b.connect("carol")
    b.broker.receive("carol", b"CHAT/1.0 LOGIN carol\n")
    b.say()
    for node in world.nodes.values():
        node.hear()
        assert node.cluster.doubts == {last}
    assert world.streams.snapshot == before
    world.do("a", "alice", "SEND carol hi")
    assert world.take("a", "alice") == [GONE.format("carol")]
    # The error has ended the connection of that node. With another one, it appends both.
    for node in world.nodes.values():
        node.cluster.doubts.clear()
    b.cluster.set_connected(True)
    world.run()
    world.do("a", "alice", "SEND carol hi", "GROUP tea alice")
    assert world.take("b", "carol") == ["alice hi"]
    assert "GROUP_EXISTS" in world.take("a", "alice")[0]
    assert [node.cluster.doubts for node in world.nodes.values()] == [set(), set()]
    world.tick(1.0, times=3)
    assert world.streams.snapshot != before


def test_a_node_that_has_missed_something_begins_anew(world: World) -> None:
    a = world.nodes["a"]
    world.nodes["b"].broker.receive("bob", b"CHAT/1.0 GROUP tea bob\n")
    world.nodes["b"].say()
    # Redis has cut the ledger off behind what this node has read.
    a.read += 1
    world.tick(1.0)
    assert a.cluster.doubts == {"4"}
    a.cluster.lose_ledger()
    a.load()
    world.run()
    assert not a.cluster.doubts
    world.client("a", "ann")
    world.do("a", "ann", "GROUP tea ann")
    assert "GROUP_EXISTS" in world.take("a", "ann")[0]


def test_a_node_that_begins_anew_forgets_what_it_has_said_of_others() -> None:
    world = World("a", "b")
    a = world.nodes["a"]
    del world.nodes["b"]
    world.tick(1.0, times=9)
    entry = b""
    # Redis loses the entry that says so.
    while b"D b#t.1" not in entry:
        a.cluster.receive_ledger(entry, "")
        world.now += 1.0
        a.broker.tick(world.now)
        [(_, entry)] = a.cluster.take_appends()
    # It does not say so again and again.
    world.now += 1.0
    a.broker.tick(world.now)
    assert b"D " not in a.cluster.take_appends()[0][1]
    a.cluster.lose_ledger()
    a.load()
    world.run()
    assert a.cluster.snapshot().nodes == 2
    world.tick(1.0, times=12)
    assert a.cluster.snapshot().nodes == 1


def test_a_node_leaves_although_redis_has_lost_what_it_said(world: World) -> None:
    b = world.nodes["b"]
    b.cluster.leave()
    b.broker.tick(world.now)
    assert b.cluster.take_appends()
    for node in world.nodes.values():
        node.cluster.lose_ledger()
        node.load()
    world.run()
    assert not b.cluster.left
    world.tick()
    assert b.cluster.left


def test_a_node_that_is_refused_is_taken_when_redis_has_lost_everything(world: World) -> None:
    world.nodes.clear()
    c = world.add("c", policy=Policy.reference())
    world.streams.ledger.clear()
    world.streams.snapshot = 0, c.cluster.lose_ledger()
    c.load()
    world.run()
    world.tick(1.0, times=2)
    assert c.cluster.standing is Standing.UP
    assert not c.cluster.refusal


def test_nodes_that_are_not_in_the_chat_make_no_snapshot(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "SNAPSHOT_ENTRIES", 1)
    c = world.add("c", limits=Limits(max_groups=7))
    assert c.cluster.take_snapshot() is None
    world.nodes["b"].cluster.leave()
    world.tick()
    world.tick()
    assert world.nodes["b"].cluster.left


@pytest.mark.parametrize(
    "entry",
    [b"", b"\xff", b"a#t.1", b"a#t.1 x", b"{} \nI x - bob", b"{} \nZ 1 bob", b"{} \nI 9 - *"],
)
def test_entries_that_are_none_change_nothing(world: World, entry: bytes) -> None:
    if entry.startswith(b"{}"):
        entry = b"x#t 1\nJ " + world.streams.ledger[0].split(b"J ")[1]
        world.streams.ledger.append(entry)
        entry = b"x#t 2\n" + b"I x - bob"
    world.streams.ledger.append(entry)
    world.streams.mail["a#t.1"].append(entry)
    world.run()
    counters = world.nodes["a"].cluster.snapshot()
    assert counters.garbled == 2
    world.do("a", "alice", "SEND bob hi")
    assert world.take("b", "bob") == ["alice hi"]


def test_mail_of_unknown_nodes_and_for_unknown_messages_is_ignored(world: World) -> None:
    world.streams.mail["a#t.1"] += [
        b"x#t.1 1 0 4\n17 4\nabc\n",
        b"b#t.1 1 0 4\nB 7 0 1\nF 99\nF 1\nF 1\nS 1\nR 1\n",
    ]
    world.run()
    world.do("a", "alice", "SEND bob hi")
    assert world.take("b", "bob") == ["alice hi"]
    assert world.nodes["a"].cluster.snapshot().mails_received == 1


def test_a_sender_is_told_of_what_was_not_even_appended_when_a_node_is_down(world: World) -> None:
    a = world.nodes["a"]
    a.broker.receive("alice", b"CHAT/1.0 SEND bob hi\n")
    world.streams.ledger.append(b"x#t.1 1\nD b#t.1")
    a.hear_ledger()
    a.settle()
    assert world.take("a", "alice") == [GONE.format("bob")]


def test_a_connection_that_ends_loses_its_name_to_another_one() -> None:
    world = World("a", "b", policy=Policy(duplicate_login=DuplicateLogin.REPLACE))
    world.client("a", "bob")
    world.nodes["b"].connect("x")
    world.nodes["b"].broker.receive("x", b"CHAT/1.0 LOGIN bob\n")
    world.nodes["b"].say()
    world.nodes["a"].broker.disconnect("bob")
    world.client("a", "alice")
    world.do("a", "alice", "SEND bob hi")
    assert world.take("b", "x") == ["alice hi"]
    assert world.nodes["a"].broker.snapshot().closes == {CloseReason.LOST: 1}


def test_events_say_whether_people_should_look(world: World) -> None:
    world.nodes.pop("b")
    world.tick(1.0, times=12)
    seen = {str(event): event.is_warning for event in world.nodes["a"].cluster.take_events()}
    assert seen == {
        "standing a#t.1: up": False,
        "node joined b#t.1": False,
        "node down b#t.1": True,
    }


def test_commands_of_nodes_that_are_not_in_the_chat_are_ignored(world: World) -> None:
    world.streams.ledger.append(b"x#t 1\nI 1 - carol\nB alice \nA tea carol")
    world.run()
    world.do("a", "alice", "SEND carol hi")
    assert world.take("a", "alice") == [GONE.format("carol")]


def test_what_operators_command_twice_is_done_once(world: World) -> None:
    world.do("a", "alice", "GROUP tea alice")
    for node in ("a", "b", "a"):
        for line in ("A tea bob", "R tea carol", "A jam bob", "R jam bob", "B carol ", "U dan"):
            world.nodes[node].cluster.command(line)
    world.nodes["b"].cluster.command("U carol")
    world.run()
    world.do("b", "bob", "SEND *groups* members tea")
    assert world.take("b", "bob") == ["*groups* members tea alice bob"]
    world.nodes["a"].connect("carol")
    world.do("a", "carol", "LOGIN carol")
    assert world.take("a", "carol") == []


def test_bans_are_those_of_the_ledger(world: World) -> None:
    a, b = world.nodes["a"], world.nodes["b"]
    a.broker.desk.ban("carol")
    world.run()
    b.cut = True
    a.broker.desk.unban("carol")
    a.broker.desk.ban("dan")
    world.run()
    b.cut = False
    b.cluster.lose_ledger()
    b.load()
    world.run()
    assert b.broker.desk.bans() == ["dan"]


def test_a_snapshot_has_the_bans_that_are_in_the_ledger(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "SNAPSHOT_ENTRIES", 1)
    world.nodes["a"].broker.desk.ban("dan")
    world.tick(1.0, times=3)
    b = world.nodes["b"]
    world.now += 1.0
    b.broker.tick(world.now)
    b.say()
    # Its entry is not in the ledger yet, and may never be, if this node is killed.
    b.broker.desk.ban("carol")
    b.broker.desk.unban("dan")
    b.hear()
    position = b.read
    b.broker.tick(world.now + 0.1)
    b.hear()
    assert world.streams.snapshot is not None
    assert world.streams.snapshot[0] == position
    c = world.add("c")
    assert c.broker.desk.bans() == ["carol"]
    assert world.nodes["a"].broker.desk.bans() == ["carol"]
    snapshot = world.streams.snapshot[1].decode().split("\n")
    assert [line for line in snapshot if line.startswith("B ")] == ["B dan"]


def test_who_has_left_gets_no_broadcast_and_no_last_words(world: World) -> None:
    world.do("a", "alice", "GROUP tea alice bob")
    world.nodes["b"].broker.disconnect("bob")
    a = world.nodes["a"]
    a.broker.receive("alice", b"CHAT/1.0 BROADCAST tea hi\n")
    a.broker.desk.kick("bob")
    world.run()
    assert world.take("b", "bob") == world.take("a", "alice") == []


def test_a_node_that_is_down_holds_no_queue(world: World) -> None:
    world.nodes["a"].slow.add("alice")
    world.nodes["b"].broker.receive("bob", b"CHAT/1.0 SEND alice " + b"x" * 4000 + b"\n")
    for _ in range(20):
        world.do("b", "bob", "SEND alice " + "x" * 4000)
    assert world.nodes["a"].broker.snapshot().waiting == 1
    del world.nodes["b"]
    world.streams.ledger.append(b"c#t 1\nD b#t.1")
    world.nodes["a"].cluster.command("D b#t.1")
    world.run()
    assert world.nodes["a"].broker.snapshot().waiting == 0


def test_local_queues_stay_full_when_other_nodes_cannot_be_reached(world: World) -> None:
    world.client("a", "cyd")
    a = world.nodes["a"]
    a.slow.add("alice")
    a.settle()
    for _ in range(20):
        a.broker.receive("cyd", b"CHAT/1.0 SEND alice " + b"x" * 4000 + b"\n")
    a.settle()
    assert a.broker.snapshot().waiting == 1
    a.cut = True
    for _ in range(7):
        # Its own window is not over.
        world.now += 1.0
        a.cluster.tick(world.now)
    assert a.cluster.standing is Standing.ISOLATED
    assert a.broker.snapshot().waiting == 1


def test_limits_of_one_node_only_are_its_own_affair() -> None:
    limits = Limits()
    world = World("a", "b", limits=limits)
    world.nodes["a"].broker.reconfigure(limits=replace(limits, max_connections=10))
    world.add("c", limits=replace(limits, rate=100.0, queue_age=5.0))
    assert world.nodes["c"].cluster.standing is Standing.UP


def test_what_operators_do_while_a_node_is_cut_off_is_not_lost() -> None:
    world = World("a", "b")
    world.client("a", "alice")
    world.do("a", "alice", "GROUP tea alice")
    node = world.nodes["b"]
    node.cluster.set_connected(False)
    node.cut = True
    node.broker.desk.ban("eve")
    node.broker.desk.add_member("tea", "bob")
    world.tick(1.0, 12)
    node.cut = False
    node.hear()
    node.cluster.set_connected(True)
    world.tick(1.0, 2)
    for each in world.nodes.values():
        assert each.cluster.standing == "up"
        assert each.broker.desk.bans() == ["eve"]
        assert [group.members for group in each.broker.desk.groups()] == [("alice", "bob")]


def test_a_node_that_joins_kicks_nobody_elsewhere() -> None:
    """The others would not take its mail yet, nor any that follows."""
    world = World("a")
    world.client("a", "alice")
    world.nodes["b"] = node = TestNode(world.streams, "b")
    assert node.broker.desk.kick("alice") == 0
    world.run()
    assert node.broker.desk.kick("alice") == 1
    world.run()
    assert world.nodes["a"].closed == {"alice"}
