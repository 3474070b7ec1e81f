"""chatproto.routing.policy: the choices that the protocol leaves open (protocol.md, section 4)."""

import dataclasses

import pytest

from chatproto import Adding, Broadcasting, DuplicateLogin, NameRule, Policy


def test_the_presets() -> None:
    assert Policy().duplicate_login is DuplicateLogin.SHARE
    assert Policy().broadcasting is Broadcasting.MEMBERS
    assert Policy().names is NameRule.VISIBLE
    assert Policy.reference() == Policy(
        duplicate_login=DuplicateLogin.SHARE,
        broadcasting=Broadcasting.ANYONE,
        names=NameRule.ANY,
        adding=Adding.NOBODY,
        services=False,
    )


def test_a_policy_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Policy().broadcasting = Broadcasting.ANYONE  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
