"""chatproto.server.fast_path: which messages go the fast path, and what their recipients get."""

from unittest.mock import patch

import pytest

from chatproto import ChatBroker, DuplicateLogin, Limits, Policy
from chatproto.server.dispatcher import SLICE, Dispatcher
from chatproto.server.work import FEW, ROUND, TURN

from .brokers import NARROW, broker_of, fill, login, send

LIMITS = Limits(max_line=512)
LONG_NAME = "somebody-with-a-long-name"


def line(command: str, data: bytes) -> bytes:
    return b"CHAT/1.0 %b %b\n" % (command.encode(), data)


def sends(*data: bytes, to: str = "bob") -> bytes:
    """SEND lines, one for each data."""
    return b"".join(line(f"SEND {to}", each) for each in data)


def receives(*data: bytes, sender: str = "alice") -> bytes:
    """RECEIVE lines, one for each data."""
    return b"".join(line(f"RECEIVE {sender}", each) for each in data)


@pytest.fixture
def broker() -> ChatBroker[int]:
    """A broker with alice as 1 and bob as 2, who are members of g."""
    broker = broker_of("alice", "bob", LONG_NAME, limits=LIMITS)
    send(broker, 2, "GROUP g alice bob")
    broker.take_log_events()
    return broker


def executed(broker: ChatBroker[int], data: bytes, cid: int = 1) -> int:
    """Let the broker receive data.

    Returns:
        How many events went the general path.
    """
    with patch.object(
        Dispatcher, "_execute", autospec=True, side_effect=Dispatcher._execute
    ) as execute:
        broker.receive(cid, data)
    return len(execute.mock_calls)


def is_fast(broker: ChatBroker[int], data: bytes, cid: int = 1) -> bool:
    """Whether all of the data goes the fast path."""
    return executed(broker, data, cid) == 0


@pytest.mark.parametrize(
    "data", [b"", b" ", b"hi there ", b"CHAT/1.0 SEND bob x", b"\0\xff", b"x" * 470]
)
def test_a_message_by_itself(broker: ChatBroker[int], data: bytes) -> None:
    assert is_fast(broker, sends(data))
    assert broker.next_step(2).write == receives(data)
    assert is_fast(broker, line("BROADCAST g", data), cid=2)
    assert broker.next_step(1).write == receives(data, sender="bob")


def test_a_run_of_messages_to_one_name(broker: ChatBroker[int]) -> None:
    data = [b"", b" ", b"hi there ", b"CHAT/1.0 SEND bob x", b"\0\xff", b"x" * 470]
    assert is_fast(broker, sends(*data))
    assert broker.next_step(2).write == receives(*data)
    # They are one object in the queue.
    assert len(broker._by_id[2].queue) == 1


def test_messages_to_several_names(broker: ChatBroker[int]) -> None:
    assert is_fast(broker, sends(b"1") + line("BROADCAST g", b"2") + sends(b"3", b"4"))
    assert broker.next_step(2).write == receives(b"1", b"2", b"3", b"4")
    counters = broker.snapshot()
    assert (counters.messages, counters.deliveries) == (4, 4)


@pytest.mark.parametrize("fast_path", [True, False])
@pytest.mark.parametrize(
    "chunks",
    [
        [b"SEND alice 1", b"SEND bob 2", b"SEND alice 3"],
        [b"SEND alice 1\nCHAT/1.0 SEND alice 2\nCHAT/1.0 SEND bob 3"],
        [b"SEND alice 1\nCHAT/1.0 SEND bob 2\nCHAT/1.0 SEND alice 3"],
        [b"SEND alice 1", b"BROADCAST g 2", b"SEND alice 3"],
    ],
)
def test_what_one_sends_to_oneself_is_a_delivery_only(fast_path: bool, chunks: list[bytes]) -> None:
    broker: ChatBroker[int] = ChatBroker(fast_path=fast_path)
    for cid, name in ((1, b"alice"), (2, b"bob"), (3, b"alice")):
        broker.connect(cid, "")
        broker.receive(cid, b"CHAT/1.0 LOGIN %b\n" % name)
    broker.receive(2, b"CHAT/1.0 GROUP g alice bob\n")
    broker.receive_all([(1, b"CHAT/1.0 %b\n" % chunk) for chunk in chunks])
    counters = broker.snapshot()
    # Each of the two connections of that name gets it.
    others = 2 if b"BROADCAST" in b"".join(chunks) else 1
    assert (counters.messages, counters.deliveries) == (1, 4 + others)


def test_messages_longer_than_a_slice(broker: ChatBroker[int]) -> None:
    data = [b"%d" % number for number in range(SLICE // 10)]
    assert is_fast(broker, sends(*data))
    assert broker.next_step(2).write == receives(*data)


def test_only_a_line_that_comes_in_pieces_goes_the_general_path(broker: ChatBroker[int]) -> None:
    lines = sends(b"1", b"2", b"3")
    assert executed(broker, lines[:5]) == 0
    # The line that the first piece had begun.
    assert executed(broker, lines[5:-2]) == 1
    assert broker.next_step(2).write == receives(b"1", b"2")
    assert executed(broker, lines[-2:]) == 1
    assert is_fast(broker, lines)
    assert broker.next_step(2).write == receives(b"1", b"2", b"3") * 2


def test_the_fast_path_can_be_switched_off() -> None:
    broker: ChatBroker[int] = ChatBroker(fast_path=False)
    login(broker, 1, "alice")
    login(broker, 2, "bob")
    assert executed(broker, sends(b"1", b"2")) == 2
    assert broker.next_step(2).write == receives(b"1", b"2")


def test_names_need_not_be_ascii() -> None:
    broker = broker_of("дима", "bücher")
    assert is_fast(broker, sends(b"1", b"2", to="bücher"))
    assert broker.next_step(2).write == receives(b"1", b"2", sender="дима")


def test_a_new_name_is_used_at_once(broker: ChatBroker[int]) -> None:
    send(broker, 1, "LOGIN carol")
    assert is_fast(broker, sends(b"hi"))
    assert broker.next_step(2).write == receives(b"hi", sender="carol")


@pytest.mark.parametrize(
    "others",
    [
        b"\n",
        b"CHAT/1.0 LOGOUT\n",
        b"CHAT/1.0 SEND bob\n",
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
def test_anything_else_goes_the_general_path(others: bytes) -> None:
    for before in (
        b"",
        sends(b"1"),
        sends(b"1", b"2"),
        sends(b"1") + line("BROADCAST g", b"2"),
    ):
        assert not is_fast(broker_of("alice", "bob"), before + others)


def test_no_message_goes_the_fast_path_before_login() -> None:
    broker = broker_of("alice", "bob")
    broker.connect(3, "carol")
    assert not is_fast(broker, sends(b"hi"), cid=3)


def test_no_message_goes_the_fast_path_where_lines_have_a_rate() -> None:
    assert not is_fast(broker_of("alice", "bob", limits=Limits(rate=1000.0)), sends(b"hi"))


def test_the_message_after_a_bad_line_goes_the_general_path(broker: ChatBroker[int]) -> None:
    assert not is_fast(broker, b"bad\n")
    assert not is_fast(broker, sends(b"good"))
    assert is_fast(broker, sends(b"good"))


# "CHAT/1.0 RECEIVE alice " is 5 bytes longer than "CHAT/1.0 SEND bob ", and shorter than the same
# with the long name. The general path measures lines that may be too long.


@pytest.mark.parametrize("to", ["bob", LONG_NAME])
@pytest.mark.parametrize("others", [(), (b"1",), (b"1",) * 100])
def test_a_line_that_is_too_long_goes_the_general_path(
    broker: ChatBroker[int], to: str, others: tuple[bytes, ...]
) -> None:
    fits = 512 - max(len(receives(b"")), len(sends(b"", to=to)))
    data = [*others, b"x" * fits]
    broker.receive(1, sends(*data, to=to))
    cid = 2 if to == "bob" else 3
    assert broker.next_step(cid).write == receives(*data)
    assert not is_fast(broker, sends(*others, b"x" * (fits + 1), to=to))
    assert broker.snapshot().refusals == {"LINE_TOO_LONG": 1}


@pytest.mark.parametrize("others", [(), (b"1",), (b"1",) * 100])
def test_lines_that_are_nearly_too_long_go_the_fast_path(
    broker: ChatBroker[int], others: tuple[bytes, ...]
) -> None:
    assert is_fast(broker, sends(*others, b"x" * (512 - 40)))


def test_no_message_of_a_waiting_sender_goes_the_fast_path() -> None:
    broker = broker_of("alice", "bob", "carol", limits=NARROW)
    fill(broker, 1, "alice", "bob", 1200)
    assert not broker.next_step(1).read
    broker.receive(1, sends(b"later", to="carol"))
    assert broker.next_step(3).write == b""


def test_no_message_of_a_closed_connection_goes_the_fast_path() -> None:
    broker = broker_of("alice", "bob", policy=Policy(duplicate_login=DuplicateLogin.REPLACE))
    login(broker, 3, "alice")
    broker.receive_all([(1, sends(b"1")), (3, sends(b"2"))])
    assert broker.next_step(2).write == receives(b"2")


def test_messages_that_exceed_the_bound_of_all_go_the_general_path() -> None:
    limits = Limits(max_line=512, high_water=600, queue_bytes=2000, total_queue_bytes=2000)
    broker = broker_of("alice", "bob", "carol", "dave", limits=limits)
    for to in ("alice", "bob", "carol"):
        assert is_fast(broker, sends(b"x" * 450, to=to))
    assert broker.snapshot().queued < 2000
    assert not is_fast(broker, sends(b"x" * 450, to="dave") * 2)


def test_a_send_to_many_connections_is_work() -> None:
    """Turns and rounds hold on the fast path too."""
    broker = broker_of("alice", *["many"] * (FEW + 1), limits=Limits(max_connections_per_name=100))
    assert is_fast(broker, sends(b"hi", to="many"))
    assert all(broker.next_step(cid).write == receives(b"hi") for cid in range(2, FEW + 3))
    broker.receive_all([(1, sends(b"hi", to="many"))] * ROUND)
    assert broker.busy


@pytest.mark.parametrize("online", [True, False])
def test_broadcasts_to_many_members_end_a_turn(online: bool) -> None:
    members = [f"user{number}" for number in range(200)]
    broker = broker_of("alice", *members) if online else broker_of("alice", "user0")
    for group in "gh":
        send(broker, 1, f"GROUP {group} alice " + " ".join(members))
    broker.receive(1, (line("BROADCAST g", b"x") + line("BROADCAST h", b"x")) * 50)
    assert broker.busy
    assert broker._dispatcher.work.turn < TURN + 2 * len(members) + 10


def test_receive_all_executes_in_order_on_both_paths(broker: ChatBroker[int]) -> None:
    data = [
        (1, sends(b"1")),
        (3, b"CHAT/1.0 LOGIN carol\n" + sends(b"2")),
        (1, sends(b"3")),
    ]
    broker.receive_all(data)
    expected = receives(b"1") + receives(b"2", sender="carol") + receives(b"3")
    assert broker.next_step(2).write == expected
    assert broker.snapshot().bytes_received >= sum(len(chunk) for _, chunk in data)


def test_receive_all_executes_what_comes_before_an_unknown_id(broker: ChatBroker[int]) -> None:
    with pytest.raises(KeyError):
        broker.receive_all([(1, sends(b"1")), (9, sends(b"2"))])
    assert broker.next_step(2).write == receives(b"1")
