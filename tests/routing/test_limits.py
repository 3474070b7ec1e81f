"""chatproto.routing.limits: which values the limits of groups may have."""

import dataclasses
from typing import Any

import pytest

from chatproto import GroupLimits

FIELDS = [field.name for field in dataclasses.fields(GroupLimits)]


@pytest.mark.parametrize("field", FIELDS)
def test_every_limit_may_be_one(field: str) -> None:
    limits: dict[str, Any] = {field: 1}
    assert getattr(GroupLimits(**limits), field) == 1


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [0, -1])
def test_no_limit_may_be_less(field: str, value: int) -> None:
    limits: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=f"{field} is more than 0"):
        GroupLimits(**limits)
