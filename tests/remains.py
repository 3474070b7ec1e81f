"""What a broker still has of connections that are gone."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from chatproto import ChatBroker, Counters, Limits, Policy

# They are about the past, or cannot change.
PASSED_OVER = Counters, Limits, Policy
# Groups outlive their members' connections (protocol.md, section 2); the log is for the adapter.
KEPT = "._groups", ".log._events"


def remains(broker: ChatBroker[Any]) -> list[str]:
    """The paths of all containers that have more in them than those of a new broker.

    No name of a container stands here, so one that is new is looked at too.
    """
    fresh = dict(_sizes(ChatBroker[Any](), "", set()))
    return [
        f"{path}: {size}"
        for path, size in _sizes(broker, "", set())
        if size > fresh.get(path, 0) and not any(each in path for each in KEPT)
    ]


def _sizes(thing: object, path: str, seen: set[int]) -> Iterator[tuple[str, int]]:
    if id(thing) in seen or isinstance(thing, PASSED_OVER):
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
