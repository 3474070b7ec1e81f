"""Hypothesis profiles: `ci` draws the same examples in each run, `fuzz` draws many new ones.

`HYPOTHESIS_PROFILE=fuzz` is for runs that last a night.
"""

import os
import sys

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
