"""chatproto.wire.names: which strings are names, and their cache (protocol.md, section 1)."""

import sys
import unicodedata
from typing import Any

import pytest

from chatproto import NAME_MAX, SERVER_NAME, ErrorCode, LocalProtocolError
from chatproto.wire.names import NAMES, NameCache, check_name, check_unreserved, is_reserved


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "zhenghe",
        "a" * 64,
        "é" * 32,
        "😀" * 16,
        "語" * 21,
        "*",
        "*server*",
        "a*",
        "\u200b",
        "/",
    ],
)
def test_good_names(name: str) -> None:
    check_name(name)
    assert NameCache(8)[name.encode()] == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a" * 65,
        "é" * 33,
        "😀" * 17,
        "a b",
        " a",
        "a ",
        "a\tb",
        "a\n",
        "\0",
        "a\x7f",
        "a\x85b",
        "a\xa0",
        "\u1680",
        "\u2003",
        "a\u2028",
        "\u3000b",
        "\x1c",
        "\x9f",
    ],
)
def test_bad_names(name: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        check_name(name)
    assert caught.value.code is ErrorCode.BAD_NAME
    with pytest.raises(LocalProtocolError) as caught:
        NameCache(8)[name.encode()]
    assert caught.value.code is ErrorCode.BAD_NAME


def test_every_character_that_unicode_has() -> None:
    """White space, controls and surrogates are refused, everything else is allowed."""
    refused = set()
    for codepoint in range(sys.maxunicode + 1):
        try:
            check_name(chr(codepoint))
        except LocalProtocolError:
            refused.add(codepoint)
    # PropList.txt, White_Space. Controls and surrogates are categories.
    white = {0x20, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}
    controls = {*range(0x20), *range(0x7F, 0xA0)}
    assert all(unicodedata.category(chr(each)) == "Cc" for each in controls)
    assert refused == white | controls | set(range(0xD800, 0xE000))


def test_a_lone_surrogate_is_no_name() -> None:
    with pytest.raises(LocalProtocolError, match="surrogate") as caught:
        check_name("a\ud800")
    assert caught.value.code is ErrorCode.BAD_NAME


@pytest.mark.parametrize("value", [b"alice", None, 7, ["alice"]])
def test_a_name_is_a_str(value: Any) -> None:
    with pytest.raises(TypeError, match=f"a name is a str, not {type(value).__name__}"):
        check_name(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("", "1 to 64 bytes"), ("x" * 65, "1 to 64 bytes"), ("a b", "no white space")],
)
def test_an_error_says_what_is_wrong_with_a_name(name: str, text: str) -> None:
    with pytest.raises(LocalProtocolError, match=text):
        check_name(name)


def test_names_that_start_with_a_star_are_reserved() -> None:
    assert is_reserved(SERVER_NAME)
    assert is_reserved("*")
    assert not is_reserved("a*")
    check_unreserved("a*")
    with pytest.raises(LocalProtocolError) as caught:
        check_unreserved("*bob")
    assert caught.value.code is ErrorCode.NAME_RESERVED


def test_the_longest_name_has_64_bytes() -> None:
    assert NAME_MAX == 64


@pytest.mark.parametrize("raw", [b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_bytes_that_are_not_utf8_are_no_name(raw: bytes) -> None:
    names = NameCache(8)
    with pytest.raises(LocalProtocolError) as caught:
        names[raw]
    assert caught.value.code is ErrorCode.BAD_NAME
    assert not names


def test_a_name_is_decoded_once() -> None:
    names = NameCache(8)
    assert names["zoë".encode()] is names["zoë".encode()]


def test_a_bad_name_is_not_kept() -> None:
    names = NameCache(8)
    with pytest.raises(LocalProtocolError):
        names[b"a b"]
    assert not names


def test_the_cache_never_holds_more_than_its_size() -> None:
    names = NameCache(4)
    for number in range(50):
        assert names[b"%d" % number] == str(number)
        assert 1 <= len(names) <= 4


def test_the_process_wide_cache_is_bounded() -> None:
    before = dict(NAMES)
    try:
        for number in range(20_000):
            assert NAMES[b"%d" % number] == str(number)
        assert len(NAMES) <= 16384
    finally:
        NAMES.clear()
        NAMES.update(before)
