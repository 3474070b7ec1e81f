"""Labels and answers from `*groups*`, as far as the broker has a part in them (section 5)."""

import pytest

from chatproto import (
    Adding,
    Answer,
    ChatBroker,
    CloseReason,
    GroupEnded,
    GroupMade,
    Limits,
    MemberAdded,
    MemberLeft,
    Policy,
)
from chatproto.server.dispatcher import SLICE
from chatproto.server.notices import answer_lines
from chatproto.server.work import TURN

from .brokers import NARROW, TIGHT, broker_of, close_reason, fill, flush, received, send


def labelled_broker(*, fast_path: bool = True, limits: Limits = Limits()) -> ChatBroker[int]:
    """alice, bob and carol are in tea; bob has asked for labels."""
    broker: ChatBroker[int] = ChatBroker(limits=limits, fast_path=fast_path)
    for cid, name in enumerate(("alice", "bob", "carol"), 1):
        broker.connect(cid, name)
        send(broker, cid, f"LOGIN {name}")
    send(broker, 1, "GROUP tea alice bob carol")
    send(broker, 2, "SEND *groups* on")
    assert received(broker, 2) == ["*groups* on"]
    flush(broker)
    return broker


@pytest.mark.parametrize("fast_path", [True, False])
@pytest.mark.parametrize("number", [1, 3])
def test_each_recipient_gets_what_it_asked_for(fast_path: bool, number: int) -> None:
    broker = labelled_broker(fast_path=fast_path)
    broker.receive(1, b"CHAT/1.0 BROADCAST tea  hot \n" * number)
    assert received(broker, 2) == ["*groups* in tea alice  hot "] * number
    assert received(broker, 3) == ["alice  hot "] * number
    send(broker, 1, "SEND bob hi")
    assert received(broker, 2) == ["alice hi"]
    assert broker.snapshot().deliveries == 2 * number + 1


@pytest.mark.parametrize("fast_path", [True, False])
def test_a_group_without_the_one_who_asked_is_as_before(fast_path: bool) -> None:
    broker = labelled_broker(fast_path=fast_path)
    send(broker, 1, "GROUP go carol", "BROADCAST go hot")
    assert received(broker, 3) == ["alice hot"]


@pytest.mark.parametrize("fast_path", [True, False])
def test_a_label_that_does_not_fit_is_left_out(fast_path: bool) -> None:
    broker = labelled_broker(fast_path=fast_path)
    most = 4096 - len("CHAT/1.0 RECEIVE *groups* in tea alice \n")
    for size in most, most + 1:
        broker.receive(1, b"CHAT/1.0 BROADCAST tea %b\n" % (b"x" * size) * 2)
    labelled = "*groups* in tea alice " + "x" * most
    plain = "alice " + "x" * (most + 1)
    assert received(broker, 2) == [labelled, labelled, plain, plain]
    assert received(broker, 1) == []


@pytest.mark.parametrize("fast_path", [True, False])
def test_a_sender_waits_for_one_who_has_asked_too(fast_path: bool) -> None:
    broker = labelled_broker(fast_path=fast_path, limits=NARROW)
    broker.receive(1, (b"CHAT/1.0 BROADCAST tea " + b"x" * 200 + b"\n") * 9)
    texts: dict[int, list[str]] = {2: [], 3: []}
    assert not broker.next_step(1).read
    while any(broker.next_step(cid).write for cid in texts):
        for cid, lines in texts.items():
            lines += received(broker, cid)
        broker.take_ready()
    assert texts == {2: ["*groups* in tea alice " + "x" * 200] * 9, 3: ["alice " + "x" * 200] * 9}
    assert broker.next_step(1).read


def test_one_who_takes_nothing_is_closed_for_its_own_longer_lines() -> None:
    broker = labelled_broker(limits=TIGHT)
    broker.tick(0.0)
    send(broker, 1, f"BROADCAST tea {'x' * 200}")
    # Long enough for nobody to wait for these two any more.
    broker.tick(2.0)
    send(broker, 1, f"BROADCAST tea {'x' * 260}")
    assert close_reason(broker, 2) is CloseReason.FULL_QUEUE
    assert received(broker, 3) == ["alice " + "x" * 200, "alice " + "x" * 260]


def test_a_long_list_goes_on_in_further_lines() -> None:
    names = tuple(f"name-{number}" for number in range(100))
    lines = answer_lines(Answer(1, "members tea", names), 512)
    assert len(lines) == 2
    assert all(len(line) <= 512 and line.endswith(b"\n") for line in lines)
    beginning = "CHAT/1.0 RECEIVE *groups* members tea "
    found = [line.decode().removeprefix(beginning).split() for line in lines]
    assert [name for part in found for name in part] == [*names]


@pytest.mark.parametrize("size", [1, 20])
def test_a_line_of_an_answer_is_as_long_as_it_may_be(size: int) -> None:
    names = ("x" * size,) * 300
    first, *_ = answer_lines(Answer(1, "list", names), 512)
    assert 512 - size - 1 <= len(first) <= 512


def test_an_answer_that_no_queue_can_hold_is_refused() -> None:
    broker = broker_of("alice", limits=Limits(max_line=512, queue_bytes=1024))
    broker.receive(1, b"CHAT/1.0 GROUP tea %b\n" % b" ".join(b"name-%d" % n for n in range(40)))
    send(broker, 1, "SEND *groups* members tea")
    assert len(received(broker, 1)) == 1
    for number in range(40):
        send(broker, 1, f"SEND *groups* add tea {'x' * 20}-{number}")
        assert received(broker, 1) == [f"*groups* added tea {'x' * 20}-{number} alice"]
    send(broker, 1, "SEND *groups* members tea")
    assert received(broker, 1) == ["*groups* refused TOO_MANY members tea"]


def test_one_who_asks_too_much_waits_for_its_own_queue() -> None:
    broker = broker_of("alice", limits=NARROW)
    send(broker, 1, "GROUP tea " + " ".join(f"name-{n}" for n in range(40)))
    broker.receive(1, b"CHAT/1.0 SEND *groups* members tea\n" * 20)
    assert not broker.next_step(1).read
    answers = []
    while broker.next_step(1).write:
        answers += received(broker, 1)
        broker.take_ready()
    assert len(answers) == 20
    assert len(set(answers)) == 1
    assert broker.next_step(1).read


def test_long_lists_count_as_work() -> None:
    broker = broker_of("alice", "bob")
    for number in range(1000):
        send(broker, 1, f"GROUP g{number} zoe")
    broker.receive(1, b"CHAT/1.0 SEND *groups* list\n" * (SLICE // 30))
    assert broker.busy
    # Each looks at 1000 groups, sixteen of which are one unit of work.
    assert len(received(broker, 1)) == TURN * 16 // 1000


def adding_broker() -> ChatBroker[int]:
    """alice has asked to add carol to her group tea, and waits for the queue of carol."""
    broker: ChatBroker[int] = ChatBroker(limits=NARROW, note_changes=True)
    for cid, name in enumerate(("alice", "bob", "carol"), 1):
        broker.connect(cid, name)
        send(broker, cid, f"LOGIN {name}")
    send(broker, 1, "GROUP tea bob")
    fill(broker, 2, "bob", "carol", 1100)
    send(broker, 1, "SEND *groups* add tea carol")
    assert received(broker, 1) == ["*groups* added tea carol alice"]
    assert not broker.next_step(1).read
    return broker


def test_the_log_tells_of_each_new_member_once() -> None:
    broker = adding_broker()
    flush(broker)
    assert received(broker, 1) == []
    assert broker.next_step(1).read
    send(broker, 1, "SEND *groups* add tea carol", "SEND *groups* add nothing carol")
    lines = [str(each) for each in broker.take_log_events()]
    assert [each for each in lines if "carol to" in each] == [
        "member added carol to tea by alice (alice)"
    ]


MADE = [GroupMade("tea", "alice", ("bob",)), MemberAdded("tea", "carol")]


def test_one_who_leaves_while_that_it_was_added_waits_is_not_added_again() -> None:
    broker = adding_broker()
    send(broker, 3, "LEAVE tea")
    flush(broker)
    assert received(broker, 1) == received(broker, 3) == []
    assert broker.next_step(1).read
    assert broker.take_group_changes() == [*MADE, MemberLeft("tea", "carol")]


def test_a_request_that_was_executed_is_not_refused_later() -> None:
    """Neither because its group has ended, nor because another policy holds now."""
    for ended in False, True:
        broker = adding_broker()
        if ended:
            send(broker, 3, "LEAVE tea")
            send(broker, 2, "LEAVE tea")
        broker.reconfigure(policy=Policy(adding=Adding.NOBODY))
        assert len(received(broker, 3)) == 11
        broker.take_ready()
        assert received(broker, 3) == ["*groups* added tea carol alice"] * (not ended)
        assert received(broker, 1) == []
        changes = [MemberLeft("tea", "carol"), GroupEnded("tea")] * ended
        assert broker.take_group_changes() == [*MADE, *changes]
        assert broker.next_step(1).read


def test_a_request_is_answered_once_even_if_its_own_queue_is_full_meanwhile() -> None:
    broker = adding_broker()
    fill(broker, 2, "bob", "alice", 1100)
    received(broker, 3)
    broker.take_ready()
    assert received(broker, 3) == ["*groups* added tea carol alice"]
    assert len(received(broker, 1)) == 11
    broker.take_ready()
    assert (received(broker, 1), received(broker, 3)) == ([], [])
    assert broker.next_step(1).read


@pytest.mark.parametrize("policy", [Policy.reference(), Policy(services=False)])
def test_nobody_waits_for_an_answer_that_never_comes(policy: Policy) -> None:
    broker = broker_of("alice", policy=policy, limits=NARROW)
    fill(broker, 1, "alice", "alice", 1100)
    send(broker, 1, "SEND *groups* on", "SEND *x* on")
    assert broker.next_step(1).read


def test_the_log_says_for_whose_new_member_a_group_has_ended() -> None:
    broker = broker_of("alice", "bob", limits=Limits(max_memberships=2))
    send(broker, 2, "GROUP old bob", "LOGOUT")
    send(broker, 1, "GROUP tea alice", "SEND *groups* add tea carol")
    [expired] = [each for each in broker.take_log_events() if each.kind == "group expired"]
    assert (expired.peer, expired.name, expired.group) == ("peer-1", "alice", "old")
