"""A server in memory, a connection in memory, and Hypothesis strategies, for tests with chatproto.

The strategies need Hypothesis, which the extra `testing` installs; the rest needs nothing:

    from hypothesis import given
    from chatproto import testing

    @given(testing.streams().flatmap(testing.chunkings))
    def test_my_server_survives(chunks: list[bytes]) -> None: ...

All valid lines fit into the default limit of 4,096 bytes.
"""

from typing import TYPE_CHECKING

from .memory import MemoryServer
from .pair import ConnectionPair
from .world import NothingWillArrive

if TYPE_CHECKING:
    from .strategies import *  # noqa: F403
else:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from . import strategies

        value = globals()[name] = getattr(strategies, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "DATA_MAX",
    "ConnectionPair",
    "MemoryServer",
    "NothingWillArrive",
    "bad_names",
    "broadcasts",
    "chunkings",
    "client_commands",
    "commands",
    "data",
    "events",
    "groups",
    "hostile_bytes",
    "hostile_lines",
    "leaves",
    "logins",
    "logouts",
    "names",
    "near_valid_lines",
    "receives",
    "reserved_names",
    "sends",
    "streams",
    "valid_lines",
]
