"""chatproto.testing.strategies: they generate what they promise, and reach the edges."""

from collections.abc import Callable
from typing import TypeVar, get_args

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import SearchStrategy

from chatproto import (
    NAME_MAX,
    Broadcast,
    ChatConnection,
    Command,
    Event,
    Group,
    Leave,
    Limits,
    LocalProtocolError,
    Login,
    Logout,
    Receive,
    RemoteProtocolError,
    Role,
    Send,
    testing,
)
from chatproto.wire.codec import decode, encode
from chatproto.wire.names import check_name, is_reserved

T = TypeVar("T")

# Any example will do, so none is shrunk. Each search generates the same examples.
SEARCH = settings(max_examples=3000, phases=[Phase.generate], derandomize=True, database=None)


def reaches(strategy: SearchStrategy[T], condition: Callable[[T], bool]) -> bool:
    """Whether a strategy generates an example for which a condition holds."""
    try:
        find(strategy, condition, settings=SEARCH)
    except NoSuchExample:
        return False
    return True


@given(testing.names())
def test_names_are_valid_and_not_reserved(name: str) -> None:
    check_name(name)
    assert not is_reserved(name)


@given(testing.reserved_names())
def test_reserved_names_are_valid_and_reserved(name: str) -> None:
    check_name(name)
    assert is_reserved(name)


@given(testing.bad_names())
def test_bad_names_are_no_names(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        check_name(name)


@given(st.data())
def test_data_fits_into_a_line_and_is_bounded(draw: st.DataObject) -> None:
    size = draw.draw(st.integers(0, 40))
    data = draw.draw(testing.data(size))
    assert len(data) <= size
    assert Receive("a", data).data == data


@given(testing.commands())
def test_commands_with_cr_lf_fit_into_the_default_limit(command: Command) -> None:
    assert len(encode(command)) < Limits().max_line


def test_data_max_fits_into_the_longest_line() -> None:
    longest = b"CHAT/1.0 BROADCAST " + b"a" * NAME_MAX + b" " + b"x" * testing.DATA_MAX + b"\r\n"
    assert len(longest) <= Limits().max_line < len(longest) + 5


@given(testing.valid_lines())
def test_valid_lines_are_parsed(line: bytes) -> None:
    assert line.count(b"\n") == 1
    assert len(line) <= Limits().max_line
    assert type(decode(line[:-1].removesuffix(b"\r"))) in get_args(Command)


@given(st.data())
def test_chunkings_make_up_the_stream(draw: st.DataObject) -> None:
    stream = draw.draw(testing.hostile_bytes())
    assert b"".join(draw.draw(testing.chunkings(stream))) == stream


@pytest.mark.parametrize("chunks", [[b"abc"], [b"a", b"b", b"c"], [b"ab", b"c"], [b"", b"abc"]])
def test_chunkings_reach_every_kind(chunks: list[bytes]) -> None:
    assert reaches(testing.chunkings(b"abc"), lambda found: found == chunks)


EDGES: list[tuple[str, SearchStrategy[bytes], Callable[[bytes], bool]]] = [
    ("empty data", testing.data(), lambda data: data == b""),
    ("the most data", testing.data(), lambda data: len(data) == testing.DATA_MAX),
    ("NUL", testing.data(), lambda data: b"\0" in data),
    ("inner CR", testing.data(), lambda data: b"\r" in data),
    ("no UTF-8", testing.data(), lambda data: b"\xff" in data),
    ("LF", testing.valid_lines(), lambda line: line[-2:] != b"\r\n"),
    ("CR LF", testing.valid_lines(), lambda line: line.endswith(b"\r\n")),
    ("tab", testing.near_valid_lines(), lambda line: b"\t" in line[:10]),
    ("other version", testing.near_valid_lines(), lambda line: line.startswith(b"CHAT/1.1")),
    ("wrong case", testing.near_valid_lines(), lambda line: line[:10].islower()),
    ("doubled space", testing.near_valid_lines(), lambda line: b"CHAT/1.0  " in line),
    ("too long", testing.near_valid_lines(), lambda line: len(line) > 4096),
    ("no end", testing.near_valid_lines(), lambda line: not line.endswith(b"\n")),
    ("one too many", testing.hostile_lines(), lambda line: len(line) == 4097),
    ("endless", testing.hostile_lines(), lambda line: len(line) > 4096 and b"\n" not in line),
    ("a long run", testing.hostile_bytes(), lambda noise: noise.count(b"\n") > 1000),
    ("many lines", testing.streams(), lambda stream: stream.count(b"\n") > 3),
]


@pytest.mark.parametrize(
    ("strategy", "edge"), [each[1:] for each in EDGES], ids=[each[0] for each in EDGES]
)
def test_strategies_reach_the_edges(
    strategy: SearchStrategy[bytes], edge: Callable[[bytes], bool]
) -> None:
    assert reaches(strategy, edge)


def test_names_reach_the_longest_name_and_unicode() -> None:
    assert reaches(testing.names(), lambda name: len(name.encode()) == NAME_MAX)
    assert reaches(testing.names(), lambda name: not name.isascii())
    assert reaches(testing.names(), lambda name: len(name) == 16 and len(name.encode()) == NAME_MAX)


def test_near_valid_lines_may_be_valid_or_not() -> None:
    def is_invalid(line: bytes) -> bool:
        try:
            decode(line.removesuffix(b"\n").removesuffix(b"\r"))
        except RemoteProtocolError:
            return True
        return False

    assert reaches(testing.near_valid_lines(), is_invalid)
    assert reaches(testing.near_valid_lines(), lambda line: not is_invalid(line))


EVENTS: list[tuple[SearchStrategy[Event], type[Event]]] = [
    (testing.logins(), Login),
    (testing.logouts(), Logout),
    (testing.sends(), Send),
    (testing.broadcasts(), Broadcast),
    (testing.groups(), Group),
    (testing.leaves(), Leave),
    (testing.receives(), Receive),
]


@pytest.mark.parametrize(("strategy", "kind"), EVENTS)
@given(draw=st.data())
def test_one_strategy_for_each_event(
    strategy: SearchStrategy[Event], kind: type[Event], draw: st.DataObject
) -> None:
    assert type(draw.draw(strategy)) is kind


@pytest.mark.parametrize("kind", get_args(Event))
def test_events_and_commands_reach_every_kind(kind: type[Event]) -> None:
    assert reaches(testing.events(), lambda event: type(event) is kind)
    if kind in get_args(Command):
        assert reaches(testing.commands(), lambda event: type(event) is kind)


@given(testing.client_commands())
def test_client_commands_may_be_sent_by_a_client(command: Command) -> None:
    connection = ChatConnection(Role.CLIENT)
    connection.send(Login("alice"))
    assert connection.send(command)
