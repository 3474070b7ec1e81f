"""The hub and the broker in this process: what a message costs with few users, and with many.

    .venv/bin/python benchmarks/broker.py

The same ten users chat among ten users, and among a hundred thousand. The cost has to be the same.
Then one of them sends a hundred lines in three ways: one line in a chunk as in a conversation, all
in one chunk to two users in turns, and all in one chunk to one user, which the broker rewrites at
once. And one of a group of fifty sends broadcasts, if nobody, one, half of them or all want to know
which group a message is from.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Final

from _table import Row, show
from _timing import in_turns, rates

from chatproto import Broadcast, ChatBroker, ChatHub, Group, Login, Send

ACTIVE: Final = 10
"""Users that chat."""
FEW: Final = ACTIVE
MANY: Final = 100_000
ROUNDS: Final = 1000
"""Messages or logins in one run."""
RUN: Final = 100
"""Lines in one chunk."""
TEXT: Final = b"this is the text of one message."
GROUP: Final = 50
"""Members of a group."""
LEAST: Final = 0.8
"""The lower bound for the rate among many users, as a part of that among few."""
LABELLED: Final = 0.5
"""The lower bound for the rate of broadcasts if one member wants labels, as a part of that if none
does."""


def name_of(number: int) -> str:
    """The name of a user."""
    return f"u{number}"


def active(users: int) -> list[int]:
    """The users that chat, spread over all of them."""
    return list(range(0, users, users // ACTIVE))[:ACTIVE]


def new_hub(users: int) -> ChatHub[int]:
    """A hub with so many users, and a group of those that chat."""
    hub: ChatHub[int] = ChatHub()
    for number in range(users):
        hub.connect(number)
        hub.handle(number, Login(name_of(number)))
    hub.handle(0, Group("g", map(name_of, active(users))))
    return hub


def new_broker(users: int) -> ChatBroker[int]:
    """A broker with so many users, and a group of those that chat."""
    broker: ChatBroker[int] = ChatBroker()
    broker.tick(0.0)
    for number in range(users):
        broker.connect(number, "somewhere")
        broker.receive(number, f"CHAT/1.0 LOGIN {name_of(number)}\n".encode())
    members = " ".join(map(name_of, active(users)))
    broker.receive(0, f"CHAT/1.0 GROUP g {members}\n".encode())
    assert wake_up(broker) == 0
    broker.take_log_events()
    return broker


def wake_up(broker: ChatBroker[int]) -> int:
    """Do what an adapter does for each wake-up, with sockets that take all.

    Returns:
        The lines written.
    """
    broker.tick(0.0)
    lines = 0
    for cid, data in broker.take_outgoing():
        lines += data.count(b"\n")
        broker.sent(cid, len(data))
    return lines


def hub_sends(hub: ChatHub[int], who: Sequence[int]) -> None:
    """Each of some users sends messages to the next one."""
    events = [
        (cid, Send(name_of(to), TEXT)) for cid, to in zip(who, [*who[1:], who[0]], strict=True)
    ]
    for _ in range(ROUNDS // len(who)):
        for cid, event in events:
            assert hub.handle(cid, event)


def hub_broadcasts(hub: ChatHub[int], who: Sequence[int]) -> None:
    """Each of them sends broadcasts to all."""
    event = Broadcast("g", TEXT)
    for _ in range(ROUNDS // len(who)):
        for cid in who:
            assert hub.handle(cid, event)


def hub_logins(hub: ChatHub[int], fresh: "count[int]") -> None:
    """New users log in and disconnect."""
    for _ in range(ROUNDS):
        cid = next(fresh)
        hub.connect(cid)
        hub.handle(cid, Login(name_of(cid)))
        hub.disconnect(cid)


def sends(broker: ChatBroker[int], who: Sequence[int]) -> None:
    """Each of some users sends messages to the next one, with one wake-up for each line."""
    lines = [
        (cid, b"CHAT/1.0 SEND %b %b\n" % (name_of(to).encode(), TEXT))
        for cid, to in zip(who, [*who[1:], who[0]], strict=True)
    ]
    written = 0
    for _ in range(ROUNDS // len(who)):
        for cid, line in lines:
            broker.receive(cid, line)
            written += wake_up(broker)
    assert written == ROUNDS


def broadcasts(broker: ChatBroker[int], who: Sequence[int]) -> None:
    """Each of them sends broadcasts to all."""
    line = b"CHAT/1.0 BROADCAST g %b\n" % TEXT
    written = 0
    for _ in range(ROUNDS // len(who)):
        for cid in who:
            broker.receive(cid, line)
            written += wake_up(broker)
    assert written == ROUNDS * (len(who) - 1)


def logins(broker: ChatBroker[int], fresh: "count[int]") -> None:
    """New users connect, log in and disconnect."""
    for _ in range(ROUNDS):
        cid = next(fresh)
        broker.connect(cid, "somewhere")
        broker.receive(cid, f"CHAT/1.0 LOGIN {name_of(cid)}\n".encode())
        wake_up(broker)
        broker.disconnect(cid)
        broker.take_log_events()


def crowd_rows(repeat: int, many: int) -> list[Row]:
    """The rows that compare many users with few."""
    crowds = (many, FEW)
    hubs, brokers = [new_hub(users) for users in crowds], [new_broker(users) for users in crowds]
    who = [active(users) for users in crowds]
    fresh = count(many)
    pairs = (0, 1)
    works: list[tuple[str, str, int, list[Callable[[], object]]]] = [
        ("hub: a SEND", "messages/s", 1, [partial(hub_sends, hubs[at], who[at]) for at in pairs]),
        (
            f"hub: a BROADCAST to {ACTIVE - 1} others",
            "deliveries/s",
            ACTIVE - 1,
            [partial(hub_broadcasts, hubs[at], who[at]) for at in pairs],
        ),
        (
            "hub: a login and its end",
            "logins/s",
            1,
            [partial(hub_logins, hub, fresh) for hub in hubs],
        ),
        (
            "broker: a SEND, from bytes to bytes",
            "messages/s",
            1,
            [partial(sends, brokers[at], who[at]) for at in pairs],
        ),
        (
            f"broker: a BROADCAST to {ACTIVE - 1} others",
            "deliveries/s",
            ACTIVE - 1,
            [partial(broadcasts, brokers[at], who[at]) for at in pairs],
        ),
        (
            "broker: a connection, its login and its end",
            "logins/s",
            1,
            [partial(logins, broker, fresh) for broker in brokers],
        ),
    ]
    rows: list[Row] = []
    for name, unit, each, both in works:
        among_many, among_few = in_turns(repeat, *both)
        rows.append(
            Row(
                part="broker",
                name=name,
                unit=unit,
                values=rates(ROUNDS * each, among_many),
                reference=rates(ROUNDS * each, among_few),
                floor=LEAST,
                note=f"with {many:,} users online, against {FEW}",
            )
        )
    return rows


def receive_all(broker: ChatBroker[int], chunks: Sequence[bytes]) -> None:
    """Receive the chunks of one user, with one wake-up for each."""
    written = 0
    for _ in range(ROUNDS // RUN):
        for chunk in chunks:
            broker.receive(0, chunk)
            written += wake_up(broker)
    assert written == ROUNDS


def run_rows(repeat: int) -> list[Row]:
    """The rows for the same lines one by one, mixed, and as a run."""
    broker = new_broker(FEW)
    line = b"CHAT/1.0 SEND u%d %b\n"
    ways = (
        ("one line in a chunk", [line % (1, TEXT)] * RUN),
        (
            f"{RUN} lines in a chunk, to two users in turns",
            [(line % (1, TEXT) + line % (2, TEXT)) * (RUN // 2)],
        ),
        (f"{RUN} lines in a chunk, to one user", [line % (1, TEXT) * RUN]),
    )
    one, *others = in_turns(repeat, *(partial(receive_all, broker, chunks) for _, chunks in ways))
    return [
        Row(
            part="broker",
            name=f"broker: {name}",
            unit="messages/s",
            values=rates(ROUNDS, times),
            reference=None if times is one else rates(ROUNDS, one),
            note="" if times is one else "against one line in a chunk",
        )
        for (name, _), times in zip(ways, (one, *others), strict=True)
    ]


def group_broker(labelled: int) -> ChatBroker[int]:
    """A broker with a group, some of whose members want to know which group a message is from."""
    broker = new_broker(GROUP)
    members = " ".join(name_of(number) for number in range(GROUP))
    broker.receive(0, f"CHAT/1.0 GROUP all {members}\n".encode())
    for number in range(1, 1 + labelled):
        broker.receive(number, b"CHAT/1.0 SEND *groups* on\n")
    assert wake_up(broker) == labelled
    return broker


def group_broadcasts(broker: ChatBroker[int], lines: int) -> None:
    """One member sends broadcasts to the others, some lines in a chunk."""
    chunk = b"CHAT/1.0 BROADCAST all %b\n" % TEXT * lines
    written = 0
    for _ in range(RUN // lines):
        broker.receive(0, chunk)
        written += wake_up(broker)
    assert written == RUN * (GROUP - 1)


def label_rows(repeat: int) -> list[Row]:
    """The rows for broadcasts to a group, if none, one, half or all others want labels."""
    numbers = (0, 1, GROUP // 2, GROUP - 1)
    brokers = [group_broker(number) for number in numbers]
    rows: list[Row] = []
    for lines, way in (1, "one at a time"), (10, "ten at once"):
        none, *others = in_turns(
            repeat, *(partial(group_broadcasts, broker, lines) for broker in brokers)
        )
        rows += [
            Row(
                part="broker",
                name=f"broker: BROADCASTs to {GROUP - 1} others, {way}, labels for {number}",
                unit="deliveries/s",
                values=rates(RUN * (GROUP - 1), times),
                reference=None if times is none else rates(RUN * (GROUP - 1), none),
                floor=LABELLED if number == 1 else None,
                note="" if times is none else "against labels for nobody",
            )
            for number, times in zip(numbers, (none, *others), strict=True)
        ]
    return rows


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """All rows of this part."""
    return [
        *crowd_rows(repeat, MANY // 10 if quick else MANY),
        *run_rows(repeat),
        *label_rows(repeat),
    ]


if __name__ == "__main__":
    print(show(measure(repeat=5, quick=False)))
