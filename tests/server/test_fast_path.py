"""chatproto.server.fast_path: which messages go the short way, and what comes out of it."""

from unittest.mock import patch

import pytest

from chatproto import ChatBroker, DuplicateLogin, Limits, Policy
from chatproto.server.dispatcher import ROUND, SLICE, Exchange
from chatproto.server.fast_path import FEW
from chatproto.server.peers import TURN

from .brokers import NARROW, broker_of, fill, login, say

LIMITS = Limits(max_line=512)
LONG_NAME = "somebody-with-a-long-name"


def line(command: str, data: bytes) -> bytes:
    return b"CHAT/1.0 %b %b\n" % (command.encode(), data)


def send(*data: bytes, to: str = "bob") -> bytes:
    return b"".join(line(f"SEND {to}", each) for each in data)


def receive(*data: bytes, sender: str = "alice") -> bytes:
    return b"".join(line(f"RECEIVE {sender}", each) for each in data)


@pytest.fixture
def broker() -> ChatBroker[int]:
    """Alice is 1 and bob is 2; both are members of g."""
    broker = broker_of("alice", "bob", LONG_NAME, limits=LIMITS)
    say(broker, 2, "GROUP g alice bob")
    broker.take_records()
    return broker


def is_short(broker: ChatBroker[int], data: bytes, cid: int = 1) -> bool:
    """Have somebody say something, and see whether all of it goes the short way."""
    with patch.object(Exchange, "obey", autospec=True, side_effect=Exchange.obey) as obey:
        broker.receive(cid, data)
    return not obey.called


@pytest.mark.parametrize(
    "data", [b"", b" ", b"hi there ", b"CHAT/1.0 SEND bob x", b"\0\xff", b"x" * 480]
)
def test_a_message_by_itself(broker: ChatBroker[int], data: bytes) -> None:
    assert is_short(broker, send(data))
    assert broker.outgoing(2) == receive(data)
    assert is_short(broker, line("BROADCAST g", data), cid=2)
    assert broker.outgoing(1) == receive(data, sender="bob")


def test_many_alike(broker: ChatBroker[int]) -> None:
    data = [b"", b" ", b"hi there ", b"CHAT/1.0 SEND bob x", b"\0\xff", b"x" * 480]
    assert is_short(broker, send(*data))
    assert broker.outgoing(2) == receive(*data)
    # They are one object in the queue, so nobody has taken them apart.
    assert len(broker._by_id[2].outbox) == 1


def test_many_different_ones(broker: ChatBroker[int]) -> None:
    assert is_short(broker, send(b"1") + line("BROADCAST g", b"2") + send(b"3", b"4"))
    assert broker.outgoing(2) == receive(b"1", b"2", b"3", b"4")
    counters = broker.snapshot()
    assert (counters.messages, counters.deliveries) == (4, 4)


def test_more_than_a_slice(broker: ChatBroker[int]) -> None:
    data = [b"%d" % number for number in range(SLICE // 10)]
    assert is_short(broker, send(*data))
    assert broker.outgoing(2) == receive(*data)


def test_the_rest_of_a_line_closes_the_short_way_for_itself_only(broker: ChatBroker[int]) -> None:
    lines = send(b"1", b"2", b"3")
    broker.receive(1, lines[:5])
    with patch.object(Exchange, "obey", autospec=True, side_effect=Exchange.obey) as obey:
        broker.receive(1, lines[5:-2])
        assert broker.outgoing(2) == receive(b"1", b"2")
        # The one that had begun, and the one that has begun now.
        assert [len(call.args[2]) for call in obey.mock_calls] == [1, 0]
        broker.receive(1, lines[-2:])
    assert broker.outgoing(2) == receive(b"1", b"2", b"3")


def test_names_keep_their_octets() -> None:
    broker = broker_of("дима", "bücher")
    assert is_short(broker, send(b"1", b"2", to="bücher"))
    assert broker.outgoing(2) == receive(b"1", b"2", sender="дима")


def test_a_new_name_is_used_at_once(broker: ChatBroker[int]) -> None:
    say(broker, 1, "LOGIN carol")
    assert is_short(broker, send(b"hi"))
    assert broker.outgoing(2) == receive(b"hi", sender="carol")


@pytest.mark.parametrize(
    "others",
    [
        b"\n",
        b"CHAT/1.0 LOGOUT\n",
        b"CHAT/1.0 SEND bob\n",
        b"CHAT/1.0 SEND bob ",
        b"CHAT/1.0 SEND  hi there\n",
        b"CHAT/1.0 SEND \xff hi\n",
        b"CHAT/1.0 SEND b\tb hi\n",
        b"CHAT/1.0 send bob hi\n",
        b"CHAT/1.1 SEND bob hi\n",
        b" CHAT/1.0 SEND bob hi\n",
        b"CHAT/1.0  SEND bob hi\n",
        b"CHAT/1.0 RECEIVE bob hi\n",
        b"CHAT/1.0 GROUP g a b\n",
        b"CHAT/1.0 LEAVE g a \n",
        b"CHAT/1.0 SEND bob hi\r\n",
        b"CHAT/1.0 SEND bob h\ri\n",
        b"CHAT/1.0 SEND carol hi\n",
        b"CHAT/1.0 SEND *s hi\n",
        b"CHAT/1.0 BROADCAST h hi\n",
        b"CHAT/1.0 BROADCAST *s hi\n",
    ],
)
def test_anything_else_goes_the_long_way(others: bytes) -> None:
    for before in (b"", send(b"1"), send(b"1", b"2"), send(b"1") + line("BROADCAST g", b"2")):
        assert not is_short(broker_of("alice", "bob"), before + others)


def test_nobody_goes_it_before_their_login() -> None:
    broker = broker_of("alice", "bob")
    broker.connect(3, "carol")
    assert not is_short(broker, send(b"hi"), cid=3)


def test_nobody_goes_it_whose_lines_are_counted() -> None:
    assert not is_short(broker_of("alice", "bob", limits=Limits(rate=1000.0)), send(b"hi"))


def test_a_bad_line_closes_it_until_there_is_a_good_one(broker: ChatBroker[int]) -> None:
    assert not is_short(broker, b"bad\n")
    assert not is_short(broker, send(b"good"))
    assert is_short(broker, send(b"good"))


# "CHAT/1.0 RECEIVE alice " has 5 octets more than "CHAT/1.0 SEND bob ", and 11 fewer than the
# longer name's.


@pytest.mark.parametrize("others", [(), (b"1",), (b"1",) * 100])
def test_no_line_outgrows_its_bound(broker: ChatBroker[int], others: tuple[bytes, ...]) -> None:
    fits = 512 - len(receive(b""))
    data = [*others, b"x" * fits]
    assert is_short(broker, send(*data))
    assert broker.outgoing(2) == receive(*data)
    assert not is_short(broker, send(*others, b"x" * (fits + 1)))


@pytest.mark.parametrize("others", [(), (b"1",), (b"1",) * 100])
def test_no_line_that_shrinks_is_longer_than_allowed(
    broker: ChatBroker[int], others: tuple[bytes, ...]
) -> None:
    fits = 512 - len(send(b"", to=LONG_NAME))
    data = [*others, b"x" * fits]
    assert is_short(broker, send(*data, to=LONG_NAME))
    assert broker.outgoing(3) == receive(*data)
    assert not is_short(broker, send(*others, b"x" * (fits + 1), to=LONG_NAME))


def test_who_waits_says_nothing_out_of_turn() -> None:
    broker = broker_of("alice", "bob", "carol", limits=NARROW)
    fill(broker, 1, "alice", "bob", 1200)
    assert not broker.reading(1)
    broker.receive(1, send(b"later", to="carol"))
    assert broker.outgoing(3) == b""


def test_who_is_closed_says_nothing() -> None:
    broker = broker_of("alice", "bob", policy=Policy(duplicate_login=DuplicateLogin.REPLACE))
    login(broker, 3, "alice")
    broker.receive_all([(1, send(b"1")), (3, send(b"2"))])
    assert broker.outgoing(2) == receive(b"2")


def test_what_all_queues_have_no_room_for() -> None:
    limits = Limits(max_line=512, high_water=600, queue_bytes=2000, total_queue_bytes=2000)
    broker = broker_of("alice", "bob", "carol", "dave", limits=limits)
    for to in ("alice", "bob", "carol"):
        assert is_short(broker, send(b"x" * 450, to=to))
    assert broker.snapshot().queued < 2000
    assert not is_short(broker, send(b"x" * 450, to="dave") * 2)


def test_a_name_of_many_connections_is_work() -> None:
    """However short the way is, it is no way around turns and rounds."""
    broker = broker_of("alice", *["many"] * (FEW + 1))
    assert is_short(broker, send(b"hi", to="many"))
    assert all(broker.outgoing(cid) == receive(b"hi") for cid in range(2, FEW + 3))
    broker.receive_all([(1, send(b"hi", to="many"))] * ROUND)
    assert broker.busy


@pytest.mark.parametrize("online", [True, False])
def test_lines_to_many_end_a_turn(online: bool) -> None:
    members = [f"user{number}" for number in range(200)]
    broker = broker_of("alice", *members) if online else broker_of("alice", "user0")
    for group in "gh":
        say(broker, 1, f"GROUP {group} alice " + " ".join(members))
    broker.receive(1, (line("BROADCAST g", b"x") + line("BROADCAST h", b"x")) * 50)
    assert broker.busy
    assert broker._links.work < TURN + 2 * len(members) + 10


def test_news_of_many_are_acted_on_in_order(broker: ChatBroker[int]) -> None:
    """Also when some have to go the long way."""
    news = [(1, send(b"1")), (3, b"CHAT/1.0 LOGIN carol\n" + send(b"2")), (1, send(b"3"))]
    broker.receive_all(news)
    heard = receive(b"1") + receive(b"2", sender="carol") + receive(b"3")
    assert broker.outgoing(2) == heard
    assert broker.snapshot().octets_in >= sum(len(data) for _, data in news)


def test_news_of_nobody(broker: ChatBroker[int]) -> None:
    with pytest.raises(KeyError):
        broker.receive_all([(1, send(b"1")), (9, send(b"2"))])
    assert broker.outgoing(2) == receive(b"1")
