"""The hub and the broker in process: what a message costs, with few users online and with many.

    .venv/bin/python benchmarks/broker.py

The same ten people talk, among ten users and among a hundred thousand: the cost has to be the same.
Then two of them say the same hundred lines in three ways: one line at a time as in a conversation,
to several people in turns, and all to one person in one chunk, which the broker rewrites at once.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Final

from _table import Row, show
from _timing import in_turns, rates

from chatproto import Broadcast, ChatBroker, ChatHub, Group, Login, Send

PEOPLE: Final = 10
"""Those who talk."""
FEW: Final = PEOPLE
MANY: Final = 100_000
ROUNDS: Final = 1000
"""Messages, or logins, of one run."""
RUN: Final = 100
"""Lines that come in one chunk."""
TEXT: Final = b"what is said is as long as this."
LEAST: Final = 0.8
"""Of the rate among few users, the part that is left among many."""


def name_of(number: int) -> str:
    """A user's name."""
    return f"u{number}"


def speakers(users: int) -> list[int]:
    """Who talks: people from all over the place."""
    return list(range(0, users, users // PEOPLE))[:PEOPLE]


def new_hub(users: int) -> ChatHub[int]:
    """A hub with so many users online, and a group of those who talk."""
    hub: ChatHub[int] = ChatHub()
    for number in range(users):
        hub.connect(number)
        hub.handle(number, Login(name_of(number)))
    hub.handle(0, Group("g", map(name_of, speakers(users))))
    return hub


def new_broker(users: int) -> ChatBroker[int]:
    """A broker with so many users online, and a group of those who talk."""
    broker: ChatBroker[int] = ChatBroker()
    broker.tick(0.0)
    for number in range(users):
        broker.connect(number, "somewhere")
        broker.receive(number, f"CHAT/1.0 LOGIN {name_of(number)}\n".encode())
    members = " ".join(map(name_of, speakers(users)))
    broker.receive(0, f"CHAT/1.0 GROUP g {members}\n".encode())
    assert turn(broker) == 0
    broker.take_log_events()
    return broker


def turn(broker: ChatBroker[int]) -> int:
    """What an adapter does when it wakes up, with a network that takes all; lines written."""
    broker.tick(0.0)
    lines = 0
    for cid, data in broker.take_outgoing():
        lines += data.count(b"\n")
        broker.sent(cid, len(data))
    return lines


def hub_sends(hub: ChatHub[int], who: Sequence[int]) -> None:
    """Each of some people says something to the next one, again and again."""
    events = [
        (cid, Send(name_of(to), TEXT)) for cid, to in zip(who, [*who[1:], who[0]], strict=True)
    ]
    for _ in range(ROUNDS // len(who)):
        for cid, event in events:
            assert hub.handle(cid, event)


def hub_broadcasts(hub: ChatHub[int], who: Sequence[int]) -> None:
    """The same to all of them."""
    event = Broadcast("g", TEXT)
    for _ in range(ROUNDS // len(who)):
        for cid in who:
            assert hub.handle(cid, event)


def hub_logins(hub: ChatHub[int], fresh: "count[int]") -> None:
    """New people log in and leave."""
    for _ in range(ROUNDS):
        cid = next(fresh)
        hub.connect(cid)
        hub.handle(cid, Login(name_of(cid)))
        hub.disconnect(cid)


def sends(broker: ChatBroker[int], who: Sequence[int]) -> None:
    """Each of some people says something to the next one; a chunk and a turn for each line."""
    lines = [
        (cid, b"CHAT/1.0 SEND %b %b\n" % (name_of(to).encode(), TEXT))
        for cid, to in zip(who, [*who[1:], who[0]], strict=True)
    ]
    written = 0
    for _ in range(ROUNDS // len(who)):
        for cid, line in lines:
            broker.receive(cid, line)
            written += turn(broker)
    assert written == ROUNDS


def broadcasts(broker: ChatBroker[int], who: Sequence[int]) -> None:
    """The same to all of them."""
    line = b"CHAT/1.0 BROADCAST g %b\n" % TEXT
    written = 0
    for _ in range(ROUNDS // len(who)):
        for cid in who:
            broker.receive(cid, line)
            written += turn(broker)
    assert written == ROUNDS * (len(who) - 1)


def logins(broker: ChatBroker[int], fresh: "count[int]") -> None:
    """New people connect, log in and leave."""
    for _ in range(ROUNDS):
        cid = next(fresh)
        broker.connect(cid, "somewhere")
        broker.receive(cid, f"CHAT/1.0 LOGIN {name_of(cid)}\n".encode())
        turn(broker)
        broker.disconnect(cid)
        broker.take_log_events()


def crowd_rows(repeat: int, many: int) -> list[Row]:
    """What each thing costs among few and among many."""
    crowds = (many, FEW)
    hubs, brokers = [new_hub(users) for users in crowds], [new_broker(users) for users in crowds]
    who = [speakers(users) for users in crowds]
    fresh = count(many)
    pairs = (0, 1)
    works: list[tuple[str, str, int, list[Callable[[], object]]]] = [
        ("hub: a SEND", "messages/s", 1, [partial(hub_sends, hubs[at], who[at]) for at in pairs]),
        (
            f"hub: a BROADCAST to {PEOPLE - 1} others",
            "deliveries/s",
            PEOPLE - 1,
            [partial(hub_broadcasts, hubs[at], who[at]) for at in pairs],
        ),
        (
            "hub: a login and its end",
            "logins/s",
            1,
            [partial(hub_logins, hub, fresh) for hub in hubs],
        ),
        (
            "broker: a SEND, from octets to octets",
            "messages/s",
            1,
            [partial(sends, brokers[at], who[at]) for at in pairs],
        ),
        (
            f"broker: a BROADCAST to {PEOPLE - 1} others",
            "deliveries/s",
            PEOPLE - 1,
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


def say(broker: ChatBroker[int], chunks: Sequence[bytes]) -> None:
    """One person's chunks, each followed by a turn."""
    written = 0
    for _ in range(ROUNDS // RUN):
        for chunk in chunks:
            broker.receive(0, chunk)
            written += turn(broker)
    assert written == ROUNDS


def run_rows(repeat: int) -> list[Row]:
    """The same lines one at a time, mixed, and as a run."""
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
    one, *others = in_turns(repeat, *(partial(say, broker, chunks) for _, chunks in ways))
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


def measure(*, repeat: int, quick: bool) -> list[Row]:
    """All rows of this part."""
    return [*crowd_rows(repeat, MANY // 10 if quick else MANY), *run_rows(repeat)]


if __name__ == "__main__":
    print(show(measure(repeat=5, quick=False)))
