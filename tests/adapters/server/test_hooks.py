"""`Server(hooks=...)`: an application's rules on all three servers, plain and async ones."""

import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import Command, Drop, Hooks, HookVerdict, Limits, Refusal, Reply, Said, Send
from chatproto_anyio import AnyHooks, AsyncHook

from ..servers import KINDS, TIMEOUT, SocketClient, Start, clients
from ..sockets.insides import Clock

FAILED = b"CHAT/1.0 RECEIVE *server* ERR REFUSED SEND a rule of this server failed\n"
LATE = b"CHAT/1.0 RECEIVE *server* ERR REFUSED SEND a rule of this server took too long\n"

each_loop = pytest.mark.parametrize(
    "start", [KINDS["asyncio"], KINDS["trio"]], ids=["asyncio", "trio"]
)

Server = chatproto_sync.Server | chatproto_anyio.Server


def upper(said: Said) -> HookVerdict | None:
    """Change what does not come from `flush`."""
    event = cast(Send, said.event)
    return None if event.data == b"flush" else Send(event.to, event.data.upper())


def in_task(hook: Callable[[Said], HookVerdict | None]) -> AsyncHook:
    async def ask(said: Said) -> HookVerdict | None:
        await anyio.lowlevel.checkpoint()
        return hook(said)

    return ask


def test_plain_hooks(start: Start) -> None:
    """Among them one that uses the server."""

    def table(server: Server) -> Hooks:
        def moderate(said: Said) -> HookVerdict | None:
            event = cast(Send, said.event)
            if event.to != "*mod*":
                return None
            return Reply(b"ended %d" % server.kick(event.data.decode(), "be nice"), "*mod*")

        return {Send: [moderate, upper]}

    with (
        start(port=0, hooks=table) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        alice.write(b"CHAT/1.0 SEND bob hi\nCHAT/1.0 SEND *mod* bob\n")
        assert alice.read_line() == b"CHAT/1.0 RECEIVE *mod* ended 1\n"
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice HI\n"
        assert b"be nice" in bob.read_line()
        # Nobody who makes the server end a connection may end itself before it has its answer.
        alice.write(b"CHAT/1.0 SEND *mod* alice\n")
        assert b"be nice" in alice.read_line()


def test_errors_are_logged_once_with_a_traceback(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(said: Said) -> HookVerdict | None:
        if cast(Send, said.event).data == b"flush":
            return None
        raise LookupError("no table")

    with start(port=0, hooks={Send: [fail]}) as server:
        clock = Clock(server)
        with clients(server.addresses[0], "alice") as [alice]:
            for _ in range(2):
                alice.write(b"CHAT/1.0 SEND bob hi\n" * 2)
                assert [alice.read_line(), alice.read_line()] == [FAILED] * 2
                # The server writes before it logs.
                alice.flush("alice")
                clock.skip(60.0)
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    kinds = [each.getMessage().partition(" (")[0] for each in errors]
    assert sorted(kinds) == ["a hook failed"] * 2 + ["hook failed for alice"] * 4
    [first, *_] = [each for each in errors if each.exc_info]
    assert cast(Any, first.exc_info)[0] is LookupError
    assert errors[-1].getMessage().endswith("SEND: LookupError: no table")


def test_a_slow_hook_is_logged_once_a_minute(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    clock: list[Clock] = []
    times = {b"slow": 0.06, b"quick": 0.04}

    def slow(said: Said) -> HookVerdict | None:
        clock[0].skip(times.get(cast(Send, said.event).data, 0.0))
        return None

    with start(port=0, hooks={Send: [slow]}) as server:
        clock.append(Clock(server))
        with clients(server.addresses[0], "alice") as [alice]:
            for data in (b"quick", b"slow", b"slow"):
                alice.write(b"CHAT/1.0 SEND alice %b\n" % data)
                alice.read_line()
            clock[0].skip(60.0)
            alice.write(b"CHAT/1.0 SEND alice slow\n")
            alice.read_line()
    name = "test_a_slow_hook_is_logged_once_a_minute.<locals>.slow"
    text = f"a hook has taken 60 ms, and the server has served nobody meanwhile: {name}"
    assert [each for each in caplog.messages if "hook" in each] == [text] * 2


def test_what_is_no_hook(start: Start) -> None:
    with contextlib.ExitStack() as stack:
        with pytest.raises(TypeError, match="hooks are a mapping"):
            stack.enter_context(start(port=0, hooks=[upper]))
        with pytest.raises(TypeError, match="are a list of functions"):
            stack.enter_context(start(port=0, hooks={Send: upper}))
    with pytest.raises(TypeError, match="only the server of chatproto_anyio can take"):
        chatproto_sync.Server(port=0, hooks={Send: [in_task(upper)]})  # type: ignore[list-item] # pyright: ignore[reportArgumentType]


# Async hooks


@each_loop
def test_async_hooks_run_in_order_after_plain_ones(start: Start) -> None:
    class Last:
        async def __call__(self, said: Said) -> HookVerdict | None:
            match cast(Send, said.event).data:
                case b"LEAVE 1!":
                    return Drop()
                case b"BUSY 1!":
                    return Refusal("BUSY", "not now")
            return None

    def number(said: Said) -> HookVerdict | None:
        event = cast(Send, said.event)
        return None if event.data == b"flush" else Send(event.to, event.data + b" 1!")

    hooks: AnyHooks = {Send: [in_task(number), upper, Last()]}
    with (
        start(port=0, hooks=hooks) as server,
        clients(server.addresses[0], "alice") as [alice],
    ):
        alice.write(
            b"".join(b"CHAT/1.0 SEND alice %b\n" % each for each in (b"hi", b"leave", b"busy"))
        )
        assert alice.read_line() == b"CHAT/1.0 RECEIVE alice HI 1!\n"
        assert alice.read_line() == b"CHAT/1.0 RECEIVE *server* ERR BUSY SEND not now\n"
        alice.flush("alice")


@each_loop
def test_async_hooks_that_fail(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    """Two ways to fail, and one of them has the traceback."""

    async def fail(said: Said) -> HookVerdict | None:
        match cast(Send, said.event).data:
            case b"raise":
                raise LookupError("no table")
            case b"return":
                return cast(Command, "hi")
        return None

    with (
        start(port=0, hooks={Send: [fail]}) as server,
        clients(server.addresses[0], "alice") as [alice],
    ):
        for data in (b"raise", b"return"):
            alice.write(b"CHAT/1.0 SEND alice %b\n" % data)
            assert alice.read_line() == FAILED
        alice.flush("alice")
    errors = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert [bool(each.exc_info) for each in errors].count(True) == 1
    [first, second] = [each.getMessage() for each in errors if not each.exc_info]
    assert first.endswith("SEND: LookupError: no table")
    assert "and this one has returned str" in second


class Gate:
    """An async hook that lets pass what comes from alice, and waits for ever otherwise."""

    def __init__(self) -> None:
        self.waiting = threading.Event()
        self.cancelled = threading.Event()

    async def __call__(self, said: Said) -> HookVerdict | None:
        if said.name == "alice":
            return None
        self.waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()
        raise AssertionError


@each_loop
@pytest.mark.parametrize("how", ["kick", "shutdown"])
def test_the_server_ends_a_connection_and_cancels_its_call(start: Start, how: str) -> None:
    gate = Gate()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start(port=0, hooks={Send: [gate]}))
        alice, bob = (SocketClient(server.addresses[0]) for _ in range(2))
        stack.callback(alice.close)
        stack.callback(bob.close)
        alice.login("alice")
        bob.write(b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND alice hi\n")
        assert gate.waiting.wait(TIMEOUT)
        # Nobody else waits.
        alice.flush("alice")
        if how == "kick":
            assert cast(chatproto_anyio.Server, server).kick("bob") == 1
        else:
            stack.close()
        assert gate.cancelled.wait(TIMEOUT)


@each_loop
def test_a_call_that_takes_too_long_is_cancelled(start: Start) -> None:
    gate = Gate()
    with (
        start(port=0, hooks={Send: [gate]}) as server,
        SocketClient(server.addresses[0]) as bob,
    ):
        bob.write(b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND bob hi\n")
        assert gate.waiting.wait(TIMEOUT)
        # On the clock of the server, not on that of the event loop.
        Clock(server).skip(Limits().hook_timeout)
        assert bob.read_line() == LATE
        assert gate.cancelled.wait(TIMEOUT)


@each_loop
def test_the_timeout_of_a_call_changes(start: Start) -> None:
    gate = Gate()
    with (
        start(port=0, hooks={Send: [gate]}) as server,
        SocketClient(server.addresses[0]) as bob,
    ):
        server.reconfigure(limits=Limits(hook_timeout=0.01))
        bob.write(b"CHAT/1.0 LOGIN bob\nCHAT/1.0 SEND bob hi\n")
        assert bob.read_line() == LATE
        assert gate.cancelled.wait(TIMEOUT)
