"""Hooks that are coroutine functions, beside plain ones."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from chatproto import Command, Drop, Hook, Hooks, HookVerdict, Refusal, Reply, Said
from chatproto.server.hooks import is_async

AsyncHook: TypeAlias = Callable[[Said], Awaitable[HookVerdict | None]]
"""A coroutine function that looks at what clients send, after all plain hooks of the command. What
the client sends while it waits, waits too; nobody else does."""

AnyHooks: TypeAlias = Mapping[type[Command], Sequence[Hook | AsyncHook]]
"""The hooks for each command, plain and async."""


def split_hooks(hooks: AnyHooks) -> tuple[Hooks, dict[type[Command], list[AsyncHook]]]:
    """Take plain hooks and async ones apart.

    Returns:
        The plain hooks; and those commands that have async ones, with these.
    """
    if not isinstance(hooks, Mapping):
        # The broker says what is wrong.
        return hooks, {}
    plain: dict[type[Command], Any] = {}
    asynchronous: dict[type[Command], list[Any]] = {}
    for command, functions in hooks.items():
        if not isinstance(functions, Sequence):
            plain[command] = functions
            continue
        plain[command] = [each for each in functions if not is_async(each)]
        if found := [each for each in functions if is_async(each)]:
            asynchronous[command] = found
    return plain, asynchronous


async def ask_in_order(
    hooks: Mapping[type[Command], Sequence[AsyncHook]], said: Said
) -> HookVerdict:
    """Ask async hooks in order what becomes of an event. The broker checks what they return."""
    for hook in hooks[type(said.event)]:
        verdict = await hook(said)
        if verdict is None:
            continue
        if isinstance(verdict, Refusal | Reply | Drop) or type(verdict) is not type(said.event):
            return verdict
        said = Said(verdict, said.name, said.peer)
    return said.event
