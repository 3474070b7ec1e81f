"""`confirm=True` of both clients (`client`): what a server refuses is raised."""

from collections.abc import Callable

import pytest

from chatproto import (
    ConnectionLostError,
    ErrorCode,
    Message,
    NotSupportedError,
    RequestRefusedError,
)

from ..clients import Connect, each_client, played, where
from ..servers import KINDS, TIMEOUT, Start, run_sync

pytestmark = each_client


@pytest.mark.parametrize("start", KINDS.values(), ids=KINDS)
def test_each_command_is_confirmed_or_refused(connect: Connect, start: Start) -> None:
    with (
        start(port=0) as server,
        connect(name="alice", **where(server)) as alice,
        connect(name="bob", **where(server)) as bob,
    ):
        alice.send("bob", "one", confirm=True)
        alice.group("tea", ["alice", "bob"], confirm=True)
        alice.broadcast("tea", "two", confirm=True)
        assert [next(bob), next(bob)] == [Message("alice", b"one"), Message("alice", b"two", "tea")]
        bob.reply(Message("alice", b"", "tea"), "three", confirm=True)
        bob.leave("tea", confirm=True)
        assert next(alice) == Message("bob", b"three", "tea")
        # Refusals of what is sent without it stay notices.
        alice.send("carol", "hi")
        refusals: list[tuple[Callable[[], None], ErrorCode]] = [
            (lambda: alice.send("carol", "hi", confirm=True), ErrorCode.NO_SUCH_USER),
            (lambda: alice.group("tea", confirm=True), ErrorCode.GROUP_EXISTS),
            (lambda: bob.broadcast("tea", "hi", confirm=True), ErrorCode.NOT_A_MEMBER),
            (lambda: bob.leave("tea", confirm=True), ErrorCode.NOT_A_MEMBER),
            (
                lambda: alice.reply(Message("carol", b""), "hi", confirm=True),
                ErrorCode.NO_SUCH_USER,
            ),
        ]
        for refused, code in refusals:
            with pytest.raises(RequestRefusedError) as caught:
                refused()
            assert caught.value.code == code
        assert [notice.text for notice in alice.take_notices()] == ["carol is not online"]
        assert bob.take_notices() == []


def test_a_server_without_notices(connect: Connect) -> None:
    with (
        run_sync(port=0, notices=False) as server,
        connect(name="alice", **where(server)) as alice,
    ):
        with pytest.raises(NotSupportedError, match="does not say what it refuses"):
            alice.send("alice", "hi", confirm=True)
        assert alice.receive(TIMEOUT) == Message("alice", b"hi")


def test_the_connection_ends_before_the_server_has_confirmed_it(connect: Connect) -> None:
    with played(connect) as (alice, peer):
        peer.close()
        with pytest.raises(ConnectionLostError):
            alice.send("bob", "hi", confirm=True)
