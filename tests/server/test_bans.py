"""Bans of names, addresses and networks."""

import pytest

from chatproto.server.bans import Bans, describe_ban


def test_bans_are_added_and_lifted() -> None:
    bans = Bans()
    for what in ("bob", "192.0.2.7", "198.51.100.0/24", "2001:db8::/32"):
        assert bans.add(what)
        assert not bans.add(what)
    assert bans.all() == ["bob", "192.0.2.7", "198.51.100.0/24", "2001:db8::/32"]
    assert bans.remove("bob")
    assert not bans.remove("bob")
    assert bans.remove("192.0.2.7")
    assert not bans.remove("192.0.2.7")
    assert bans.all() == ["198.51.100.0/24", "2001:db8::/32"]


def test_names_and_addresses_that_are_banned() -> None:
    bans = Bans()
    assert not bans.has_address("192.0.2.7")
    for what in ("bob", "192.0.2.0/24", "2001:db8::1"):
        bans.add(what)
    assert bans.has_name("bob")
    assert not bans.has_name("BOB")
    banned = ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.1", "2001:db8::1"]
    free = ["", "192.0.3.0", "2001:db8::2", "::1"]
    assert [bans.has_address(each) for each in banned] == [True] * len(banned)
    assert [bans.has_address(each) for each in free] == [False] * len(free)


@pytest.mark.parametrize("what", ["", "a b", "*mod*", "a\n", "x" * 65])
def test_what_can_not_be_banned(what: str) -> None:
    bans = Bans()
    with pytest.raises(ValueError, match="is no name, address or network"):
        bans.add(what)
    with pytest.raises(ValueError, match="is no name, address or network"):
        bans.remove(what)


def test_changes_that_cancel_out_are_left_out() -> None:
    bans = Bans()
    bans.add("alice")
    assert bans.take_changes() == {}
    bans.note_changes()
    for what in ("bob", "192.0.2.7/24", "carol", "bob"):
        bans.add(what)
    for what in ("alice", "carol", "nobody"):
        bans.remove(what)
    assert bans.take_changes() == {"bob": True, "192.0.2.0/24": True, "alice": False}
    assert bans.take_changes() == {}


def test_an_ipv4_address_in_the_form_of_an_ipv6_address() -> None:
    bans = Bans()
    for what in ("::ffff:192.0.2.7", "::ffff:198.51.100.0/120", "::/0"):
        bans.add(what)
    assert bans.all() == ["192.0.2.7", "198.51.100.0/24", "::/0"]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("bob", "the name bob"),
        ("192.0.2.0/33", "the name 192.0.2.0/33"),
        ("192.0.2.7", "the address 192.0.2.7"),
        ("192.0.2.7/24", "the network 192.0.2.0/24"),
    ],
)
def test_a_ban_in_words(what: str, words: str) -> None:
    assert describe_ban(what) == words


def test_an_address_in_a_network_with_host_bits() -> None:
    bans = Bans()
    bans.add("192.0.2.7/24")
    assert bans.all() == ["192.0.2.0/24"]
