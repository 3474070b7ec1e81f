"""The requests of those who run a server, and the answers: JSON in, JSON out, without I/O.

A request is one line with an object: what to do, and texts that say to whom. The answer is one line
with an object too: `result`, or `error` with words for people.

    {"do": "kick", "name": "bob", "text": "be nice"}
    {"result": {"connections": 1}}
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, Final, NamedTuple

from chatproto import SERVER_NAME, Desk, LocalProtocolError
from chatproto.server.notices import check_text

MAX_REQUEST: Final = 65536
"""Most bytes of a request. A message of 4096 bytes fits, whatever JSON has to escape in it."""

CHUNK: Final = 100
"""Rows of a list that are made into JSON at once."""


@dataclass(frozen=True, slots=True)
class Office:
    """What a request can reach."""

    desk: Desk
    """What there is, and what can be done; the log names who has done it."""
    stats: Callable[[], Mapping[str, Any]]
    """Returns numbers about the server."""
    drain: Callable[[], None]
    """Has the server shut down."""
    reload: Callable[[], str] | None = None
    """Reads the configuration again, and returns what is wrong with it, in words for people; empty
    for nothing. None if there is no configuration to read."""


class _Action(NamedTuple):
    """What a request can ask for."""

    run: Callable[..., Any]
    """Called with the office and the texts; returns the result."""
    needs: tuple[str, ...] = ()
    """The texts that the request has to have."""
    takes: tuple[str, ...] = ()
    """The texts that it may have."""


def parse_request(line: bytes) -> tuple[str, dict[str, str]]:
    """Take a request apart.

    Args:
        line: The line, with or without its end.

    Returns:
        What to do, and the texts by name.

    Raises:
        ValueError: It is no request. The error has words for people.
    """
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("a request is a line with an object in JSON") from None
    if not isinstance(request, dict) or not all(isinstance(each, str) for each in request.values()):
        raise ValueError('a request is an object of texts, such as {"do": "users"}')
    do = request.pop("do", "")
    if do not in ACTIONS:
        raise ValueError(f"there is no {do!r} to do; there is {', '.join(ACTIONS)}")
    try:
        "".join(request.values()).encode()
    except UnicodeEncodeError:
        raise ValueError("one of the texts is not UTF-8") from None
    action = ACTIONS[do]
    for name in action.needs:
        if name not in request:
            raise ValueError(f"{do} needs {name}")
    for name in request:
        if name not in (*action.needs, *action.takes):
            raise ValueError(f"{do} takes no {name}")
    return do, request


def answer(line: bytes, office: Office) -> Iterator[bytes]:
    """Do what a request asks for, at once, and return the answer.

    Args:
        line: The request.
        office: What it can reach.

    Returns:
        The parts of the answer, in order. They are made one by one, so that a long list takes
        little time and memory at once.

    Raises:
        Exception: Something is wrong with the server. What a request can do wrong raises nothing.
    """
    try:
        do, texts = parse_request(line)
        result = ACTIONS[do].run(office, **texts)
    except LocalProtocolError as error:
        return refusal(error.text)
    except (ValueError, LookupError) as error:
        return refusal(str(error))
    return _in_parts(result) if isinstance(result, list) else _whole({"result": result})


def refusal(text: str) -> Iterator[bytes]:
    """The answer that says why nothing was done.

    Args:
        text: The reason, in words for people.
    """
    return _whole({"error": text})


def _whole(message: Mapping[str, Any]) -> Iterator[bytes]:
    yield json.dumps(message).encode() + b"\n"


def _in_parts(rows: Sequence[Any]) -> Iterator[bytes]:
    yield b'{"result": ['
    iterator, separator = iter(rows), ""
    while chunk := [*islice(iterator, CHUNK)]:
        texts = [json.dumps(each if isinstance(each, str) else _fields(each)) for each in chunk]
        yield (separator + ", ".join(texts)).encode()
        separator = ", "
    yield b"]}\n"


def _fields(row: Any) -> dict[str, Any]:
    # `dataclasses.asdict` copies each value, and takes six times as long.
    return {each.name: getattr(row, each.name) for each in fields(row)}


def _tell(office: Office, to: str, text: str, sender: str = SERVER_NAME) -> dict[str, int]:
    check_text(text)
    return {"connections": office.desk.tell(to, text.encode(), sender)}


def _kick(office: Office, name: str, text: str = "") -> dict[str, int]:
    return {"connections": office.desk.kick(name, text)}


def _ban(office: Office, what: str, text: str = "") -> dict[str, int]:
    return {"connections": office.desk.ban(what, text)}


def _unban(office: Office, what: str) -> dict[str, int]:
    if not office.desk.unban(what):
        raise LookupError(f"{what} is not banned")
    return {}


def _add(office: Office, group: str, member: str) -> dict[str, int]:
    office.desk.add_member(group, member)
    return {}


def _remove(office: Office, group: str, member: str) -> dict[str, int]:
    office.desk.remove_member(group, member)
    return {}


def _drain(office: Office) -> dict[str, int]:
    office.desk.note("asked for a shutdown")
    office.drain()
    return {}


def _reload(office: Office) -> dict[str, int]:
    if office.reload is None:
        raise LookupError("this server has no configuration to read again")
    office.desk.note("asked for a reload")
    if wrong := office.reload():
        raise ValueError(wrong)
    return {}


ACTIONS: Final = {
    "users": _Action(lambda office: office.desk.users()),
    "groups": _Action(lambda office: office.desk.groups()),
    "connections": _Action(lambda office: office.desk.connections()),
    "bans": _Action(lambda office: office.desk.bans()),
    "stats": _Action(lambda office: office.stats()),
    "tell": _Action(_tell, ("to", "text"), ("sender",)),
    "kick": _Action(_kick, ("name",), ("text",)),
    "ban": _Action(_ban, ("what",), ("text",)),
    "unban": _Action(_unban, ("what",)),
    "add": _Action(_add, ("group", "member")),
    "remove": _Action(_remove, ("group", "member")),
    "drain": _Action(_drain),
    "reload": _Action(_reload),
}
"""All that a request can ask for."""
