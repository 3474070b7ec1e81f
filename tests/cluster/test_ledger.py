"""Entries of the ledger: written and read. Private names."""

from unicodedata import unidata_version

import pytest

from chatproto import Broadcast, Command, Group, GroupLimits, Leave, Login, NameRule, Policy, Send
from chatproto.cluster.ledger import (
    Author,
    describe_config,
    differences,
    event_line,
    parse_entry,
    parse_event,
)


@pytest.mark.parametrize(
    "event",
    [
        Login("bob"),
        Group("tea", ["ann", "bob"]),
        Group("nobody"),
        Leave("tea"),
        Send("*groups*", b"add tea cyd"),
    ],
)
def test_events_survive_the_ledger(event: Command) -> None:
    letter, number, rest = event_line(17, "192.0.2.1", event).split(" ", 2)
    assert number == "17"
    if letter == "I":
        network, rest = rest.split(" ", 1)
        assert network == "192.0.2.1"
    assert parse_event(letter, rest) == event


def test_other_events_have_no_place_there() -> None:
    with pytest.raises(TypeError, match="no place in the ledger"):
        event_line(1, "", Broadcast("tea", b"hi"))


@pytest.mark.parametrize(("letter", "rest"), [("X", "1"), ("I", "*a"), ("G", ""), ("L", "a\tb")])
def test_commands_that_are_none(letter: str, rest: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the words depend on the line
        parse_event(letter, rest)


def test_an_entry_is_confirmed_once() -> None:
    author = Author("a#1")
    author.add("J x")
    author.add_event("peer", 1, "", Login("bob"))
    author.add("O 2")
    assert author.has_news
    assert author.take_back() == ["peer"]
    author.add_event("peer", 1, "", Leave("tea"))
    entry = parse_entry(author.take())
    assert entry == ("a#1", 1, ["J x", "O 2", "L 1 tea"])
    batch = author.confirm(1)
    assert batch is not None
    assert batch.events == {2: ("peer", Leave("tea"))}
    assert author.confirm(1) is None
    assert not author.has_news


def test_an_entry_has_few_commands() -> None:
    author = Author("a#1")
    for number in range(1, 1202):
        author.add_event(f"peer{number}", number, "", Login(f"u{number}"))
    author.add_sync("last")
    entries = [parse_entry(author.take()) for _ in range(3)]
    assert not author.has_news
    assert [len(entry.lines) for entry in entries] == [500, 500, 201]
    assert [line for entry in entries for line in entry.lines] == [
        f"I {number} - u{number}" for number in range(1, 1202)
    ]
    for batch in author.unconfirmed:
        for at, (peer, event) in batch.events.items():
            line = entries[batch.seq - 1].lines[at]
            assert line == event_line(int(peer.removeprefix("peer")), "", event)
    assert sum(len(batch.events) for batch in author.unconfirmed) == 1201


def test_nodes_agree_on_which_names_are_equal() -> None:
    here = describe_config(Policy(names=NameRule.DISTINCT), GroupLimits())
    there = here.replace(unidata_version, "1.0.0")
    assert differences(there, here) == f"unicode is 1.0.0 there and {unidata_version} here"
    assert "unicode" not in describe_config(Policy(), GroupLimits())


def test_differences_of_configurations() -> None:
    here = describe_config(Policy(), GroupLimits())
    there = describe_config(Policy.reference(), GroupLimits(max_groups=7)) + " new=1"
    assert differences(here, here) == ""
    assert differences(there, here) == (
        "broadcasting is anyone there and members here, names is any there and visible here, "
        "adding is nobody there and creator here, services is false there and true here, "
        "max_groups is 7 there and 100000 here, new is 1 there and unknown here"
    )
