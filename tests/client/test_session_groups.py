"""chatproto.client.session: labels, requests about groups and their answers (section 5).

The session talks to a broker, but for servers that there are not.
"""

from collections.abc import Callable

import pytest

from chatproto import (
    Added,
    ChatBroker,
    ChatSession,
    DuplicateLogin,
    ErrorCode,
    Limits,
    LocalProtocolError,
    Logout,
    Message,
    NotSupportedError,
    Policy,
    Receive,
    RemoteProtocolError,
    RequestRefusedError,
)
from chatproto.client.group_requests import MOST_NAMES
from chatproto.client.session import MOST_REQUESTS
from chatproto.wire.codec import encode

from ..server.brokers import broker_of, send
from .sessions import CABLE, HI, HI_LINE, Tokens, back, came_back, items, line, new_session, start

GROUPS = "*groups*"


def said(words: str) -> bytes:
    """A line of the service for groups."""
    return line(GROUPS, words.encode())


class Online:
    """A session and its connection to a broker."""

    def __init__(
        self, broker: ChatBroker[int], cid: int, name: str, *, groups: bool = True
    ) -> None:
        self._broker = broker
        self._cid = cid
        self.session = ChatSession(name, Tokens(), groups=groups)
        self.connect()

    def connect(self) -> None:
        self._broker.connect(self._cid, "peer")
        data, ping = self.session.start()
        self.exchange(data)
        assert came_back(ping)

    def lose(self) -> None:
        self._broker.disconnect(self._cid)
        self.session.connection_lost(CABLE)

    def exchange(self, data: bytes = b"") -> None:
        """Write some lines, and read all there is."""
        if data:
            self._broker.receive(self._cid, data)
        written = self._broker.next_step(self._cid).write
        self._broker.sent(self._cid, len(written))
        if written:
            self.session.receive_data(written)

    def ask(self, *words: str) -> list[str]:
        data, request = self.session.request(*words)
        assert not request.ping.done
        self.exchange(data)
        assert came_back(request.ping)
        return request.result()

    @property
    def items(self) -> list[object]:
        self.exchange()
        return list(items(self.session))


def world(
    *,
    groups: bool = True,
    policy: Policy = Policy(),
    limits: Limits = Limits(),
) -> tuple[ChatBroker[int], Online]:
    """A broker where bob has made the group `tea` with alice, and alice's session."""
    broker = broker_of("bob", policy=policy, limits=limits)
    send(broker, 1, "GROUP tea bob alice")
    return broker, Online(broker, 2, "alice", groups=groups)


# Labels


def test_a_message_has_its_group() -> None:
    broker, alice = world()
    assert alice.session.labels
    send(broker, 1, "BROADCAST tea hot", "SEND alice psst", "BROADCAST tea  two  spaces ")
    assert alice.items == [
        Message("bob", b"hot", "tea"),
        Message("bob", b"psst"),
        Message("bob", b" two  spaces ", "tea"),
    ]


@pytest.mark.parametrize("policy", [Policy(), Policy.reference()])
def test_without_labels_messages_are_as_they_were(policy: Policy) -> None:
    """The client does not want them, or the server does not know them."""
    broker, alice = world(groups=policy != Policy(), policy=policy)
    assert not alice.session.labels
    send(broker, 1, "BROADCAST tea hot", "SEND alice psst")
    assert alice.items == [Message("bob", b"hot"), Message("bob", b"psst")]


def test_a_server_without_notices_has_no_labels() -> None:
    broker: ChatBroker[int] = ChatBroker(notices=False)
    alice = Online(broker, 1, "alice")
    assert not alice.session.labels
    with pytest.raises(NotSupportedError):
        alice.ask("list")


def test_labels_are_asked_for_on_each_connection() -> None:
    broker, alice = world()
    alice.lose()
    alice.session.start()
    assert not alice.session.labels
    alice.connect()
    assert alice.session.labels
    send(broker, 1, "BROADCAST tea hot")
    assert alice.items == [Message("bob", b"hot", "tea")]


def test_another_name_keeps_labels() -> None:
    broker, alice = world()
    data, ping = alice.session.login("alicia")
    assert GROUPS.encode() not in data
    alice.exchange(data)
    assert came_back(ping)
    assert alice.session.labels
    send(broker, 1, "GROUP chess bob alicia", "BROADCAST chess mate")
    assert alice.items == [Message("bob", b"mate", "chess")]


def test_after_a_login_that_was_refused_the_next_one_asks() -> None:
    """An adapter may try another name on the same connection."""
    broker = broker_of("bob", policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    broker.connect(2, "peer")
    session = new_session("bob")
    data, refused = session.start()
    broker.receive(2, data)
    session.receive_data(broker.next_step(2).write)
    broker.sent(2, len(broker.next_step(2).write))
    assert refused.error is not None
    data, ping = session.login("alice")
    broker.receive(2, data)
    session.receive_data(broker.next_step(2).write)
    assert came_back(ping)
    assert session.labels


@pytest.mark.parametrize(
    "words",
    [
        "in tea bob",
        "in",
        "in  bob hi",
        "on",
        "off",
        "list tea",
        "members tea bob",
        "hello",
        "",
        " ",
    ],
)
def test_what_does_not_parse_is_a_message_from_the_service(words: str) -> None:
    """Later versions of it may say more."""
    _, alice = world()
    alice.session.receive_data(said(words))
    assert alice.items == [Message(GROUPS, words.encode())]
    assert alice.session.labels


def test_a_label_is_believed_only_if_the_server_has_said_so() -> None:
    """On the reference server, anybody can log in under the name of the service."""
    session = new_session()
    start(session)
    assert not session.labels
    forged = ["on", "in tea bob hi", "added tea alice bob", "off"]
    session.receive_data(b"".join(map(said, forged)))
    assert items(session) == [Message(GROUPS, words.encode()) for words in forged]
    assert not session.labels


def test_a_ping_in_a_label_is_not_shown() -> None:
    """It is not shown without a label either, and it answers nothing."""
    _, alice = world()
    _, ping = alice.session.ping()
    alice.session.receive_data(line(GROUPS, b"in tea alice " + ping.data))
    assert alice.items == []
    assert not ping.done


def test_nothing_comes_after_the_logout() -> None:
    _, alice = world()
    data, request = alice.session.request("list")
    alice.exchange(data + alice.session.send(Logout()))
    alice.session.receive_data(said("in tea bob hi") + said("added x alice bob") + HI_LINE)
    assert alice.items == []
    # But what was asked before it is answered.
    assert request.result() == ["tea"]


# Requests


def test_lists_and_members() -> None:
    broker, alice = world()
    assert alice.ask("list") == ["tea"]
    assert alice.ask("members", "tea") == ["bob", "alice"]
    send(broker, 1, "GROUP chess bob")
    with pytest.raises(RequestRefusedError) as caught:
        alice.ask("members", "chess")
    assert caught.value.code is ErrorCode.NO_SUCH_GROUP
    assert alice.items == []


def test_a_long_list_is_one_answer() -> None:
    members = [f"member-{number}" for number in range(1000)]
    broker, alice = world()
    broker.receive(1, encode_group("all", ["alice", *members[:200]]))
    for member in members[200:]:
        send(broker, 1, f"SEND *groups* add all {member}")
    alice.exchange()
    assert alice.ask("members", "all") == ["alice", *members]


def encode_group(name: str, members: list[str]) -> bytes:
    return f"CHAT/1.0 GROUP {name} {' '.join(members)}\n".encode()


def test_adding() -> None:
    broker, alice = world()
    bob = Online(broker, 3, "bob")
    assert bob.ask("add", "tea", "carol") == []
    assert bob.ask("add", "tea", "carol") == []
    assert bob.ask("members", "tea") == ["bob", "alice", "carol"]
    for member in ("*carol", "dave"):
        with pytest.raises(RequestRefusedError) as caught:
            alice.ask("add", "tea", member)
        assert caught.value.code is ErrorCode.NOT_ALLOWED
    with pytest.raises(RequestRefusedError) as caught:
        bob.ask("add", "tea", "*carol")
    assert caught.value.code is ErrorCode.NAME_RESERVED
    assert bob.items == alice.items == []


def test_adding_too_many() -> None:
    broker, _ = world(limits=Limits(max_members=2))
    bob = Online(broker, 3, "bob")
    with pytest.raises(RequestRefusedError) as caught:
        bob.ask("add", "tea", "carol")
    assert caught.value.code is ErrorCode.TOO_MANY


def test_who_is_added_learns_it() -> None:
    broker, alice = world()
    send(broker, 1, "GROUP chess bob", "SEND *groups* add chess alice")
    assert alice.items == [Added("chess", "alice", "bob")]


@pytest.mark.parametrize("groups", [True, False])
def test_who_adds_itself_is_told_on_its_other_connections_only(groups: bool) -> None:
    broker = broker_of()
    one, other = (Online(broker, cid, "alice", groups=groups) for cid in (1, 2))
    one.exchange(encode_group("tea", ["bob"]))
    assert one.ask("add", "tea", "alice") == []
    assert one.items == []
    # Who does not want labels gets what clients without any of this get.
    assert other.items == [
        Added("tea", "alice", "alice") if groups else Message(GROUPS, b"added tea alice alice")
    ]


def test_two_connections_add_the_same() -> None:
    """The news of the other one comes before the answer, or stands for it."""
    broker = broker_of()
    one, other = (Online(broker, cid, "alice") for cid in (1, 2))
    one.exchange(encode_group("tea", ["bob"]))
    data, request = one.session.request("add", "tea", "alice")
    assert other.ask("add", "tea", "alice") == []
    one.exchange(data)
    assert request.result() == []
    assert one.items == other.items == [Added("tea", "alice", "alice")]


def test_who_asks_under_another_name_may_be_added_meanwhile() -> None:
    """The server knows the new name before this client does."""
    broker, alice = world()
    data, ping = alice.session.login("alicia")
    broker.receive(2, data)
    send(broker, 1, "SEND *groups* add tea alicia")
    written = broker.next_step(2).write
    alice.session.receive_data(written)
    assert came_back(ping)
    assert items(alice.session) == [Added("tea", "alicia", "bob")]


def test_requests_are_answered_in_order() -> None:
    broker, alice = world()
    send(broker, 1, "GROUP chess alice")
    requests = [alice.session.request("members", group) for group in ("tea", "chess", "tea", "no")]
    alice.exchange(b"".join(data for data, _ in requests))
    results = [request for _, request in requests]
    assert [each.result() for each in results[:3]] == [
        ["bob", "alice"],
        ["alice"],
        ["bob", "alice"],
    ]
    with pytest.raises(RequestRefusedError):
        results[3].result()


def test_messages_and_other_news_come_between() -> None:
    broker, alice = world()
    data, request = alice.session.request("list")
    send(broker, 1, "SEND alice hi", "BROADCAST tea hot", "GROUP go bob")
    send(broker, 1, "SEND *groups* add go alice")
    alice.exchange(data)
    assert request.result() == ["tea", "go"]
    assert alice.items == [HI, Message("bob", b"hot", "tea"), Added("go", "alice", "bob")]


def test_a_later_ping_ends_a_request() -> None:
    """The server handles lines in order."""
    session = new_session()
    start(session)
    _, request = session.request("list")
    _, ping = session.ping()
    session.receive_data(said("list tea") + back(ping))
    assert request.result() == ["tea"]


def test_a_server_that_does_not_answer() -> None:
    _, alice = world(policy=Policy.reference())
    for words in (["list"], ["members", "tea"], ["add", "tea", "carol"]):
        with pytest.raises(NotSupportedError):
            alice.ask(*words)


def test_requests_fail_with_the_connection() -> None:
    _, alice = world()
    _, request = alice.session.request("members", "tea")
    alice.session.receive_data(said("members tea bob"))
    alice.lose()
    with pytest.raises(type(CABLE)):
        request.result()
    alice.connect()
    alice.session.receive_data(said("members tea bob"))
    assert alice.items == [Message(GROUPS, b"members tea bob")]


@pytest.mark.parametrize("words", [["members", "a b"], ["members", ""], ["add", "tea", "x\ny"]])
def test_what_is_no_name_is_not_asked(words: list[str]) -> None:
    """As other words it would be another request, and the server would not answer."""
    _, alice = world()
    with pytest.raises(LocalProtocolError) as caught:
        alice.session.request(*words)
    assert caught.value.code is ErrorCode.BAD_NAME
    assert alice.ask("list") == ["tea"]


def test_after_the_logout_nothing_is_asked() -> None:
    _, alice = world()
    alice.session.send(Logout())
    with pytest.raises(LocalProtocolError, match="logged out"):
        alice.session.request("list")


def test_a_request_reports_no_loss_that_a_flush_has_to_report() -> None:
    session = new_session()
    start(session)
    session.sent()
    session.connection_lost(CABLE)
    start(session)
    session.request("list")
    with pytest.raises(type(CABLE)):
        session.ping()


# Requests that nobody waits for any more


def test_the_answer_to_a_forgotten_request_does_not_answer_the_next_one() -> None:
    _, alice = world()
    first, forgotten = alice.session.request("members", "tea")
    alice.session.forget(forgotten.ping)
    second, request = alice.session.request("members", "tea")
    alice.exchange(first + second)
    assert request.result() == ["bob", "alice"]
    assert alice.items == []
    # Once it is answered, it can be forgotten again.
    alice.session.forget(forgotten.ping)


def test_a_forgotten_request_reports_no_loss() -> None:
    """Its caller can't tell anybody, so the next flush does."""
    session = new_session()
    start(session)
    session.sent()
    _, request = session.request("list")
    session.forget(request.ping)
    session.connection_lost(CABLE)
    start(session)
    with pytest.raises(type(CABLE)):
        session.ping()


def test_a_server_that_answers_nothing_makes_no_client_grow() -> None:
    session = new_session()
    start(session)
    requests = [session.request("list")[1] for _ in range(MOST_REQUESTS)]
    for request in requests:
        session.forget(request.ping)
    with pytest.raises(LocalProtocolError, match="has not answered the last 1000") as caught:
        session.request("list")
    assert caught.value.code is ErrorCode.TOO_MANY
    session.receive_data(back(requests[-1].ping))
    session.request("list")


# What is bounded


def test_an_answer_without_an_end() -> None:
    session = new_session()
    start(session)
    _, request = session.request("members", "tea")
    piece = said("members tea" + " x" * 2000)
    for _ in range(MOST_NAMES // 2000):
        session.receive_data(piece)
    assert session.error is None
    session.receive_data(piece)
    assert isinstance(session.error, RemoteProtocolError)
    assert session.error.code is ErrorCode.TOO_MANY
    with pytest.raises(RemoteProtocolError, match="does not end"):
        request.result()


@pytest.mark.parametrize(
    "take", [ChatSession.take_item, ChatSession.take_message], ids=["items", "messages"]
)
def test_being_added_counts_like_a_message(take: Callable[[ChatSession], object]) -> None:
    """Or somebody could make this client grow."""
    session = new_session(max_queue=3)
    _, ping = session.start()
    session.receive_data(said("on") + back(ping))
    session.receive_data(said("added tea alice bob") * 2 + said("in tea bob hi"))
    assert not session.wants_data
    take(session)
    assert session.wants_data


def test_a_server_that_adds_before_it_answers_the_login() -> None:
    session = new_session(max_queue=3)
    session.start()
    session.receive_data(said("on") + said("added tea alice bob") * 4)
    assert isinstance(session.error, RemoteProtocolError)
    assert session.error.code is ErrorCode.TOO_MANY


def test_a_label_is_read_as_the_server_writes_it() -> None:
    """Whole, or byte by byte."""
    stream = said("in tea bob hi") + encode(Receive(GROUPS, b"added tea alice bob"))
    for pieces in ([stream], [bytes([each]) for each in stream]):
        session = new_session()
        _, ping = session.start()
        session.receive_data(said("on") + back(ping))
        for piece in pieces:
            session.receive_data(piece)
        assert items(session) == [Message("bob", b"hi", "tea"), Added("tea", "alice", "bob")]
