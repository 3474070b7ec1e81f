"""chatproto.testing.strategies.name."""

from collections.abc import Callable

import pytest
from hypothesis import given

from chatproto import NAME_MAX, LocalProtocolError, testing
from chatproto.wire.names import check_name, is_reserved

from ..searching import reaches, shown


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


def test_names_reach_the_longest_name_and_unicode() -> None:
    assert reaches(testing.names(), lambda name: len(name) == len(name.encode()) == NAME_MAX)
    assert reaches(testing.names(), lambda name: len(name) == 16 and len(name.encode()) == NAME_MAX)
    assert reaches(testing.names(), lambda name: any(each.isdigit() for each in name))
    assert reaches(testing.reserved_names(), lambda name: len(name.encode()) == NAME_MAX)


@pytest.mark.parametrize("part", [" ", "\x85", "\u2028", "\ud800", "\0"])
def test_bad_names_have_all_that_a_name_has_not(part: str) -> None:
    assert reaches(testing.bad_names(), lambda name: part in name)


@pytest.mark.parametrize(
    ("is_wrong", "name"),
    [
        pytest.param(lambda _: True, "a", id="always"),
        pytest.param(lambda name: len(name) > 20, "a" * 21, id="a column of 20 characters"),
        pytest.param(lambda name: not name.isascii(), "é", id="bytes for characters"),
        pytest.param(lambda name: name.lower() != name, "LOGIN", id="names without case"),
        pytest.param(lambda name: "/" in name, "CHAT/1.0", id="a file for each name"),
    ],
)
def test_a_mistake_is_shown_with_the_simplest_name(
    is_wrong: Callable[[str], bool], name: str
) -> None:
    assert shown(testing.names(), is_wrong) == name


def test_a_mistake_with_reserved_or_bad_names_is_shown_too() -> None:
    assert shown(testing.reserved_names(), is_reserved) == "*server*"
    assert shown(testing.bad_names(), lambda name: not name.strip()) == ""
