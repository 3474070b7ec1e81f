"""What can be fuzzed: functions that take any bytes, and raise `Finding` if something is wrong.

Each compares the package with something that is slower and plainer than it, or two ways through it
with each other. `fuzz.guided` lets Atheris choose the bytes; the tests choose some themselves.
"""

import re
from collections.abc import Callable, Mapping
from itertools import zip_longest
from random import Random
from typing import Final, TypeAlias

from chatproto import (
    Broadcast,
    ChatBroker,
    ChatConnection,
    ChatSession,
    ConnectionClosed,
    Event,
    Group,
    Invalid,
    Leave,
    Limits,
    LineLimits,
    LocalProtocolError,
    Login,
    Message,
    NameRule,
    Ping,
    Policy,
    Receive,
    Role,
    Send,
)
from chatproto.client.ping import PING_PREFIX
from chatproto.wire.codec import encode

from .adapter import CALM, Finding
from .broker import compare, examine, run_both
from .grammar import Bad, Read, Reader, parse, read_stream
from .inputs import CLIENTS, Record, cut, split
from .service import BAD_LINES, MAX_LINE, Service
from .worlds import (
    ENDLESS,
    GROUPS,
    NAMES,
    Connect,
    Drain,
    End,
    Kind,
    Line,
    Reset,
    Say,
    Step,
    Take,
    Wake,
    World,
    random_limits,
    random_world,
)

Target: TypeAlias = Callable[[bytes], None]

# Connections


def check_connection(data: bytes) -> None:
    """Either end of a connection reads what the slow reader reads, in pieces of any size.

    The first byte chooses the settings, the second the size of the pieces, and the rest is sent.
    """
    settings, size, stream = data[:1], data[1:2], data[2:]
    bits = settings[0] if settings else 0
    role = Role.CLIENT if bits & 1 else Role.SERVER
    max_line, bad_lines = 512 if bits & 2 else 4096, 3 if bits & 4 else 100
    if role is Role.SERVER and bits & 8:
        stream = b"CHAT/1.0 LOGIN alice\n" + stream
    reader = Reader(role is Role.SERVER, max_line, bad_lines)
    expected = read_stream(stream, reader)
    for pieces in (cut(stream, 0), cut(stream, size[0] if size else 1)):
        connection = ChatConnection(role, LineLimits(max_line=max_line, bad_lines=bad_lines))
        events = [event for piece in pieces for event in connection.receive_data(piece)]
        ended = bool(events) and events[-1] == ConnectionClosed()
        events += connection.receive_eof()
        reads = [_words(event) for event in events if type(event) is not ConnectionClosed]
        for number, (read, right) in enumerate(zip_longest(reads, expected)):
            if read != right:
                raise Finding("read", f"line {number} is {right}, and was read as {read}")
        was_bad = reader.bad >= bad_lines
        if ended is not was_bad or events[-1] != ConnectionClosed():
            raise Finding("end", f"after {reader.bad} bad lines in a row: {events[-1]}")
    for read, event in zip(reads, events, strict=False):
        if not isinstance(event, Invalid | ConnectionClosed) and parse(encode(event)) != read:
            raise Finding("write", f"{event} was written as {encode(event)!r}")


def _words(event: Event) -> Read:
    """An event in the words of the slow reader."""
    match event:
        case Invalid(code, line):
            return Bad(code, line)
        case Group(name, members):
            return "GROUP", name, *members
        case Login(name) | Leave(name):
            return type(event).__name__.upper(), name
        case Send(name, data) | Broadcast(name, data) | Receive(name, data):
            return type(event).__name__.upper(), name, data
        case _:
            return (type(event).__name__.upper(),)


# Brokers


def check_paths(data: bytes) -> None:
    """A broker does the same with the fast path and without, whatever is sent to it."""
    settings, records = split(data)
    random = Random(settings // 4)
    limits = random_limits(random) if settings & 1 else Limits(log_lines=1 << 30)
    steps: list[Step] = [Connect(at) for at in range(CLIENTS)]
    groups: dict[str, tuple[str, ...]] = dict.fromkeys(GROUPS, NAMES)
    for at, name in enumerate(NAMES):
        lines = [f"LOGIN {name}"] if at else [f"LOGIN {name}", "GROUP g ann bob cat"]
        steps += [_say(at, f"CHAT/1.0 {line}\n".encode()) for line in lines]
    steps.append(CALM)
    now = list(range(CLIENTS))
    for record in records:
        steps += _steps(record, now)
    world = World(
        limits=limits,
        policy=Policy(names=NameRule.VISIBLE if settings & 2 else NameRule.ANY),
        notices=settings & 4 == 0,
        ask=False,
        polite=settings & 8 == 0,
        groups=groups,
        restored=(),
        steps=tuple(steps),
    )
    compare(*run_both(world))


def _say(cid: int, raw: bytes) -> Say:
    # Nobody judges what it is.
    return Say(cid, (Line(cid, 0, Kind.BAD, "", b"", raw),))


def _steps(record: Record, now: list[int]) -> list[Step]:
    """What a record means.

    Args:
        record: The record.
        now: The connection of each client now.
    """
    cid, number = now[record.client], record.number
    wake = Wake(number / 50, size=1 << number % 17, turn=number, at_once=True, settle=True)
    if record.sends:
        # Half of them arrive at once, so that two clients send in one wake-up.
        arrives = Wake(0.0, 1 << 16, record.client, at_once=record.action % 4 > 1, settle=True)
        return [_say(cid, record.data), *[arrives] * (record.action % 2 == 0)]
    match record.action:
        case 8:
            return [Take(cid, 3 * number), wake]
        case 9:
            return [Take(cid, ENDLESS), wake]
        case 10:
            return [End(cid), wake]
        case 11 | 12:
            now[record.client] = new = max(now) + 1
            return [*[Reset(cid)] * (record.action == 11), Connect(new), wake]
        case 13 if number == 0:
            return [Drain(), wake]
        case _:
            return [wake]


def check_service(data: bytes) -> None:
    """A broker that nobody keeps waiting does what sections 2, 3 and 5 of the protocol say."""
    _, records = split(data)
    for fast_path in (True, False):
        names = ("ann", "bob", "bob", "bücher")
        broker: ChatBroker[int] = ChatBroker(
            policy=Policy(names=NameRule.ANY),
            limits=Limits(
                max_line=MAX_LINE,
                bad_lines=BAD_LINES,
                high_water=1 << 27,
                queue_bytes=1 << 28,
                total_queue_bytes=1 << 28,
                notice_burst=1 << 30,
            ),
            fast_path=fast_path,
        )
        broker.tick(0.0)
        for at, name in enumerate(names):
            broker.connect(at, name)
            broker.receive(at, f"CHAT/1.0 LOGIN {name}\n".encode())
        service = Service.of(*names)
        for number, record in enumerate(records):
            at = record.client
            if service.connections[at].closed:
                continue
            if record.sends:
                service.receive(at, record.data)
                # Connections that have something to say only send, so the size says how.
                for piece in cut(record.data, record.action):
                    broker.receive(at, piece)
            else:
                service.receive_eof(at)
                broker.receive_eof(at)
            while broker.busy:
                broker.tick(0.0)
            _compare_out(broker, service, f"record {number}, {record}")


def _compare_out(broker: ChatBroker[int], service: Service, what: str) -> None:
    """Compare what everybody gets, and who is closed."""
    expected = service.take()
    for at, each in enumerate(service.connections):
        lines = re.findall(rb"[^\n]*\n", _written(broker, at))
        right = expected.get(at, [])
        for line, other in zip_longest(lines, right):
            if line is None or other is None or not other.fits(line):
                raise Finding("service", f"after {what}: {at} gets {line!r}, not {other}")
        step = broker.next_step(at)
        if (step.half_close or step.close) is not each.closed:
            raise Finding("service", f"after {what}: {at} is closed or not, against the rules")


def _written(broker: ChatBroker[int], at: int) -> bytes:
    """Write a queue."""
    written = b""
    while data := broker.next_step(at).write:
        broker.sent(at, len(data))
        written += data
    return written


# Noise

METHODS: Final = (b"GET", b"HEAD", b"POST", b"OPTIONS", b"PUT", b"PROPFIND", b"M-SEARCH", b"PRI")
TOKEN: Final = frozenset(
    b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)
"""The bytes of the name of a header (RFC 9110, section 5.6.2)."""


def check_noise(data: bytes) -> None:
    """Nobody can hide lines in HTTP or RESP: before the LOGIN, nothing behind them is executed.

    The records are the parts of a request: its target, its headers, its body. The first byte
    chooses the protocol and the method, the second the size of the pieces.
    """
    settings, records = split(data)
    parts = [record.data for record in records] or [b""]
    noise = _resp(parts) if settings & 1 else _http(METHODS[settings // 2 % len(METHODS)], parts)
    hidden = b"\nCHAT/1.0 LOGIN eve\nCHAT/1.0 SEND bob gotcha\n"
    for size in {0, records[0].action if records else 1}:
        broker: ChatBroker[int] = ChatBroker()
        broker.tick(0.0)
        for at in (0, 1):
            broker.connect(at, f"peer-{at}")
        broker.receive(1, b"CHAT/1.0 LOGIN bob\n")
        for piece in cut(noise + hidden, size):
            broker.receive(0, piece)
        while broker.busy:
            broker.tick(0.0)
        what = f"{noise!r} in pieces of {size} bytes"
        if (got := [_written(broker, at) for at in (0, 1)]) != [b"", b""]:
            raise Finding("noise", f"{what} makes the broker write {got}")
        if not broker.next_step(0).close:
            raise Finding("noise", f"{what} does not end the connection")


def _http(method: bytes, parts: list[bytes]) -> bytes:
    """A request with a target, headers, and a body, each of which somebody else may choose."""
    target, *rest = parts
    lines = [b"%b /%b HTTP/1.1" % (method, bytes(each for each in target if 0x20 < each < 0x7F))]
    *headers, body = rest or [b""]
    for header in headers:
        name, _, value = header.partition(b":")
        name = bytes(each for each in name if each in TOKEN)
        lines.append(b"x%b:%b" % (name, value.translate(None, b"\r\n\0")))
    return b"\r\n".join([*lines, b"Host: localhost", b"", body])


def _resp(parts: list[bytes]) -> bytes:
    """A command for a server like Redis, with words that somebody else may choose."""
    words = [b"$%d\r\n%b\r\n" % (len(part), part) for part in parts]
    return b"*%d\r\n%b" % (len(words), b"".join(words))


# Sessions


def check_session(data: bytes) -> None:
    """A client takes anything from a server, in pieces of any size, and its pings never lie."""
    settings, records = split(data)
    outcomes = [_play(settings, records, size) for size in (0, 1, 2 + settings)]
    for outcome in outcomes[1:]:
        for one, other in zip(outcomes[0], outcome, strict=True):
            if one != other:
                raise Finding("pieces", f"{one} or {other}")


def _play(settings: int, records: list[Record], size: int) -> list[object]:
    """Let a client do what the records say, and note all that can be seen of it.

    Args:
        settings: Whether it is logged in already, and whether it wants to know the groups.
        records: What happens.
        size: The size of the pieces in which it gets what the server sends.
    """
    tokens = iter(range(len(records) + 2))
    limits = Limits(bad_lines=4)
    session = ChatSession(
        "ann", lambda: b"%d" % next(tokens), limits=limits, groups=settings & 2 == 0
    )
    pings: list[Ping] = [session.start()[1]]
    stream = b"CHAT/1.0 RECEIVE ann %b0\n" % PING_PREFIX if settings & 1 else b""
    session.receive_data(stream)
    seen: list[object] = []
    # Messages come from the session in the order in which the slow reader finds them.
    messages: list[tuple[str, bytes]] = []
    for record in records:
        if session.error is not None:
            break
        try:
            if record.sends:
                for piece in cut(record.data, size):
                    # An adapter reads nothing more then.
                    if session.error is None:
                        session.receive_data(piece)
                stream += record.data
            elif record.action == 15:
                session.receive_eof()
            else:
                pings += _act(session, record)
        except LocalProtocolError as error:
            seen.append(str(error))
        while (item := session.take_item()) is not None:
            seen.append(item)
            if isinstance(item, Message) and item.group is None and item.sender != "*groups*":
                messages.append((item.sender, item.data))
        while (notice := session.take_notice()) is not None:
            seen.append(notice)
    seen += [session.name, session.labels, session.invalid_lines, repr(session.error)]
    _check_messages(stream, messages, complete=session.error is None and not session.logged_out)
    session.receive_eof()
    if session.error is None or not all(ping.done for ping in pings):
        raise Finding("ping", "a ping is pending at the end")
    _check_pings(stream, pings)
    return [*seen, [(ping.name, ping.data, repr(ping.error)) for ping in pings]]


def _act(session: ChatSession, record: Record) -> list[Ping]:
    """Let a client send something.

    Returns:
        The ping that it has sent, if it has sent one.
    """
    word = record.data.decode(errors="replace") or "bob"
    match record.action:
        case 8 | 9:
            return [session.ping()[1]]
        case 10:
            return [session.request("list")[1].ping]
        case 11:
            return [session.request("members", word)[1].ping]
        case 12:
            return [session.request("add", "g", word)[1].ping]
        case 13:
            return [session.login(word)[1]]
        case _:
            session.send(Leave(word) if record.number % 2 else Send(word, b"hi"))
            session.sent()
            return []


def _check_messages(stream: bytes, messages: list[tuple[str, bytes]], *, complete: bool) -> None:
    """What a client shows is what was sent, and if it has read all of it, all that was sent."""
    *lines, _ = stream.split(b"\n")
    reader = Reader(False, 4096, 4)
    expected: list[tuple[str, bytes]] = []
    for line in lines:
        match reader.read(line + b"\n"):
            case ("RECEIVE", str(sender), bytes(data)):
                is_special = sender in ("*server*", "*groups*") or data.startswith(PING_PREFIX)
                expected += [(sender, data)] * (not is_special)
    if messages != (expected if complete else expected[: len(messages)]):
        raise Finding("message", f"{messages}, not {expected}")


def _check_pings(stream: bytes, pings: list[Ping]) -> None:
    """A ping that came back did so, or one that was sent after it did."""
    back = {line.removesuffix(b"\r") for line in stream.split(b"\n")}
    proved = False
    for ping in reversed(pings):
        proved |= b"CHAT/1.0 RECEIVE %b %b" % (ping.name.encode(), ping.data) in back
        if ping.error is None and not proved:
            raise Finding("ping", f"{ping.data!r} has not come back")


# Worlds


class Fed(Random):
    """Chance that begins as a fuzzer wants it."""

    data = b""
    """What it wants, as far as it was not used yet."""

    def getrandbits(self, k: int, /) -> int:
        """The next bits."""
        if not self.data:
            return super().getrandbits(k)
        size = (k + 7) // 8
        piece, self.data = self.data[:size], self.data[size:]
        return int.from_bytes(piece, "little") & ((1 << k) - 1)

    def random(self) -> float:
        """The next number from 0 to 1."""
        return self.getrandbits(16) / (1 << 16)


def check_world(data: bytes) -> None:
    """The oracle finds nothing wrong in the world that begins with these bytes.

    The bytes are the first of all choices; a seed makes the others.
    """
    random = Fed(0)
    random.data = data
    examine(random_world(random))


TARGETS: Final[Mapping[str, Target]] = {
    "connection": check_connection,
    "paths": check_paths,
    "service": check_service,
    "session": check_session,
    "noise": check_noise,
    "world": check_world,
}
"""All targets by their names."""
