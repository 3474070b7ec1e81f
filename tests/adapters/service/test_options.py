"""`options`: the options of limits, which are made of the docstrings in `Limits`.

That the commands take them is in `test_limits.py`.
"""

import pytest

from chatproto import Limits
from chatproto_sync.service.options import OPTIONS, Option

BY_KEY = {each.key: each for each in OPTIONS}


@pytest.mark.parametrize(
    ("key", "words", "metavar"),
    [
        # A field of a base class.
        ("max_line", "longest line in bytes, its LF included, in both directions", "BYTES"),
        ("login_timeout", "seconds that a connection has to log in", "SECONDS"),
        (
            "max_connections",
            "most connections at once (default: as many as the process can have descriptors)",
            "N",
        ),
        (
            "rate",
            (
                "lines a second that the server executes for one connection in the long run"
                " (default: no limit)"
            ),
            "X",
        ),
    ],
)
def test_help_of_a_limit(key: str, words: str, metavar: str) -> None:
    option = BY_KEY[key]
    assert (option.help, option.metavar) == (words, metavar)
    assert option.default == getattr(Limits(), key)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_help_is_one_line_without_a_full_stop(option: Option) -> None:
    assert option.help
    assert "\n" not in option.help
    assert not option.help.endswith(".")


def test_a_file_mode_is_octal() -> None:
    assert BY_KEY["unix_mode"].parse("660") == 0o660
