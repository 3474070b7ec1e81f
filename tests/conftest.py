"""Hypothesis profiles: `ci` draws the same examples in each run, `fuzz` draws many new ones.

`HYPOTHESIS_PROFILE=fuzz` is for runs that last a night.
"""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

# The tests start many hundred processes. Each would compile all modules anew if nobody kept them.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=60,
    # It measures time, and the machine may be busy.
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "fuzz",
    deadline=None,
    max_examples=5000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Half as many more workers as cores: many tests wait for processes and timers.

    Where pytest-xdist is missing, such as in WebAssembly, pytest does not know this hook.
    """
    return max(1, (os.cpu_count() or 1) * 3 // 2)
