"""Clients' sessions with a whole server: all is heard in order, and echoes never lie."""

from collections import deque
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from chatproto import (
    ChatBroker,
    ChatSession,
    DuplicateLogin,
    Echo,
    Limits,
    Login,
    LoginRefusedError,
    Message,
    Policy,
    Send,
)
from chatproto.wire.codec import decode

from ..client.sessions import CABLE, items

NAMES = st.sampled_from(["alice", "bob", "carol"])
PEOPLE = st.integers(0, 2)
EVERYTHING = 1_000_000
SIZES = st.just(EVERYTHING) | st.integers(1, 60)
POLICIES = st.sampled_from([Policy(), Policy(duplicate_login=DuplicateLogin.REJECT)])


@dataclass
class Said:
    """What somebody has said to themselves, and what is to become of it."""

    echo: Echo
    # How many octets the client has to hear for it to be decided; None as long as the server has
    # not handled it.
    due: int | None = None
    refused: bool = False


@dataclass
class Person:
    """What the model knows of one client."""

    session: ChatSession
    name: str
    # The connection, and whom the server takes this for.
    cid: int | None = None
    known_as: str | None = None
    # What was said and not handled yet, of which some octets may have arrived.
    unhandled: bytes = b""
    arrived: int = 0
    heard: int = 0
    said: list[Said] = field(default_factory=list)
    # Messages on their way, and after how many octets they are heard.
    coming: deque[tuple[int, Message]] = field(default_factory=deque)
    got: list[Message] = field(default_factory=list)

    @property
    def may_speak(self) -> bool:
        return self.cid is not None and not any(
            said.echo.login and not said.echo.done for said in self.said
        )


class SessionMachine(RuleBasedStateMachine):
    """Three clients and a network that is in no hurry."""

    @initialize(policy=POLICIES)
    def begin(self, policy: Policy) -> None:
        self.policy = policy
        self.broker: ChatBroker[int] = ChatBroker(policy=policy, limits=Limits(notice_burst=10**6))
        self.people = [Person(ChatSession(name), name) for name in ("alice", "alice", "bob")]
        self.count = 0
        for number, person in enumerate(self.people):
            self.connect(person)
            self.arrive(number, EVERYTHING)
            self.hear(number, EVERYTHING)

    # What the server does

    def position(self, person: Person) -> int:
        """How many octets a client will have heard when it has heard all that waits for it."""
        assert person.cid is not None
        return person.heard + len(self.broker.outgoing(person.cid))

    def handle(self, person: Person, line: bytes) -> None:
        """Take note of what the server has made of a line."""
        match decode(line[:-1]):
            case Login(name):
                taken = any(other.known_as == name for other in self.people if other is not person)
                if taken and self.policy != Policy():
                    said = next(
                        each for each in person.said if each.echo.login and each.due is None
                    )
                    said.due, said.refused = self.position(person), True
                else:
                    person.known_as = name
            case Send(to, data) if data.startswith(b"\0chatproto echo "):
                if person.known_as == to:
                    said = next(each for each in person.said if each.echo.data == data)
                    said.due = self.position(person)
            case Send(to, data):
                assert person.known_as is not None
                for other in self.people:
                    if other.known_as == to:
                        message = Message(person.known_as, data)
                        other.coming.append((self.position(other), message))

    # What the clients do

    @rule(number=PEOPLE)
    def connect_again(self, number: int) -> None:
        person = self.people[number]
        self.lose(person)
        self.connect(person)

    def connect(self, person: Person) -> None:
        self.count += 1
        person.cid, person.heard, person.arrived = self.count, 0, 0
        self.broker.connect(self.count, "peer")
        person.unhandled, echo = person.session.start(b"%d" % self.count)
        person.said.append(Said(echo))

    @rule(number=PEOPLE, to=NAMES, data=st.binary(max_size=20).map(bytes.hex))
    def say(self, number: int, to: str, data: str) -> None:
        person = self.people[number]
        if person.may_speak:
            person.unhandled += person.session.send(Send(to, data.encode()))

    @rule(number=PEOPLE)
    def ping(self, number: int) -> None:
        person = self.people[number]
        if person.may_speak:
            data, echo = person.session.ping()
            person.unhandled += data
            person.said.append(Said(echo))

    @rule(number=PEOPLE, name=NAMES)
    def login(self, number: int, name: str) -> None:
        person = self.people[number]
        if person.may_speak:
            data, echo = person.session.login(name)
            person.unhandled += data
            person.said.append(Said(echo))

    def lose(self, person: Person) -> None:
        if person.cid is None:
            return
        self.broker.disconnect(person.cid)
        person.session.lose(CABLE)
        person.cid = person.known_as = None
        person.coming.clear()
        for said in person.said:
            assert said.echo.done
            assert said.echo.error is CABLE
        person.said.clear()

    # What the network does

    @rule(number=PEOPLE, size=SIZES)
    def arrive(self, number: int, size: int) -> None:
        """Carry octets to the server, line by line, so that it is known what each has come to."""
        person = self.people[number]
        while person.cid is not None and size and person.unhandled:
            end = person.unhandled.index(b"\n") + 1
            octets = person.unhandled[person.arrived : min(end, person.arrived + size)]
            self.broker.receive(person.cid, octets)
            size -= len(octets)
            person.arrived += len(octets)
            if person.arrived == end:
                line, person.unhandled = person.unhandled[:end], person.unhandled[end:]
                person.arrived = 0
                self.handle(person, line)

    @rule(number=PEOPLE, size=SIZES)
    def hear(self, number: int, size: int) -> None:
        """Carry octets to a client."""
        person = self.people[number]
        if person.cid is None:
            return
        octets = bytes(self.broker.outgoing(person.cid)[:size])
        if not octets:
            return
        self.broker.sent(person.cid, len(octets))
        person.session.hear(octets)
        person.heard += len(octets)
        while person.coming and person.coming[0][0] <= person.heard:
            person.got.append(person.coming.popleft()[1])
        assert items(person.session) == person.got
        person.got.clear()
        self.look_at_echoes(person)

    def look_at_echoes(self, person: Person) -> None:
        """Those that are due are decided, rightly, and no others are."""
        for said in list(person.said):
            echo = said.echo
            is_due = said.due is not None and said.due <= person.heard
            assert echo.done is is_due
            if not is_due:
                continue
            person.said.remove(said)
            assert isinstance(echo.error, LoginRefusedError) is said.refused
            assert echo.error is None or said.refused
            if echo.login and not said.refused:
                person.name = echo.name
        assert person.session.name == person.name
        if person.cid is not None and person.known_as is None and person.may_speak:
            # The first login was refused: that is the end of this connection.
            self.lose(person)

    def teardown(self) -> None:
        """Once the network has caught up, nobody waits for anything."""
        for number in range(3):
            self.arrive(number, EVERYTHING)
        for number in range(3):
            self.hear(number, EVERYTHING)
        for person in self.people:
            assert (person.said, list(person.coming)) == ([], [])


TestSession = SessionMachine.TestCase
