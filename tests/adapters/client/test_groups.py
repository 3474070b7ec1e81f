"""The clients' groups (`client` in both packages), with each kind of server (section 5)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chatproto import (
    Added,
    Backoff,
    ConnectionLostError,
    Disconnected,
    ErrorCode,
    LocalProtocolError,
    Message,
    NotSupportedError,
    Policy,
    Reconnected,
    RequestRefusedError,
)

from ..clients import (
    ASK_FOR_LABELS,
    BlockingClient,
    Connect,
    each_client,
    played,
    times_out,
    where,
)
from ..servers import TIMEOUT, SocketClient, Start, clients, run_sync
from .scripted import Player, ScriptedServer, tell

pytestmark = each_client

QUICK = Backoff(first=0.001, cap=0.01, give_up=TIMEOUT)

SILENT: list[dict[str, Any]] = [{"policy": Policy.reference()}, {"notices": False}]
"""Servers that do nothing of this."""


def echo(chat: BlockingClient, count: int) -> None:
    """Answer that many messages, each where it came from."""
    for _ in range(count):
        chat.reply(chat.receive(TIMEOUT), b"echo")


def test_a_reply_goes_where_the_message_came_from(connect: Connect, start: Start) -> None:
    with (
        start(port=0) as server,
        connect(name="bot", **where(server)) as bot,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        alice.write(b"CHAT/1.0 GROUP tea bot alice bob\n")
        for line in (b"BROADCAST tea ", b"SEND bot "):
            alice.write(b"CHAT/1.0 " + line + b"hi\n")
        echo(bot, 2)
        # In the group, and then to alice alone.
        assert alice.read_line() == alice.read_line() == b"CHAT/1.0 RECEIVE bot echo\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice hi\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE bot echo\n"
        bot.flush()
        bob.flush("bob")
        alice.flush("alice")


def test_messages_have_their_groups(connect: Connect, start: Start) -> None:
    with (
        start(port=0) as server,
        connect(name="alice", **where(server)) as alice,
        connect(name="bob", groups=False, **where(server)) as bob,
        SocketClient(server.addresses[0]) as carol,
    ):
        carol.login("carol")
        assert (alice.labels, bob.labels) == (True, False)
        for group in (b"tea", b"chess"):
            carol.write(b"CHAT/1.0 GROUP %b alice bob carol\n" % group)
            carol.write(b"CHAT/1.0 BROADCAST %b  two  spaces \n" % group)
        carol.write(b"CHAT/1.0 SEND alice in tea bob forged\n")
        assert [alice.receive(TIMEOUT) for _ in range(3)] == [
            Message("carol", b" two  spaces ", "tea"),
            Message("carol", b" two  spaces ", "chess"),
            Message("carol", b"in tea bob forged"),
        ]
        # Who does not ask gets what there was always.
        assert [bob.receive(TIMEOUT) for _ in range(2)] == [Message("carol", b" two  spaces ")] * 2
        # A message that a client sends to its own name has no group.
        alice.send("alice", "psst")
        assert alice.receive(TIMEOUT) == Message("alice", b"psst")


def test_requests(connect: Connect, start: Start) -> None:
    with (
        start(port=0) as server,
        connect(name="alice", **where(server)) as alice,
        connect(name="carol", **where(server)) as carol,
    ):
        assert alice.groups() == []
        alice.group("tea", ["alice", "bob"])
        assert alice.groups() == ["tea"]
        assert alice.members("tea") == ["alice", "bob"]
        with pytest.raises(RequestRefusedError, match="no group tea that you are in") as caught:
            carol.members("tea")
        assert caught.value.code is ErrorCode.NO_SUCH_GROUP

        alice.add("tea", "carol")
        assert carol.receive_item(TIMEOUT) == Added("tea", "carol", "alice")
        assert carol.members("tea") == ["alice", "bob", "carol"]
        with pytest.raises(RequestRefusedError, match="does not let you add") as caught:
            carol.add("tea", "dave")
        assert caught.value.code is ErrorCode.NOT_ALLOWED
        # Afterwards the clients are as usable as before.
        carol.broadcast("tea", "thank you")
        assert alice.receive(TIMEOUT) == Message("carol", b"thank you", "tea")
        assert alice.take_notices() == carol.take_notices() == []


def test_requests_work_without_labels(connect: Connect) -> None:
    """They are asked one by one."""
    with run_sync(port=0) as server, connect(name="a", groups=False, **where(server)) as chat:
        chat.group("tea", ["a"])
        assert (chat.groups(), chat.members("tea")) == (["tea"], ["a"])
        chat.add("tea", "b")
        assert chat.members("tea") == ["a", "b"]


def test_messages_that_wait_are_not_lost(connect: Connect) -> None:
    """An answer stands behind them."""
    with (
        run_sync(port=0) as server,
        connect(name="alice", **where(server)) as alice,
        SocketClient(server.addresses[0]) as bob,
    ):
        bob.login("bob")
        bob.write(b"CHAT/1.0 GROUP tea alice bob\n" + b"CHAT/1.0 BROADCAST tea hi\n" * 100)
        bob.flush("bob")
        assert alice.members("tea") == ["alice", "bob"]
        assert [alice.receive(0) for _ in range(100)] == [Message("bob", b"hi", "tea")] * 100


def test_receiving_drops_the_news(connect: Connect) -> None:
    with (
        run_sync(port=0) as server,
        connect(name="alice", max_queue=1, **where(server)) as alice,
        connect(name="bob", **where(server)) as bob,
    ):
        bob.group("tea", ["bob"])
        for _ in range(3):
            bob.add("tea", "alice")
        bob.broadcast("tea", "welcome")
        assert next(alice) == Message("bob", b"welcome", "tea")


@pytest.mark.parametrize("options", SILENT, ids=["reference", "no notices"])
def test_servers_that_do_nothing_of_this(
    connect: Connect, start: Start, options: dict[str, Any]
) -> None:
    with (
        start(port=0, **options) as server,
        connect(name="alice", **where(server)) as alice,
        connect(name="bob", **where(server)) as bob,
    ):
        assert not alice.labels
        for ask in (alice.groups, lambda: alice.members("tea"), lambda: alice.add("tea", "bob")):
            with pytest.raises(NotSupportedError, match="this server does not answer requests"):
                ask()
        alice.group("tea", ["alice", "bob"])
        alice.broadcast("tea", "hot")
        message = bob.receive(TIMEOUT)
        assert message == Message("alice", b"hot")
        # What else could it do?
        bob.reply(message, "where was that?")
        assert alice.receive(TIMEOUT) == Message("bob", b"where was that?")
        assert alice.take_notices() == bob.take_notices() == []


def test_someone_who_has_taken_the_name_of_the_service(connect: Connect) -> None:
    """On the reference server anybody can, as with the name of the server itself."""
    forged = (b"*groups* in tea bob hi", b"*groups* on", b"*groups* added tea alice bob")
    with (
        ScriptedServer([Player.login, tell(*forged), Player.serve]) as server,
        connect(name="alice", **where(server)) as chat,
    ):
        assert [chat.receive(TIMEOUT) for _ in forged] == [
            Message("*groups*", line.partition(b" ")[2]) for line in forged
        ]


def test_labels_are_asked_for_again(connect: Connect) -> None:
    """After a reconnect the server is another one, or knows nothing of what was asked."""

    def log_in(player: Player) -> None:
        ping = player.asked_in()
        tell(b"*groups* on")(player)
        player.write(ping)

    script = [log_in, tell(b"*groups* in tea bob hi")]
    with (
        ScriptedServer(script, [Player.login, *script[1:]], [*script, Player.serve]) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        hi = Message("bob", b"hi", "tea")
        assert chat.receive_item(TIMEOUT) == hi
        assert isinstance(chat.receive_item(TIMEOUT), Disconnected)
        assert isinstance(chat.receive_item(TIMEOUT), Reconnected)
        # This server has not said that it knows labels.
        assert chat.receive_item(TIMEOUT) == Message("*groups*", b"in tea bob hi")
        assert chat.receive(TIMEOUT) == hi
        for number in range(3):
            assert bytes(server.player(number).received).count(ASK_FOR_LABELS) == 1


def test_a_request_under_way_when_the_connection_is_lost(connect: Connect) -> None:
    with (
        ScriptedServer(
            [Player.login, Player.read_line, tell(b"*groups* list tea")],
            [Player.login, Player.read_line, tell(b"*groups* list chess"), Player.echo],
        ) as server,
        connect(name="alice", reconnect=QUICK, **where(server)) as chat,
    ):
        with pytest.raises(ConnectionLostError):
            chat.groups()
        assert chat.groups() == ["chess"]


def test_a_request_that_takes_too_long(connect: Connect) -> None:
    """Its answer, when it comes, does not answer the next request."""
    with played(connect) as (chat, peer):
        pings: list[bytes] = []

        def read() -> None:
            assert peer.read_line() == b"SEND *groups* members tea\n"
            pings.append(peer.read_line().replace(b"SEND ", b"CHAT/1.0 RECEIVE "))

        times_out(chat, lambda: chat.members("tea"), read)

        def answer_both() -> None:
            read()
            for ping, name in zip(pings, (b"bob", b"carol"), strict=True):
                peer.say("*groups*", b"members tea " + name)
                peer.write(ping)

        with ThreadPoolExecutor() as pool:
            answering = pool.submit(answer_both)
            assert chat.members("tea") == ["carol"]
            answering.result()


@pytest.mark.parametrize("name", ["", "a b", "x" * 65])
def test_what_is_no_name(connect: Connect, name: str) -> None:
    with run_sync(port=0) as server, connect(name="alice", **where(server)) as chat:
        for ask in (lambda: chat.members(name), lambda: chat.add("tea", name)):
            with pytest.raises(LocalProtocolError) as caught:
                ask()
            assert caught.value.code is ErrorCode.BAD_NAME
        assert chat.groups() == []


def test_after_the_logout(connect: Connect) -> None:
    with run_sync(port=0) as server, connect(name="alice", **where(server)) as chat:
        chat.logout()
        with pytest.raises(LocalProtocolError, match="logged out"):
            chat.groups()


def test_threads_ask_at_the_same_time(connect: Connect) -> None:
    with (
        run_sync(port=0) as server,
        connect(name="alice", **where(server)) as chat,
        ThreadPoolExecutor() as pool,
    ):
        wanted = {f"group-{number}": [f"member-{number}", "alice"] for number in range(20)}
        for group, members in wanted.items():
            chat.group(group, members)
        asking = {group: pool.submit(chat.members, group) for group in wanted}
        assert {group: each.result(TIMEOUT) for group, each in asking.items()} == wanted
