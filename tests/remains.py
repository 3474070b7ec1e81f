"""What a broker still keeps of connections that are gone."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from chatproto import ChatBroker, Counters, Limits, Policy

# They count what has happened, or cannot change.
IGNORED = Counters, Limits, Policy
# Groups outlive their members' connections (protocol.md, section 2); the adapter takes the log;
# log lines are counted for a minute, distrust lasts for some seconds, and hooks never change.
KEPT = (
    "._groups",
    ".log._events",
    ".flow._distrusted",
    ".log._windows",
    ".hooks._hooks",
    ".hooks._ask",
    ".hooks.commands",
    ".hooks.failure",
)


def remains(broker: ChatBroker[Any]) -> list[str]:
    """The paths of all containers that hold more than those of a new broker.

    It finds the containers by itself, so it looks at one that is added later too.
    """
    fresh = dict(_sizes(ChatBroker[Any](), "", set()))
    return [
        f"{path}: {size}"
        for path, size in _sizes(broker, "", set())
        if size > fresh.get(path, 0) and not any(each in path for each in KEPT)
    ]


def _sizes(thing: object, path: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    if id(thing) in seen or isinstance(thing, IGNORED):
        return
    seen.add(id(thing))
    if isinstance(thing, Mapping):
        yield path, len(thing)
        for key, value in thing.items():
            yield from _sizes(value, f"{path}[{key}]", seen)
    elif isinstance(thing, list | tuple | AbstractSet | bytearray):
        yield path, len(thing)
    for name in (*getattr(thing, "__dict__", ()), *getattr(type(thing), "__slots__", ())):
        yield from _sizes(getattr(thing, name), f"{path}.{name}", seen)
