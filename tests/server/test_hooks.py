"""An application's rules on what clients send: verdicts, questions, waits, and errors."""

from collections.abc import Collection

import pytest

from chatproto import (
    Broadcast,
    ChatBroker,
    CloseReason,
    Command,
    Drop,
    ErrorCode,
    Group,
    Hook,
    HookError,
    Hooks,
    HookVerdict,
    Leave,
    Limits,
    LocalProtocolError,
    Login,
    Logout,
    Receive,
    Refusal,
    Reply,
    Said,
    Send,
)

from ..cluster.world import World
from .brokers import NARROW, fill, flush, login, received, send

FAILED = "*server* ERR REFUSED {} a rule of this server failed"
BUSY = "*server* ERR BUSY SEND not now"


def broker_with(
    hooks: Hooks,
    *names: str,
    ask_hooks: Collection[type[Command]] = (),
    limits: Limits = Limits(),
) -> ChatBroker[int]:
    broker: ChatBroker[int] = ChatBroker(hooks=hooks, ask_hooks=ask_hooks, limits=limits)
    for cid, name in enumerate(names, 1):
        login(broker, cid, name)
    broker.take_log_events()
    return broker


def upper(said: Said) -> HookVerdict:
    assert isinstance(said.event, Send)
    return Send(said.event.to, said.event.data.upper())


def never(said: Said) -> HookVerdict | None:
    raise AssertionError(said)


# Verdicts


def test_hooks_see_what_clients_send() -> None:
    seen: list[Said] = []
    hooks: Hooks = {command: [seen.append] for command in (Login, Send, Broadcast, Group, Leave)}
    broker = broker_with(hooks, "alice")
    send(broker, 1, "SEND alice hi", "GROUP tea alice", "BROADCAST tea x", "LEAVE tea", "SEND")
    assert seen == [
        Said(Login("alice"), None, "peer-1"),
        Said(Send("alice", b"hi"), "alice", "peer-1"),
        Said(Group("tea", ["alice"]), "alice", "peer-1"),
        Said(Broadcast("tea", b"x"), "alice", "peer-1"),
        Said(Leave("tea"), "alice", "peer-1"),
    ]
    assert received(broker, 1)[0] == "alice hi"


@pytest.mark.parametrize("rest", ["SEND bob hi", "SEND bob hi\nCHAT/1.0 SEND bob hi"])
def test_a_hook_changes_a_message(rest: str) -> None:
    broker = broker_with({Send: [upper]}, "alice", "bob")
    send(broker, 1, rest)
    assert set(received(broker, 2)) == {"alice HI"}


def test_hooks_run_in_order_until_one_decides() -> None:
    def busy(said: Said) -> HookVerdict | None:
        assert said.event == Send("bob", b"HI")
        return Refusal("BUSY", "not now")

    broker = broker_with({Send: [upper, busy, never]}, "alice", "bob")
    send(broker, 1, "SEND bob hi")
    assert received(broker, 1) == [BUSY]
    assert received(broker, 2) == []
    # Codes of one's own count together.
    assert broker.snapshot().refusals == {ErrorCode.REFUSED: 1}


def test_a_reply_comes_from_a_reserved_name_and_nothing_else_happens() -> None:
    def answer(said: Said) -> HookVerdict | None:
        assert isinstance(said.event, Send)
        return Reply(b"done", "*mod*") if said.event.to == "*mod*" else None

    broker = broker_with({Send: [answer]}, "alice", limits=Limits(notice_burst=2, notice_rate=1.0))
    send(broker, 1, "SEND *mod* /kick bob", "SEND alice hi")
    assert received(broker, 1) == ["*mod* done", "alice hi"]
    # Replies are limited like notices.
    send(broker, 1, *["SEND *mod* x"] * 5)
    assert received(broker, 1) == ["*mod* done"]


def test_verdicts_that_are_too_long_for_a_line() -> None:
    hooks: Hooks = {
        Send: [lambda _: Reply(b"x" * 600)],
        Group: [lambda _: Refusal("NO_GROUPS", "x" * 600)],
    }
    broker = broker_with(hooks, "alice", limits=NARROW)
    send(broker, 1, "SEND bob hi")
    assert received(broker, 1) == [
        "*server* ERR LINE_TOO_LONG SEND the answer would be too long for you"
    ]
    send(broker, 1, "GROUP tea bob")
    [line] = received(broker, 1)
    assert line.startswith("*server* ERR NO_GROUPS GROUP xxx")
    assert len("CHAT/1.0 RECEIVE " + line + "\n") == 512


def test_a_dropped_event_is_told_to_nobody() -> None:
    broker = broker_with({Login: [lambda _: Drop()]}, "alice")
    assert received(broker, 1) == []
    assert broker.snapshot().users == 0


def test_a_login_that_a_hook_refuses_is_logged() -> None:
    broker: ChatBroker[int] = ChatBroker(hooks={Login: [lambda _: Refusal("BANNED", "you are")]})
    login(broker, 1, "alice")
    assert received(broker, 1) == ["*server* ERR BANNED LOGIN you are"]
    assert str(broker.take_log_events()[-1]) == "login refused alice (peer-1): BANNED you are"


def test_what_a_hook_makes_of_a_login_is_checked() -> None:
    broker = broker_with({Login: [lambda _: Login("x" * 9)]}, "alice", limits=Limits(max_name=8))
    assert received(broker, 1) == ["*server* ERR BAD_NAME LOGIN a name has at most 8 bytes here"]


def test_messages_to_the_server_are_left_alone() -> None:
    broker = broker_with({Send: [never]}, "alice")
    send(broker, 1, "SEND *server* hi")
    assert received(broker, 1) == []


def test_hooks_on_messages_switch_the_fast_path_off_and_others_do_not() -> None:
    for command, is_fast in ((Login, True), (Group, True), (Send, False), (Broadcast, False)):
        broker = broker_with({command: [lambda _: None]}, "alice", "bob")
        assert bool(broker._by_id[1].prefix) is is_fast
        send(broker, 1, "SEND bob hi")
        assert received(broker, 2) == ["alice hi"]


def test_no_hooks_no_cost() -> None:
    broker = broker_with({Send: []}, "alice")
    assert broker._by_id[1].prefix
    assert broker.take_hook_questions() == []
    assert broker.take_hook_failure() is None
    broker.decide(1, Drop())


@pytest.mark.parametrize("command", [Logout, Receive])
def test_nobody_is_kept_from_logging_out(command: type[Command]) -> None:
    with pytest.raises(ValueError, match=f"{command.__name__} can't have hooks"):
        broker_with({command: [never]})
    with pytest.raises(ValueError, match=f"{command.__name__} can't have hooks"):
        broker_with({}, ask_hooks=[command])


@pytest.mark.parametrize("code", ["", "a", "A B", "X" * 33])
def test_codes(code: str) -> None:
    with pytest.raises(ValueError, match="is no code"):
        Refusal(code, "text")


def test_replies_are_valid() -> None:
    with pytest.raises(ValueError, match="no reserved name"):
        Reply(b"hi", "bob")
    with pytest.raises(LocalProtocolError):
        Reply(b"a\nb")


# Errors


def test_a_hook_that_fails_refuses_the_event_and_the_connection_goes_on() -> None:
    error = LookupError("no table")

    def fail(_: Said) -> HookVerdict | None:
        raise error

    broker = broker_with({Group: [fail]}, "alice")
    send(broker, 1, "GROUP tea bob", "SEND alice hi")
    assert received(broker, 1) == [FAILED.format("GROUP"), "alice hi"]
    assert broker.take_hook_failure() is error
    assert broker.take_hook_failure() is None
    [event] = broker.take_log_events()
    assert str(event) == "hook failed for alice (peer-1): GROUP: LookupError: no table"
    assert event.is_error


def test_a_verdict_of_another_type_is_an_error_of_the_hook() -> None:
    broker = broker_with({Send: [lambda _: Leave("tea")]}, "alice")
    send(broker, 1, "SEND alice hi")
    assert received(broker, 1) == [FAILED.format("SEND")]
    assert isinstance(broker.take_hook_failure(), HookError)


def test_an_error_that_fails_to_say_what_it_is() -> None:
    class WorseError(Exception):
        def __str__(self) -> str:
            raise LookupError

    def fail(_: Said) -> HookVerdict | None:
        raise WorseError

    broker = broker_with({Send: [fail]}, "alice")
    send(broker, 1, "SEND alice hi")
    assert received(broker, 1) == [FAILED.format("SEND")]
    assert "SEND: WorseError: its text can't be had" in str(broker.take_log_events()[-1])


@pytest.mark.parametrize("text", ["a\nb", "a\r", "\ud800"])
def test_a_refusal_that_no_line_can_hold_is_an_error_of_the_hook(text: str) -> None:
    broker = broker_with({Send: [lambda _: Refusal("NO", text)]}, "alice")
    send(broker, 1, "SEND alice hi")
    assert received(broker, 1) == [FAILED.format("SEND")]
    assert isinstance(broker.take_hook_failure(), LocalProtocolError)


def test_no_hook_catches_what_ends_the_program() -> None:
    def interrupt(_: Said) -> HookVerdict | None:
        raise KeyboardInterrupt

    broker = broker_with({Send: [interrupt]}, "alice")
    with pytest.raises(KeyboardInterrupt):
        send(broker, 1, "SEND alice hi")


# Waits


def test_hooks_run_once_for_a_message_that_waits_for_a_full_queue() -> None:
    seen: list[Said] = []

    def shout(said: Said) -> HookVerdict:
        seen.append(said)
        return upper(said)

    broker = broker_with({Send: [shout]}, "alice", "bob", limits=NARROW)
    fill(broker, 1, "alice", "bob", 1100)
    seen.clear()
    send(broker, 1, "SEND bob hi", "SEND bob ho")
    assert broker.snapshot().waiting == 1
    assert len(seen) == 1
    flush(broker)
    assert [each.event for each in seen] == [Send("bob", b"hi"), Send("bob", b"ho")]


def test_a_message_that_waits_is_delivered_as_the_hook_has_left_it() -> None:
    broker = broker_with({Send: [upper]}, "alice", "bob", limits=NARROW)
    fill(broker, 1, "alice", "bob", 1100)
    send(broker, 1, "SEND bob hi")
    broker.sent(2, len(broker.next_step(2).write))
    broker.take_ready()
    assert received(broker, 2)[-1] == "alice HI"


def test_an_event_that_waits_is_forgotten_with_its_connection() -> None:
    broker = broker_with({Send: [upper]}, "alice", "bob", limits=NARROW)
    fill(broker, 1, "alice", "bob", 1100)
    send(broker, 1, "SEND bob hi")
    broker.disconnect(1)
    flush(broker)
    assert broker.snapshot().waiting == 0


def test_hooks_run_once_for_what_waits_for_other_nodes() -> None:
    world = World("a", "b")
    seen: list[Said] = []
    world.add("c", hooks={Login: [seen.append], Send: [upper]})
    world.client("a", "alice")
    world.client("c", "bob")
    world.do("c", "bob", "SEND alice hi", "SEND nobody hi")
    assert len(seen) == 1
    assert world.take("a", "alice") == ["bob HI"]
    assert world.take("c", "bob") == ["*server* ERR NO_SUCH_USER SEND nobody is not online"]


# Questions


def test_a_question_about_an_event() -> None:
    broker = broker_with({Send: [upper]}, "alice", "bob", ask_hooks=[Send])
    send(broker, 1, "SEND bob hi", "SEND bob ho")
    send(broker, 2, "GROUP tea bob")
    [question] = broker.take_hook_questions()
    assert (question.cid, question.said) == (1, Said(Send("bob", b"HI"), "alice", "peer-1"))
    assert not broker.next_step(1).read
    broker.decide(question.token, Send("bob", b"changed"))
    assert received(broker, 2) == ["alice changed"]
    [question] = broker.take_hook_questions()
    broker.decide(question.token, Refusal("BUSY", "not now"))
    assert received(broker, 1) == [BUSY]
    broker.decide(question.token, Drop())
    assert broker.next_step(1).read


def test_a_question_whose_answer_is_an_error() -> None:
    broker = broker_with({}, "alice", ask_hooks=[Send])
    send(broker, 1, "SEND alice hi")
    [question] = broker.take_hook_questions()
    broker.decide(question.token, question.said.event, OSError("away"))
    assert received(broker, 1) == [FAILED.format("SEND")]
    assert str(broker.take_log_events()[-1]).endswith("SEND: OSError: away")


def test_a_question_that_nobody_answers() -> None:
    broker = broker_with({}, "alice", ask_hooks=[Send])
    send(broker, 1, "SEND alice hi")
    [question] = broker.take_hook_questions()
    broker.tick(20.0)
    assert received(broker, 1) == ["*server* ERR REFUSED SEND a rule of this server took too long"]
    broker.decide(question.token, question.said.event)
    assert received(broker, 1) == []


def test_a_login_is_asked_about_twice_when_both_want_to_know() -> None:
    broker: ChatBroker[int] = ChatBroker(ask=True, ask_hooks=[Login])
    login(broker, 1, "alice")
    assert broker.take_questions() == []
    [question] = broker.take_hook_questions()
    broker.decide(question.token, Login("bob"))
    [login_question] = broker.take_questions()
    assert login_question.name == "bob"
    broker.answer(login_question.token, allowed=True)
    send(broker, 1, "SEND bob hi")
    assert received(broker, 1) == ["bob hi"]


def test_the_timeout_of_a_question_changes() -> None:
    broker = broker_with({}, "alice", ask_hooks=[Send])
    send(broker, 1, "SEND alice hi")
    broker.reconfigure(limits=Limits(hook_timeout=1.0))
    broker.tick(1.0)
    assert len(received(broker, 1)) == 1


# Ending connections


def close_reason_of(broker: ChatBroker[int], cid: int) -> CloseReason | None:
    return broker._by_id[cid].close_reason


def test_kick_ends_all_connections_of_a_name() -> None:
    broker = broker_with({}, "alice", "bob", "bob")
    assert broker.desk.kick("nobody") == 0
    assert broker.desk.kick("bob", "be nice") == 2
    assert received(broker, 2) == ["*server* ERR REFUSED - be nice"]
    assert close_reason_of(broker, 3) is CloseReason.KICKED
    assert broker.desk.kick("alice") == 1
    assert received(broker, 1) == ["*server* ERR REFUSED - you were disconnected"]
    with pytest.raises(LocalProtocolError):
        broker.desk.kick("alice", "two\nlines")


def test_a_hook_may_end_the_connection_that_it_is_asked_about() -> None:
    def kick(said: Said) -> HookVerdict | None:
        assert said.name is not None
        broker.desk.kick(said.name)
        return None

    broker = broker_with({Send: [kick]}, "alice", "bob")
    send(broker, 1, "SEND bob hi")
    assert received(broker, 1) == ["*server* ERR REFUSED - you were disconnected"]
    assert received(broker, 2) == []


def test_kick_reaches_other_nodes() -> None:
    world = World("a", "b")
    world.client("a", "alice")
    world.client("b", "bob")
    assert world.nodes["a"].broker.desk.kick("bob", "be nice") == 1
    world.run()
    assert world.take("b", "bob") == ["*server* ERR REFUSED - be nice"]
    assert world.nodes["b"].closed == {"bob"}
    # It has gone already.
    world.streams.mail["b#t.1"].append(b"a#t.1 2 0 0\nK 1 0\n")
    world.run()


def test_a_hook_that_ends_its_connection_leaves_no_question() -> None:
    def kick(_: Said) -> None:
        broker.desk.kick("alice")

    broker = broker_with({Send: [kick]}, "alice", ask_hooks=[Send])
    send(broker, 1, "SEND alice hi")
    assert broker.take_hook_questions() == []


# What adapters ask for


@pytest.mark.parametrize("verdict", [Leave("tea"), None, "hi"])
def test_an_answer_that_is_no_verdict(verdict: HookVerdict) -> None:
    broker = broker_with({}, "alice", ask_hooks=[Send])
    send(broker, 1, "SEND alice hi")
    [question] = broker.take_hook_questions()
    broker.decide(question.token, verdict)
    assert received(broker, 1) == [FAILED.format("SEND")]
    assert isinstance(broker.take_hook_failure(), HookError)


def test_questions_that_nobody_waits_for() -> None:
    broker = broker_with({}, "alice", "bob", "carol", ask_hooks=[Send])
    for cid in (1, 2, 3):
        send(broker, cid, "SEND bob hi")
    gone, kicked, late = [each.token for each in broker.take_hook_questions()]
    assert broker.take_withdrawn_questions() == []
    broker.disconnect(1)
    broker.desk.kick("bob")
    broker.tick(20.0)
    assert broker.take_withdrawn_questions() == [gone, kicked, late]
    assert broker.take_withdrawn_questions() == []
    assert broker_with({}, "alice").take_withdrawn_questions() == []


def test_hooks_are_wrapped() -> None:
    calls: list[str] = []

    def wrap(hook: Hook) -> Hook:
        def run(said: Said) -> HookVerdict | None:
            calls.append(hook.__name__)
            return hook(said)

        return run

    broker = broker_with({Send: [upper]}, "alice")
    broker.wrap_hooks(wrap)
    send(broker, 1, "SEND alice hi")
    assert received(broker, 1) == ["alice HI"]
    assert calls == ["upper"]
    broker_with({}, "alice").wrap_hooks(wrap)


async def wait(_: Said) -> HookVerdict | None:
    raise AssertionError


class Waiter:
    async def __call__(self, _: Said) -> HookVerdict | None:
        raise AssertionError


@pytest.mark.parametrize(
    ("hooks", "error", "words"),
    [
        ([never], TypeError, r"a mapping from commands .* such as \{Send: \[f\]\}, and no list"),
        ({Send: never}, TypeError, r"for Send are a list of functions, .* and no function"),
        ({Send: ["x"]}, TypeError, "a hook for Send is no function: 'x'"),
        ({Send: [wait]}, TypeError, r"for Send is a coroutine function: only .* <function wait"),
        ({Send: [never, Waiter()]}, TypeError, "for Send is a coroutine function"),
        ({"SEND": [never]}, ValueError, "'SEND' can't have hooks"),
    ],
)
def test_what_is_no_table_of_hooks(hooks: Hooks, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ChatBroker(hooks=hooks)
