"""What those who run a server can see and do, alone and in a cluster."""

import pytest

from chatproto import (
    ChatBroker,
    CloseReason,
    ConnectionInfo,
    GroupInfo,
    Limits,
    LocalProtocolError,
    UserInfo,
)

from ..cluster.world import World
from .brokers import NARROW, broker_of, fill, login, received, send

BANNED = "*server* ERR REFUSED - you are banned from this server"


def lines(broker: ChatBroker[int]) -> list[str]:
    return [str(event) for event in broker.take_log_events()]


def reason_of(broker: ChatBroker[int], cid: int) -> CloseReason | None:
    return broker._by_id[cid].close_reason


def test_what_there_is() -> None:
    broker = broker_of("bob", "alice", "bob", limits=NARROW)
    broker.connect(9, "peer-9")
    send(broker, 2, "GROUP tea bob carol", "GROUP jam alice", "LOGOUT")
    fill(broker, 1, "bob", "bob", 1100)
    assert broker.desk.users() == [UserInfo("bob", (1, 3), ())]
    assert broker.desk.groups() == [
        GroupInfo("jam", "alice", ("alice",)),
        GroupInfo("tea", "alice", ("bob", "carol")),
    ]
    assert broker.desk.connections() == [
        ConnectionInfo(1, "peer-1", "bob", 1100, is_waiting=False, is_closing=False),
        ConnectionInfo(2, "peer-2", "alice", 0, is_waiting=False, is_closing=True),
        ConnectionInfo(3, "peer-3", "bob", 1100, is_waiting=False, is_closing=False),
        ConnectionInfo(4, "peer-9", None, 0, is_waiting=False, is_closing=False),
    ]


def test_tell() -> None:
    broker = broker_of("alice", "bob", "bob", "#tea")
    send(broker, 1, "GROUP tea bob carol", "GROUP jam bob", "GROUP #tea bob")
    assert broker.desk.tell("bob", b"hi") == 2
    assert broker.desk.tell("#jam", b"all", "*ops*") == 2
    # A user's name comes first, should it begin with #.
    assert broker.desk.tell("#tea", b"you") == 1
    assert broker.desk.tell("nobody", b"hi") == 0
    assert received(broker, 2) == ["*server* hi", "*ops* all"]
    assert received(broker, 4) == ["*server* you"]
    assert lines(broker)[-2:] == [
        "operator: told #tea, connections: 1",
        "operator: told nobody, connections: 0",
    ]
    with pytest.raises(LookupError, match="there is no group pie"):
        broker.desk.tell("#pie", b"hi")
    with pytest.raises(ValueError, match="no reserved name"):
        broker.desk.tell("bob", b"hi", "bob")
    with pytest.raises(ValueError, match="too long"):
        broker.desk.tell("bob", b"x" * 5000)
    with pytest.raises(LocalProtocolError):
        broker.desk.tell("bob", b"a\nb")


def test_members() -> None:
    broker = broker_of("alice", "bob", limits=Limits(max_members=2))
    send(broker, 1, "GROUP tea alice")
    broker.take_log_events()
    broker.desk.add_member("tea", "bob")
    broker.desk.add_member("tea", "bob")
    send(broker, 1, "BROADCAST tea hi")
    assert received(broker, 2) == ["alice hi"]
    with pytest.raises(ValueError, match="at most 2 members"):
        broker.desk.add_member("tea", "carol")
    broker.desk.remove_member("tea", "bob")
    with pytest.raises(LookupError, match="bob is not in tea"):
        broker.desk.remove_member("tea", "bob")
    broker.desk.remove_member("tea", "alice")
    assert broker.desk.groups() == []
    with pytest.raises(LookupError, match="there is no group tea"):
        broker.desk.add_member("tea", "bob")
    with pytest.raises(ValueError, match="reserved"):
        broker.desk.add_member("tea", "*mod*")
    with pytest.raises(LocalProtocolError):
        broker.desk.add_member("tea", "a b")
    assert lines(broker) == [
        "operator: added bob to tea",
        "operator: removed bob from tea",
        "operator: removed alice from tea",
    ]


def test_groups_give_way_to_members_from_the_desk() -> None:
    broker = broker_of("alice", "bob", limits=Limits(max_memberships=3))
    send(broker, 1, "GROUP tea alice")
    send(broker, 2, "GROUP jam bob carol", "LOGOUT")
    broker.take_log_events()
    broker.desk.add_member("tea", "dan")
    assert lines(broker) == [
        "operator: group expired jam: nobody in it is online",
        "operator: added dan to tea",
    ]


def test_a_banned_name_can_not_log_in() -> None:
    broker = broker_of("alice", "bob")
    assert broker.desk.ban("bob") == 1
    assert received(broker, 2) == [BANNED]
    assert reason_of(broker, 2) is CloseReason.BANNED
    send(broker, 1, "LOGIN bob")
    assert received(broker, 1) == [
        "*server* ERR REFUSED LOGIN that name is banned from this server"
    ]
    # A connection that is being closed is not counted.
    assert broker.desk.ban("bob") == 0
    assert broker.desk.bans() == ["bob"]
    assert broker.desk.unban("bob")
    assert not broker.desk.unban("bob")
    send(broker, 1, "LOGIN bob")
    assert received(broker, 1) == []
    assert "operator: banned the name bob" in lines(broker)
    broker.desk.used_by("a\nb").note("asked for a reload")
    assert lines(broker) == [r"operator a\nb: asked for a reload"]


@pytest.mark.parametrize(
    ("ban", "addresses", "ended"),
    [
        ("192.0.2.0/24", ["192.0.2.7", "192.0.3.7", "127.0.0.1", "", "2001:db8::1"], 1),
        ("192.0.2.7", ["192.0.2.7", "192.0.2.8"], 1),
        ("2001:db8::2", ["2001:db8::2", "2001:db8::1", "192.0.2.7"], 1),
        ("::ffff:192.0.2.7", ["192.0.2.7", "::ffff:192.0.2.7", "192.0.2.8", "2001:db8::1"], 2),
        ("127.0.0.1", ["127.0.0.1", "", "192.0.2.7"], 1),
        ("0.0.0.0/0", ["127.0.0.1", "192.0.2.7", "::1", ""], 2),
    ],
)
def test_a_banned_network(ban: str, addresses: list[str], ended: int) -> None:
    broker: ChatBroker[int] = ChatBroker()
    for cid, address in enumerate(addresses, 1):
        broker.connect(cid, f"peer-{cid}", address=address)
    assert broker.desk.ban(ban, "go away") == ended
    assert received(broker, 1) == ["*server* ERR REFUSED - go away"]
    # What ends those that are there keeps others out.
    broker.connect(100, "peer", address=addresses[0])
    assert received(broker, 100) == [BANNED]
    broker.connect(101, "peer", address=addresses[0], proxied=True)
    assert received(broker, 101) == []
    broker.identify(101, "other", addresses[0])
    assert received(broker, 101) == [BANNED]


def test_a_ban_ends_those_who_come_through_a_balancer() -> None:
    broker: ChatBroker[int] = ChatBroker()
    for cid, address in ((1, "192.0.2.7"), (2, "192.0.2.8")):
        broker.connect(cid, "balancer", address="127.0.0.1", proxied=True)
        broker.identify(cid, f"peer-{cid}", address)
    assert broker.desk.ban("127.0.0.1") == 0
    assert broker.desk.ban("192.0.2.7") == 1
    assert received(broker, 1) == [BANNED]


def test_bans_from_the_start() -> None:
    broker: ChatBroker[int] = ChatBroker(bans=["bob", "192.0.2.0/24"])
    login(broker, 1, "bob")
    assert broker.snapshot().users == 0
    assert broker.desk.bans() == ["bob", "192.0.2.0/24"]
    with pytest.raises(ValueError, match="is no name, address or network"):
        ChatBroker(bans=["a b"])


def test_texts_that_no_line_can_hold() -> None:
    desk = broker_of("bob").desk
    with pytest.raises(LocalProtocolError):
        desk.ban("bob", "a\nb")
    with pytest.raises(LocalProtocolError):
        desk.kick("bob", "a\nb")
    with pytest.raises(LocalProtocolError, match="surrogates"):
        desk.kick("bob", "\ud800")
    with pytest.raises(ValueError, match="is no name"):
        desk.ban("a b")
    with pytest.raises(ValueError, match="is no name"):
        desk.unban("a b")


# In a cluster


def test_the_desk_of_one_node_reaches_all() -> None:
    world = World("a", "b")
    world.client("a", "alice")
    world.client("b", "bob")
    world.client("b", "carol")
    desk = world.nodes["a"].broker.desk
    world.do("b", "bob", "GROUP tea bob")
    desk.add_member("tea", "alice")
    world.run()
    assert desk.users() == [
        UserInfo("alice", (1,), ()),
        UserInfo("bob", (), ("b",)),
        UserInfo("carol", (), ("b",)),
    ]
    assert desk.tell("#tea", b"hi") == 2
    world.run()
    assert world.take("b", "bob") == ["*server* hi"]
    desk.remove_member("tea", "alice")
    desk.ban("carol", "go away")
    desk.ban("198.51.100.0/24")
    world.run()
    assert world.nodes["b"].broker.desk.groups() == [GroupInfo("tea", "bob", ("bob",))]
    assert world.take("b", "carol") == ["*server* ERR REFUSED - go away"]
    desk.unban("198.51.100.0/24")
    desk.add_member("tea", "dan")
    world.do("b", "bob", "LEAVE tea")
    desk.remove_member("tea", "dan")
    desk.tell("bob", b"ok")
    world.run()
    assert [node.broker.desk.bans() for node in world.nodes.values()] == [["carol"]] * 2
    assert world.add("c").broker.desk.bans() == ["carol"]
    assert world.nodes["b"].broker.desk.groups() == []


def test_the_desk_of_an_isolated_node_tells_its_own_users() -> None:
    world = World("a", "b")
    world.client("a", "alice")
    world.client("b", "bob")
    world.nodes["a"].cut = True
    world.tick(1.0, times=6)
    assert world.nodes["a"].broker.desk.tell("bob", b"hi") == 0
    assert world.nodes["a"].broker.desk.tell("alice", b"hi") == 1
    world.run()
    assert world.take("a", "alice") == ["*server* hi"]


def test_bans_survive_a_lost_ledger_and_come_with_a_snapshot() -> None:
    world = World("a")
    world.nodes["a"].broker.desk.ban("carol")
    world.run()
    world.streams.ledger.clear()
    world.streams.snapshot = 0, world.nodes["a"].cluster.lose_ledger()
    world.nodes["a"].load()
    assert world.add("b").broker.desk.bans() == ["carol"]


def test_changes_of_bans_are_noted() -> None:
    broker: ChatBroker[int] = ChatBroker(bans=["bob"], note_changes=True)
    broker.desk.ban("192.0.2.7")
    broker.desk.unban("bob")
    assert broker.take_ban_changes() == {"192.0.2.7": True, "bob": False}
    assert broker.take_ban_changes() == {}
