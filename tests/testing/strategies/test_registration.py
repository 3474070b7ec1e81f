"""chatproto.testing.strategies.registration: Hypothesis knows every public type of `chatproto`.

If a new type fails here, add what its fields may hold to `registration.py`.
"""

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from hypothesis import Phase, given, infer, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

import chatproto
from chatproto import (
    Action,
    Answer,
    Broadcast,
    ChatBroker,
    Command,
    Deliver,
    Event,
    Group,
    Limits,
    Login,
    Question,
    Receive,
    Role,
    Send,
)
from chatproto.testing import JudgedLine, MemoryServer, Turn, near_valid_lines
from chatproto.wire.codec import decode, encode

from ..searching import shown

ROOT = Path(chatproto.__file__).parents[1]

PUBLIC = {name: getattr(chatproto, name) for name in chatproto.__all__}
CLASSES = {
    name: each
    for name, each in PUBLIC.items()
    # A protocol has no values of its own.
    if isinstance(each, type) and not getattr(each, "_is_protocol", False)
}
UNIONS = {name: each for name, each in PUBLIC.items() if get_origin(each) in (Union, UnionType)}

# For type checkers, no union is a `type`.
ANY_EVENT: Any = Event
ACTION: Any = Action

FEW = settings(max_examples=4, phases=[Phase.generate])


def makes(strategy: SearchStrategy[Any], *kinds: Any) -> None:
    """Check that a strategy makes nothing but values of some types."""

    @FEW
    @given(strategy)
    def check(value: object) -> None:
        assert isinstance(value, tuple(get_origin(kind) or kind for kind in kinds))

    check()


def test_these_are_the_public_types() -> None:
    assert len(CLASSES) > 50
    assert UNIONS.keys() >= {"Action", "BytesLike", "Command", "Event", "GroupChange", "Item"}


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_from_type_and_builds_make_every_public_type(kind: type[Any]) -> None:
    @FEW
    @given(st.from_type(kind), st.from_type(kind) if issubclass(kind, Enum) else st.builds(kind))
    def check(value: object, built: object) -> None:
        assert isinstance(value, kind)
        assert isinstance(built, kind)

    check()


@pytest.mark.parametrize("union", UNIONS.values(), ids=UNIONS)
def test_from_type_makes_every_union(union: Any) -> None:
    makes(st.from_type(union), *get_args(union))


def test_from_type_makes_the_types_of_this_package() -> None:
    makes(st.from_type(JudgedLine), JudgedLine)
    makes(st.from_type(Turn), Turn)
    makes(st.from_type(MemoryServer), MemoryServer)


def test_ids_of_connections_are_of_the_type_that_is_wanted() -> None:
    @FEW
    @given(st.from_type(Deliver[str]), st.from_type(Question[bytes]), st.from_type(Answer))
    def check(deliver: Deliver[str], question: Question[bytes], answer: Answer[int]) -> None:
        assert all(isinstance(cid, str) for cid in deliver.to)
        assert isinstance(question.cid, bytes)
        assert isinstance(answer.cid, int)

    check()
    makes(st.from_type(ACTION[str]), *get_args(ACTION))
    makes(st.from_type(ChatBroker[str]), ChatBroker)


@dataclass
class Reminder:
    """A class of a user, with types of `chatproto` in its annotations."""

    what: Send
    where: Group | None
    limits: Limits
    line: Annotated[JudgedLine, near_valid_lines(Role.SERVER)]


@FEW
@given(st.builds(Reminder), st.lists(st.from_type(ANY_EVENT)), st.builds(Limits, max_line=...))
def test_they_work_in_annotations_of_others(
    reminder: Reminder, events: list[Event], limits: Limits
) -> None:
    assert isinstance(reminder.what, Send)
    assert isinstance(reminder.line, JudgedLine)
    assert all(isinstance(event, get_args(Event)) for event in events)
    assert limits.max_line >= 512


@FEW
@given(command=infer, broadcast=...)
def test_they_are_inferred(command: Command, broadcast: Broadcast) -> None:
    assert decode(encode(command)[:-1]) == command
    assert encode(broadcast).startswith(b"CHAT/1.0 BROADCAST ")


def test_a_mistake_is_shown_with_the_simplest_value() -> None:
    assert shown(st.from_type(Login), lambda _: True) == Login("a")
    assert shown(st.from_type(ANY_EVENT), lambda event: isinstance(event, Receive)) == Receive(
        "a", b""
    )
    assert shown(st.builds(Login), lambda login: len(login.name) > 9) == Login("a" * 10)
    assert shown(st.from_type(Limits), lambda limits: limits.bad_lines < 9) == Limits(bad_lines=1)


def test_hypothesis_needs_no_import_of_ours() -> None:
    """It imports the module that the entry point names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    code = f"""
from hypothesis import HealthCheck, given, settings, strategies as st
import {project["entry-points"]["hypothesis"]["chatproto"]}
from chatproto import Event, Send
# This process knows no profile of ours, and the machine may be busy.
few = settings(
    max_examples=4, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
few(given(st.from_type(Event), st.builds(Send))(lambda event, send: None))()
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
