"""chatproto.server.broker: messages, notices, and what the adapter learns.

How connections and the whole server end is in `test_broker_endings.py` and `test_broker_drain.py`.
"""

import gc
import weakref
from typing import Any

import pytest

from chatproto import (
    Broadcasting,
    ChatBroker,
    CloseReason,
    ErrorCode,
    Limits,
    Policy,
)

from .brokers import broker_of, log, login, received, send, wants_close

# Messages and notices


def test_a_message_is_queued_for_its_recipient() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "SEND bob  hi ")
    assert bytes(broker.next_step(2).write) == b"CHAT/1.0 RECEIVE alice  hi \n"
    assert broker.take_ready() == [2]
    assert bytes(broker.next_step(1).write) == b""


def test_a_line_may_come_in_pieces() -> None:
    broker = broker_of("alice", "bob")
    for byte in b"CHAT/1.0 SEND bob hi\r\n":
        assert received(broker, 2) == []
        broker.receive(1, bytes([byte]))
    assert received(broker, 2) == ["alice hi"]


def test_a_notice_has_the_code_and_the_command() -> None:
    broker = broker_of("alice")
    send(broker, 1, "SEND bob hi", "SEND bob", "LOGIN a b", "STAR x", "LEAVE g")
    assert received(broker, 1) == [
        "*server* ERR NO_SUCH_USER SEND bob is not online",
        "*server* ERR MALFORMED SEND a name and data belong here, after one space each",
        "*server* ERR MALFORMED LOGIN this takes one name",
        "*server* ERR UNSUPPORTED_COMMAND - there is no such command; commands are upper case",
        "*server* ERR NO_SUCH_GROUP LEAVE there is no group g",
    ]


def test_success_causes_no_notice() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "GROUP g alice bob", "BROADCAST g hi", "LEAVE g", "LOGIN ali")
    assert received(broker, 1) == []
    assert received(broker, 2) == ["alice hi"]


def test_without_notices_refusals_are_counted_and_nothing_is_written() -> None:
    broker: ChatBroker[int] = ChatBroker(notices=False, limits=Limits(bad_lines=3))
    login(broker, 1, "alice")
    send(broker, 1, "SEND bob hi", "junk", "junk", "junk")
    assert bytes(broker.next_step(1).write) == b""
    assert wants_close(broker, 1)
    assert broker.snapshot().refusals == {"NO_SUCH_USER": 1, "UNSUPPORTED_COMMAND": 3}


def test_notices_have_a_bounded_rate() -> None:
    broker = broker_of("alice")
    broker.tick(1000.0)
    send(broker, 1, *["SEND bob hi"] * 60)
    assert len(received(broker, 1)) == 50
    send(broker, 1, "SEND bob hi")
    assert received(broker, 1) == []
    broker.tick(1001.0)
    send(broker, 1, *["SEND bob hi"] * 60)
    assert len(received(broker, 1)) == 20
    assert broker.snapshot().refusals == {"NO_SUCH_USER": 121}


def test_each_connection_has_its_own_rate_of_notices() -> None:
    broker = broker_of("alice", "bob", limits=Limits(notice_burst=1))
    send(broker, 1, "SEND x hi", "SEND x hi")
    send(broker, 2, "SEND x hi", "SEND x hi")
    assert (len(received(broker, 1)), len(received(broker, 2))) == (1, 1)


def test_messages_do_not_count_as_notices() -> None:
    broker = broker_of("alice", "bob", limits=Limits(notice_burst=1))
    send(broker, 1, "SEND x 1", "SEND x 2")
    send(broker, 2, *["SEND alice hi"] * 5)
    assert received(broker, 1)[1:] == ["bob hi"] * 5


def test_a_message_too_long_for_its_recipient_is_refused() -> None:
    """`RECEIVE alice` is longer than `SEND bob`; the reference server writes it anyway."""
    broker = broker_of("alice", "bob")
    data = "x" * (4096 - len("CHAT/1.0 RECEIVE alice \n"))
    send(broker, 1, f"SEND bob {data}", f"SEND bob {data}x")
    assert received(broker, 2) == [f"alice {data}"]
    assert received(broker, 1) == [
        "*server* ERR LINE_TOO_LONG SEND the line would be too long for its recipients"
    ]
    assert broker.snapshot().refusals == {"LINE_TOO_LONG": 1}
    assert broker.snapshot().messages == 1


def test_a_broadcast_too_long_for_its_recipients_reaches_nobody() -> None:
    long = "z" * 64
    broker = broker_of(long, "bob", "carol")
    send(broker, 1, "GROUP g bob carol", "BROADCAST g " + "x" * 4060)
    assert "ERR LINE_TOO_LONG BROADCAST " in received(broker, 1)[0]
    assert (received(broker, 2), received(broker, 3)) == ([], [])


def test_the_rest_of_a_line_that_is_too_long_is_not_executed() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "SEND bob ".ljust(4096, "x") + "CHAT/1.0 SEND bob forged", "SEND bob hi")
    assert received(broker, 2) == ["alice hi"]
    assert received(broker, 1) == ["*server* ERR LINE_TOO_LONG SEND the line is too long"]


def test_messages_to_the_server_get_no_answer() -> None:
    broker = broker_of("alice")
    send(broker, 1, "SEND *server* what?", "BROADCAST *server* what?")
    assert received(broker, 1) == []


def test_the_hub_gets_the_policy() -> None:
    anyone = Policy(broadcasting=Broadcasting.ANYONE)
    for policy, expected in ((Policy(), []), (anyone, ["carol hi"])):
        broker = broker_of("alice", "bob", "carol", policy=policy)
        send(broker, 1, "GROUP g bob")
        send(broker, 3, "BROADCAST g hi")
        assert received(broker, 2) == expected


# What the adapter learns


def test_sent_counts_no_more_than_was_queued() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "SEND bob hi")
    with pytest.raises(ValueError, match="-1 bytes"):
        broker.sent(2, -1)
    queued = len(broker.next_step(2).write)
    broker.sent(2, queued + 5)
    assert broker.snapshot().bytes_sent == queued


def test_a_connection_is_ready_once_until_its_queue_is_written() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "SEND bob 1", "SEND bob 2")
    assert broker.take_ready() == [2]
    send(broker, 1, "SEND bob 3")
    assert broker.take_ready() == []
    assert received(broker, 2) == ["alice 1", "alice 2", "alice 3"]
    send(broker, 1, "SEND bob 4")
    assert broker.take_ready() == [2]


def test_connections_are_ready_in_the_order_of_their_first_message() -> None:
    broker = broker_of("alice", "bob", "carol", "dave")
    send(broker, 1, "SEND dave 1", "SEND bob 1", "SEND carol 1", "SEND dave 2")
    assert broker.take_ready() == [4, 2, 3]


def test_a_partial_write_leaves_the_rest_in_the_queue() -> None:
    broker = broker_of("alice", "bob")
    send(broker, 1, "SEND bob hello")
    broker.sent(2, 10)
    send(broker, 1, "SEND bob again")
    assert bytes(broker.next_step(2).write) == b"ECEIVE alice hello\nCHAT/1.0 RECEIVE alice again\n"


def test_an_id_is_connected_once() -> None:
    broker = broker_of("alice")
    with pytest.raises(ValueError, match="connected already"):
        broker.connect(1, "peer-1")
    send(broker, 1, "SEND alice still here")
    assert received(broker, 1) == ["alice still here"]
    assert broker.snapshot().accepted == 1


def test_an_unknown_id_raises_key_error() -> None:
    broker: ChatBroker[int] = ChatBroker()
    for use in (broker.next_step, broker.half_closed, broker.receive_eof):
        with pytest.raises(KeyError):
            use(7)
    with pytest.raises(KeyError):
        broker.receive(7, b"")
    with pytest.raises(KeyError):
        broker.sent(7, 0)


def test_the_log_of_the_published_session() -> None:
    broker: ChatBroker[int] = ChatBroker()
    for cid, name in enumerate(("zhangsan", "lisi", "wangwu", "zhaoliu"), 1):
        login(broker, cid, name)
    send(broker, 1, "SEND lisi hello", "GROUP g1 zhangsan lisi wangwu", "BROADCAST g1 all")
    send(broker, 3, "LEAVE g1", "LEAVE g1", "GROUP g1 x")
    assert received(broker, 2) == ["zhangsan hello", "zhangsan all"]
    for cid in (1, 2, 3, 4):
        send(broker, cid, "LOGOUT")
        broker.disconnect(cid)
    assert log(broker) == [
        "accepted from peer-1",
        "logged in zhangsan (peer-1)",
        "accepted from peer-2",
        "logged in lisi (peer-2)",
        "accepted from peer-3",
        "logged in wangwu (peer-3)",
        "accepted from peer-4",
        "logged in zhaoliu (peer-4)",
        "group made g1 by zhangsan (peer-1)",
        "left g1: wangwu (peer-3)",
        "logged out zhangsan (peer-1)",
        "closed zhangsan (peer-1): logged out",
        "logged out lisi (peer-2)",
        "closed lisi (peer-2): logged out",
        "logged out wangwu (peer-3)",
        "closed wangwu (peer-3): logged out",
        "logged out zhaoliu (peer-4)",
        "closed zhaoliu (peer-4): logged out",
    ]
    assert log(broker) == []


def test_the_counters() -> None:
    broker = broker_of("alice", "bob")
    before = broker.snapshot()
    assert (before.connections, before.accepted, before.logins, before.users) == (2, 2, 2, 2)
    send(broker, 1, "GROUP g alice bob", "BROADCAST g hi", "SEND nobody hi")
    after = broker.snapshot()
    sent = "GROUP g alice bob", "BROADCAST g hi", "SEND nobody hi"
    assert after.bytes_received - before.bytes_received == sum(
        len(f"CHAT/1.0 {each}\n") for each in sent
    )
    assert (after.groups, after.messages, after.deliveries) == (1, 1, 1)
    assert after.refusals == {ErrorCode.NO_SUCH_USER: 1}
    assert after.queued == len(broker.next_step(1).write) + len(broker.next_step(2).write)
    assert after.bytes_sent == 0
    broker.sent(2, 5)
    assert broker.snapshot().bytes_sent == 5
    assert broker.snapshot().queued == after.queued - 5
    send(broker, 2, "LOGOUT")
    broker.disconnect(2)
    end = broker.snapshot()
    assert (end.connections, end.accepted, end.users) == (1, 2, 1)
    assert end.closes == {CloseReason.LOGGED_OUT: 1}


def test_a_snapshot_does_not_change_afterwards() -> None:
    broker = broker_of("alice")
    before = broker.snapshot()
    send(broker, 1, "SEND bob hi")
    broker.disconnect(1)
    assert (before.refusals, before.closes) == ({}, {})


def test_a_log_event_has_fields_for_programs() -> None:
    broker = broker_of("alice")
    send(broker, 1, "GROUP g alice")
    assert [event.as_dict() for event in broker.take_log_events()] == [
        {
            "event": "group made",
            "peer": "peer-1",
            "name": "alice",
            "connection": 1,
            "group": "g",
        }
    ]


class Id:
    """A connection's id, to which there can be weak references."""


def test_the_broker_keeps_nothing_of_connections_that_are_gone() -> None:
    broker: ChatBroker[Id] = ChatBroker()
    ends = [b"CHAT/1.0 LOGOUT\n", b"junk\n" * 100, b"", b"CHAT/1.0 SEND alice hi\n"]
    references: list[weakref.ref[Id]] = []
    cid = Id()
    for end in ends:
        cid = Id()
        references.append(weakref.ref(cid))
        broker.connect(cid, "peer")
        broker.receive(cid, b"CHAT/1.0 LOGIN alice\n" + end)
        broker.receive_eof(cid)
        broker.disconnect(cid)
    del cid
    gc.collect()
    assert [ref() for ref in references] == [None] * len(ends)
    assert (broker.connections, broker.take_ready()) == (0, [])


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_data_may_be_in_any_buffer(kind: type[Any]) -> None:
    """It is copied, because buffers change while a connection waits."""
    broker: ChatBroker[str] = ChatBroker()
    broker.tick(0.0)
    broker.connect("a", "peer")
    buffer = bytearray(b"CHAT/1.0 LOGIN a\nCHAT/1.0 SEND a hi\nCHAT/1.0 SE")
    broker.receive("a", kind(buffer))
    buffer[:] = bytes(len(buffer))
    broker.receive("a", kind(b"ND a ho\n"))
    assert broker.next_step("a").write == b"CHAT/1.0 RECEIVE a hi\nCHAT/1.0 RECEIVE a ho\n"
