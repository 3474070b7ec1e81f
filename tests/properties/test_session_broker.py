"""chatproto.client.session with a broker: messages arrive in order, and pings never lie."""

from collections import deque
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from chatproto import (
    Broadcast,
    ChatBroker,
    ChatSession,
    Confirmation,
    ConnectionLostError,
    DuplicateLogin,
    GroupRequest,
    Limits,
    Login,
    LoginRefusedError,
    Message,
    Ping,
    Policy,
    RequestRefusedError,
    Send,
)
from chatproto.wire.codec import decode

from ..client.sessions import CABLE, Tokens, items

NAMES = st.sampled_from(["alice", "bob", "carol"])
PEOPLE = st.integers(0, 2)
EVERYTHING = 1_000_000
SIZES = st.just(EVERYTHING) | st.integers(1, 60)
POLICIES = st.sampled_from([Policy(), Policy(duplicate_login=DuplicateLogin.REJECT)])


@dataclass
class SentPing:
    """A ping, and what the model expects of it."""

    ping: Ping
    # After how many received bytes it is done; None as long as the server has not handled it.
    due: int | None = None
    refused: bool = False
    # The request before it, if it belongs to one.
    request: GroupRequest | None = None
    # The confirmation that it belongs to, if any, and the data of its command.
    confirmation: Confirmation | None = None
    data: bytes | None = None


@dataclass
class Person:
    """What the model knows of one client."""

    session: ChatSession
    name: str
    # The connection, and the name that the server knows it by.
    cid: int | None = None
    known_as: str | None = None
    # Whether the server tells it the groups of messages.
    labels: bool = False
    # The bytes that were sent and not handled yet, and how many of them have arrived.
    unhandled: bytes = b""
    arrived: int = 0
    # How many bytes this client has received.
    received: int = 0
    sent_pings: list[SentPing] = field(default_factory=list)
    # Messages on their way, and after how many received bytes each is there.
    coming: deque[tuple[int, Message]] = field(default_factory=deque)
    expected: list[Message] = field(default_factory=list)

    @property
    def may_send(self) -> bool:
        return self.cid is not None and not any(
            sent.ping.login and not sent.ping.done for sent in self.sent_pings
        )


class SessionMachine(RuleBasedStateMachine):
    """Three clients, a broker, and a network that delivers bytes late and in pieces.

    All that they may be called are the members of the group `tea`.
    """

    @initialize(policy=POLICIES)
    def begin(self, policy: Policy) -> None:
        self.policy = policy
        self.broker: ChatBroker[int] = ChatBroker(policy=policy, limits=Limits(notice_burst=10**6))
        self.people = [
            Person(ChatSession(name, Tokens(b"%d " % number)), name)
            for number, name in enumerate(["alice", "alice", "bob"])
        ]
        self.count = 0
        for number, person in enumerate(self.people):
            self.connect(person)
            self.carry_to_server(number, EVERYTHING)
            self.carry_to_client(number, EVERYTHING)
        self.broker.connect(0, "peer")
        self.broker.receive(0, b"CHAT/1.0 LOGIN maker\nCHAT/1.0 GROUP tea alice bob carol\n")

    # What the server does

    def position(self, person: Person) -> int:
        """How many bytes a client will have received when it has received all that waits for it."""
        assert person.cid is not None
        return person.received + len(self.broker.next_step(person.cid).write)

    def handle(self, person: Person, line: bytes) -> None:
        """Update the model after the server has handled a line."""
        match decode(line[:-1]):
            case Login(name):
                taken = any(other.known_as == name for other in self.people if other is not person)
                if taken and self.policy != Policy():
                    sent = next(
                        each for each in person.sent_pings if each.ping.login and each.due is None
                    )
                    sent.due, sent.refused = self.position(person), True
                else:
                    person.known_as = name
            case Send(to, data) if data.startswith(b"\0chatproto echo "):
                # The pings in front of commands to confirm are nobody's.
                for sent in person.sent_pings:
                    if person.known_as == to and sent.ping.data == data:
                        sent.due = self.position(person)
            case Send("*groups*", data):
                # Its answer comes before that to the ping behind it, and is no item.
                person.labels |= data == b"on" and person.known_as is not None
            case Send(to, data):
                assert person.known_as is not None
                for sent in person.sent_pings:
                    if sent.data == data:
                        sent.refused = all(other.known_as != to for other in self.people)
                for other in self.people:
                    if other.known_as == to:
                        message = Message(person.known_as, data)
                        other.coming.append((self.position(other), message))
            case Broadcast(group, data):
                assert person.known_as is not None
                for other in self.people:
                    if other.known_as is not None and other is not person:
                        message = Message(person.known_as, data, group if other.labels else None)
                        other.coming.append((self.position(other), message))

    # What the clients do

    @rule(number=PEOPLE)
    def connect_again(self, number: int) -> None:
        person = self.people[number]
        self.lose(person)
        self.connect(person)

    def connect(self, person: Person) -> None:
        self.count += 1
        person.cid, person.received, person.arrived = self.count, 0, 0
        self.broker.connect(self.count, "peer")
        person.unhandled, ping = person.session.start()
        person.sent_pings.append(SentPing(ping))

    @rule(number=PEOPLE, to=NAMES, data=st.binary(max_size=20).map(bytes.hex))
    def send(self, number: int, to: str, data: str) -> None:
        person = self.people[number]
        if person.may_send:
            person.unhandled += person.session.send(Send(to, data.encode()))
            person.session.sent()

    @rule(number=PEOPLE, to=NAMES)
    def confirm(self, number: int, to: str) -> None:
        person = self.people[number]
        if person.may_send:
            self.count += 1
            data = b"confirm %d" % self.count
            lines, confirmation = person.session.confirm(Send(to, data))
            person.unhandled += lines
            person.sent_pings.append(
                SentPing(confirmation.ping, data=data, confirmation=confirmation)
            )

    @rule(number=PEOPLE, data=st.binary(max_size=20).map(bytes.hex))
    def broadcast(self, number: int, data: str) -> None:
        person = self.people[number]
        if person.may_send:
            person.unhandled += person.session.send(Broadcast("tea", data.encode()))
            person.session.sent()

    @rule(number=PEOPLE)
    def request(self, number: int) -> None:
        person = self.people[number]
        if person.may_send:
            data, request = person.session.request("members", "tea")
            person.unhandled += data
            person.sent_pings.append(SentPing(request.ping, request=request))

    @rule(number=PEOPLE)
    def ping(self, number: int) -> None:
        person = self.people[number]
        if person.may_send:
            with suppress(ConnectionLostError):
                # Once, if what was sent may be lost with an earlier connection.
                self.send_ping(person)

    def send_ping(self, person: Person) -> None:
        data, ping = person.session.ping()
        person.unhandled += data
        person.sent_pings.append(SentPing(ping))

    @rule(number=PEOPLE, name=NAMES)
    def login(self, number: int, name: str) -> None:
        person = self.people[number]
        if person.may_send:
            data, ping = person.session.login(name)
            person.unhandled += data
            person.sent_pings.append(SentPing(ping))

    def lose(self, person: Person) -> None:
        if person.cid is None:
            return
        self.broker.disconnect(person.cid)
        person.session.connection_lost(CABLE)
        person.cid = person.known_as = None
        person.labels = False
        person.coming.clear()
        for sent in person.sent_pings:
            assert sent.ping.done
            assert sent.ping.error is CABLE
        person.sent_pings.clear()

    # What the network does

    @rule(number=PEOPLE, size=SIZES)
    def carry_to_server(self, number: int, size: int) -> None:
        """Give bytes to the broker, line by line, and update the model after each."""
        person = self.people[number]
        while person.cid is not None and size and person.unhandled:
            end = person.unhandled.index(b"\n") + 1
            data = person.unhandled[person.arrived : min(end, person.arrived + size)]
            self.broker.receive(person.cid, data)
            size -= len(data)
            person.arrived += len(data)
            if person.arrived == end:
                line, person.unhandled = person.unhandled[:end], person.unhandled[end:]
                person.arrived = 0
                self.handle(person, line)

    @rule(number=PEOPLE, size=SIZES)
    def carry_to_client(self, number: int, size: int) -> None:
        """Give bytes to a client."""
        person = self.people[number]
        if person.cid is None:
            return
        data = self.broker.next_step(person.cid).write[:size]
        if not data:
            return
        self.broker.sent(person.cid, len(data))
        person.session.receive_data(data)
        person.received += len(data)
        while person.coming and person.coming[0][0] <= person.received:
            person.expected.append(person.coming.popleft()[1])
        assert items(person.session) == person.expected
        person.expected.clear()
        self.check_pings(person)

    def check_pings(self, person: Person) -> None:
        """The pings that are due are done, with the right result, and no others are."""
        for sent in list(person.sent_pings):
            ping = sent.ping
            is_due = sent.due is not None and sent.due <= person.received
            assert ping.done is is_due
            if not is_due:
                continue
            person.sent_pings.remove(sent)
            if sent.confirmation is not None:
                assert ping.error is None
                with pytest.raises(RequestRefusedError) if sent.refused else nullcontext():
                    sent.confirmation.check()
                continue
            assert isinstance(ping.error, LoginRefusedError) is sent.refused
            assert ping.error is None or sent.refused
            if sent.request is not None:
                assert sent.request.result() == ["alice", "bob", "carol"]
            if ping.login and not sent.refused:
                person.name = ping.name
        assert person.session.name == person.name
        if person.cid is not None and person.known_as is None and person.may_send:
            # The first login was refused: the client closes this connection.
            self.lose(person)

    def teardown(self) -> None:
        """Once the network has delivered all bytes, no ping is pending and no message missing."""
        for number in range(3):
            self.carry_to_server(number, EVERYTHING)
        for number in range(3):
            self.carry_to_client(number, EVERYTHING)
        for person in self.people:
            assert (person.sent_pings, list(person.coming)) == ([], [])


TestSession = SessionMachine.TestCase
