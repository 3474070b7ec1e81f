"""Hooks: an application's own rules on what clients send.

Theory of operation
===================

A hook is a function that is called with each event of one kind, before the server executes it. It
lets the event pass, changes it, refuses it, answers it, or drops it. Several hooks run in order,
each on what the one before has made of the event. The first one that does not let it pass decides.

Hooks run once for each line. If the event has to wait afterwards, for a full queue, an answer or
other nodes, what waits is the event that the hooks have made. That is why a hook is a filter and
does not wrap what follows: its call would have to last as long as the wait.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, Final, Generic, TypeAlias

from ..routing.actions import ConnectionId
from ..wire.errors import ErrorCode
from ..wire.events import Broadcast, Command, Group, Leave, Login, Receive, Send
from ..wire.names import SERVER_NAME, is_reserved
from .limits import Limits
from .notices import check_text
from .peer import Peer, Phase
from .questions import Questions

HOOKABLE: Final = (Login, Send, Broadcast, Group, Leave)
"""The commands that hooks may look at. Nobody may be kept from LOGOUT."""

_CODE: Final = re.compile(r"[A-Z][A-Z_]{0,31}")


@dataclass(frozen=True, slots=True)
class Said:
    """Something that a client has sent, as a hook gets it."""

    event: Command
    """What it has sent, as the hooks before have left it."""

    name: str | None
    """The name that it is logged in under; None before LOGIN."""

    peer: str
    """Where it comes from: `192.0.2.1:49152`, `[2001:db8::1]:49152`, `unix`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A verdict: the event is not executed, and the client gets a notice (protocol.md, section 3).

    Raises:
        ValueError: The code has other characters than capitals and `_`, or more than 32.
        LocalProtocolError: No line can hold the text.
    """

    code: str
    """Why; an `ErrorCode` or one of your own."""

    text: str
    """The same in words for people. What is too long for a line is cut off."""

    def __post_init__(self) -> None:
        if not _CODE.fullmatch(self.code):
            raise ValueError(f"{self.code!r} is no code: use capitals and _, at most 32")
        check_text(self.text)


@dataclass(frozen=True, slots=True)
class Reply:
    """A verdict: the event is not executed, and the client gets an answer.

    Raises:
        ValueError: The sender's name does not begin with `*`, so a user may have it.
        LocalProtocolError: The sender's name is none, or no line can hold the data.
    """

    data: bytes
    """The answer."""

    sender: str = SERVER_NAME
    """The reserved name that it comes from."""

    def __post_init__(self) -> None:
        Receive(self.sender, self.data)
        if not is_reserved(self.sender):
            raise ValueError(f"{self.sender!r} is no reserved name: begin it with *")


@dataclass(frozen=True, slots=True)
class Drop:
    """A verdict: the event is not executed, and nobody is told."""


HookVerdict: TypeAlias = Command | Refusal | Reply | Drop
"""What becomes of an event: one of the same kind is executed in its place."""

Hook: TypeAlias = Callable[[Said], HookVerdict | None]
"""A function that looks at what clients send. None lets the event pass as it is."""

Hooks: TypeAlias = Mapping[type[Command], Sequence[Hook]]
"""The hooks for each command, in the order in which they run."""

FAILED: Final = Refusal(ErrorCode.REFUSED, "a rule of this server failed")
TIMED_OUT: Final = Refusal(ErrorCode.REFUSED, "a rule of this server took too long")


@dataclass(frozen=True, slots=True)
class HookQuestion(Generic[ConnectionId]):
    """The question what becomes of an event. `ChatBroker.decide` takes the answer."""

    token: int
    """What to give `ChatBroker.decide`."""

    cid: ConnectionId
    """The connection."""

    said: Said
    """The event, as the hooks that the broker calls itself have left it."""


class HookError(TypeError):
    """A hook has returned something that is no verdict on its event."""


def words_of(error: BaseException) -> str:
    """The type and the text of an error. The error itself may fail to say what it is."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - whatever an application does, the server goes on
        text = "its text can't be had: __str__ has failed too"
    return f"{type(error).__name__}: {text}"


def apply_hooks(hooks: Sequence[Hook], said: Said) -> HookVerdict:
    """Ask hooks in order what becomes of an event.

    Raises:
        HookError: One of them has returned something that is no verdict.
    """
    for hook in hooks:
        verdict = hook(said)
        if verdict is None:
            continue
        check_verdict(verdict, said.event)
        if isinstance(verdict, Refusal | Reply | Drop):
            return verdict
        said = Said(verdict, said.name, said.peer)
    return said.event


def check_verdict(verdict: object, event: Command) -> None:
    """Check that something is a verdict on an event.

    Raises:
        HookError: It is none.
    """
    if not isinstance(verdict, Refusal | Reply | Drop) and type(verdict) is not type(event):
        raise HookError(
            f"a hook for {type(event).__name__} returns None, {type(event).__name__}, Refusal, "
            f"Reply or Drop, and this one has returned {type(verdict).__name__}"
        )


def check_hooks(hooks: object, *, takes_async: bool = False) -> None:
    """Check that something is a table of hooks.

    Args:
        hooks: What should be one.
        takes_async: Whether coroutine functions may be among the hooks.

    Raises:
        TypeError: It is none, or has coroutine functions.
        ValueError: One of the commands can't have hooks.
    """
    if not isinstance(hooks, Mapping):
        raise TypeError(
            "hooks are a mapping from commands to lists of functions, such as {Send: [f]}, and no "
            f"{type(hooks).__name__}"
        )
    check_commands(hooks)
    for command, functions in hooks.items():
        if not isinstance(functions, Sequence):
            raise TypeError(
                f"the hooks for {command.__name__} are a list of functions, such as [f], and no "
                f"{type(functions).__name__}"
            )
        for hook in functions:
            if not callable(hook):
                raise TypeError(f"a hook for {command.__name__} is no function: {hook!r}")
            if is_async(hook) and not takes_async:
                raise TypeError(
                    f"a hook for {command.__name__} is a coroutine function: only the server of "
                    f"chatproto_anyio can take {hook!r}"
                )


def check_commands(commands: Collection[object]) -> None:
    """Check that commands can have hooks.

    Raises:
        ValueError: One of them can't.
    """
    for command in commands:
        if command not in HOOKABLE:
            name = command.__name__ if isinstance(command, type) else repr(command)
            raise ValueError(
                f"{name} can't have hooks, only Login, Send, Broadcast, Group and Leave"
            )


def is_async(hook: object) -> bool:
    """Whether a hook is a coroutine function, or an object whose `__call__` is one."""
    return iscoroutinefunction(hook) or iscoroutinefunction(getattr(hook, "__call__", None))  # noqa: B004


class HookRunner:
    """Runs the hooks of a broker.

    Args:
        hooks: The hooks that the broker calls itself.
        ask: The commands about which it also asks the adapter, after its own hooks.
        limits: How long an answer may take.

    Raises:
        TypeError: `hooks` is no table of plain functions.
        ValueError: One of the commands can't have hooks.
    """

    def __init__(self, hooks: Hooks, ask: Collection[type[Command]], limits: Limits) -> None:
        check_hooks(hooks)
        check_commands(ask)
        self._hooks = {command: tuple(functions) for command, functions in hooks.items()}
        self._ask = frozenset(ask)
        self.commands: frozenset[type[Any]] = frozenset(
            {*self._ask, *(command for command, functions in self._hooks.items() if functions)}
        )
        """The commands that have hooks."""
        self.questions: Questions[Said, HookVerdict] = Questions(limits.hook_timeout, TIMED_OUT)
        # What waits after the hooks have seen it.
        self._passed: dict[Peer, Command] = {}
        self.failure: BaseException | None = None
        """The last error that a hook has raised, until somebody takes it."""
        self.withdrawn: list[int] = []
        """The tokens of questions that nobody waits for any more, until somebody takes them."""

    def wrap(self, wrapper: Callable[[Hook], Hook]) -> None:
        """Replace each hook by what a function makes of it."""
        self._hooks = {
            command: tuple(map(wrapper, functions)) for command, functions in self._hooks.items()
        }

    def decide(
        self, peer: Peer, event: Command, name: str | None, now: float
    ) -> HookVerdict | Exception | None:
        """Decide what becomes of an event.

        Args:
            peer: The connection that has sent it.
            event: The event.
            name: The connection's name.
            now: The time in seconds.

        Returns:
            The verdict; None while it is open; the error if a hook has raised one.
        """
        passed = self._passed.pop(peer, None)
        if passed is not None:
            return passed
        verdict = self.questions.take_verdict(peer)
        if verdict is not None:
            return verdict
        # The server never answers messages to itself. Otherwise it would go on for ever with a
        # client that answers notices.
        if type(event) is Send and event.to == SERVER_NAME:
            return event
        said = Said(event, name, peer.origin)
        try:
            verdict = apply_hooks(self._hooks.get(type(event), ()), said)
        except Exception as error:  # noqa: BLE001 - whatever an application does, the server goes on
            self.failure = error
            return error
        # Not if a hook has ended the connection.
        if type(verdict) in self._ask and peer.phase is Phase.OPEN:
            self.questions.ask(peer, Said(verdict, name, peer.origin), now)  # type: ignore[arg-type]
            return None
        return verdict

    def keep(self, peer: Peer, event: Command) -> None:
        """Keep an event that has to wait: its connection will send the line once more."""
        self._passed[peer] = event

    def take_unanswered(self, now: float) -> Iterator[Peer]:
        """The connections whose question was not answered in time; they are refused."""
        for peer, token in self.questions.take_unanswered(now):
            self.withdrawn.append(token)
            yield peer

    def forget(self, peer: Peer) -> None:
        """Forget a connection that is being closed."""
        self._passed.pop(peer, None)
        token = self.questions.forget(peer)
        if token is not None:
            self.withdrawn.append(token)
