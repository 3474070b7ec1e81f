"""Searches among what a strategy generates: for examples at the edges, and for the simplest one."""

from collections.abc import Callable
from typing import TypeVar

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import NoSuchExample
from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

SHRINK = settings(
    max_examples=3000,
    phases=[Phase.generate, Phase.shrink],
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
# Any example will do, so none is shrunk.
REACH = settings(SHRINK, phases=[Phase.generate])


def skip_if_old() -> None:
    """Skip a test of what Hypothesis shows: older ones generate the same, but shrink it less."""
    if hypothesis.__version_info__ < (6, 158):
        pytest.skip("Hypothesis shows shorter examples since 6.158")


def reaches(strategy: SearchStrategy[T], condition: Callable[[T], bool]) -> bool:
    """Whether a strategy generates an example for which a condition holds."""
    try:
        find(strategy, condition, settings=REACH)
    except NoSuchExample:
        return False
    return True


def shown(strategy: SearchStrategy[T], is_wrong: Callable[[T], bool]) -> T:
    """What Hypothesis shows of a mistake: the simplest example that it finds."""
    skip_if_old()
    return find(strategy, is_wrong, settings=SHRINK)


def examples(strategy: SearchStrategy[T], number: int) -> list[T]:
    """What a strategy generates, where many conditions are to be tried."""
    found: list[T] = []

    @settings(REACH, max_examples=number)
    @given(strategy)
    def collect(example: T) -> None:
        found.append(example)

    collect()
    return found
