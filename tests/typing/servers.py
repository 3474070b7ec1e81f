"""Hub and broker: the caller's connection ids come back with their type. And servers."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import assert_never, assert_type

import chatproto_anyio
import chatproto_sync
from chatproto import (
    Action,
    Answer,
    ChatBroker,
    ChatHub,
    Counters,
    Deliver,
    Disconnect,
    ErrorCode,
    Event,
    Expire,
    Hooks,
    Joined,
    LagHistogram,
    Leave,
    LogEvent,
    LoginRequest,
    Question,
    Receive,
    Refuse,
    Reply,
    Said,
    Send,
    Step,
)


def hub(event: Event) -> None:
    hub: ChatHub[str] = ChatHub()
    hub.connect("first")
    hub.connect(1)  # type: ignore[arg-type]
    assert_type(hub.handle("first", event), list[Action[str]])
    for action in hub.handle("first", event):
        each_action(action)


def each_action(action: Action[str]) -> None:
    match action:
        case Answer(cid, head, names):
            assert_type(cid, str)
            assert_type((head, names), tuple[str, tuple[str, ...]])
        case Deliver(to, message):
            assert_type(to, tuple[str, ...])
            assert_type(message, Receive)
        case Refuse(cid, code, text):
            assert_type(cid, str)
            assert_type(code, ErrorCode)
            assert_type(text, str)
        case Disconnect(cid, reason):
            assert_type(cid, str)
            assert_type(reason, ErrorCode | None)
        case Expire(group):
            assert_type(group, str)
        case Joined(group, member):
            assert_type(group, str)
            assert_type(member, str)
        case _:
            assert_never(action)


def broker() -> None:
    broker: ChatBroker[tuple[str, int]] = ChatBroker()
    broker.connect(("::1", 1), "peer")
    broker.receive("::1", b"")  # type: ignore[arg-type]
    assert_type(broker.take_ready(), list[tuple[str, int]])
    assert_type(broker.take_outgoing(), list[tuple[tuple[str, int], bytes]])
    assert_type(broker.take_questions(), list[Question[tuple[str, int]]])
    assert_type(broker.take_log_events(), list[LogEvent])
    assert_type(broker.snapshot(), Counters)
    assert_type(broker.snapshot().lag, LagHistogram)
    step = broker.next_step(("::1", 1))
    assert_type(step, Step)
    assert_type(step.write, bytes)
    assert_type(step.read, bool)


def an_id_can_be_hashed(broker: ChatBroker[list[str]]) -> None:  # type: ignore[type-var]
    del broker


def servers(
    decide: Callable[[LoginRequest], bool], ask: Callable[[LoginRequest], Awaitable[bool]]
) -> None:
    blocking = chatproto_sync.Server(port=0, authenticate=decide)
    assert_type(blocking.addresses, list[str])
    assert_type(blocking.snapshot(), Counters)
    asynchronous = chatproto_anyio.Server(port=0, authenticate=ask)
    assert_type(asynchronous.addresses, list[str])
    assert_type(asynchronous.snapshot(), Counters)
    chatproto_sync.Server(["::1", "127.0.0.1"], unix=[Path("a"), "b"])
    chatproto_anyio.Server(host="*", unix="a")
    chatproto_anyio.Server(authenticate=decide)  # type: ignore[arg-type]


def plain(said: Said) -> Send | None:
    return said.event if isinstance(said.event, Send) else None


async def waiting(_: Said) -> Reply:
    return Reply(b"hi", "*mod*")


def table(server: chatproto_sync.Server) -> Hooks:
    assert_type(server.kick("bob"), int)
    return {Send: [plain]}


def hooks() -> None:
    ChatBroker[int](hooks={Send: [plain]}, ask_hooks=[Send])
    chatproto_sync.Server(hooks={Send: [plain]})
    chatproto_sync.Server(hooks=table)
    chatproto_sync.Server(hooks={Send: [waiting]})  # type: ignore[list-item]
    chatproto_anyio.Server(hooks={Send: [plain, waiting], Leave: [plain]})
    chatproto_anyio.Server(hooks=table)  # type: ignore[arg-type]
