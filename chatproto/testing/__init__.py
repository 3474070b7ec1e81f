"""A server and a connection in memory, what a right reader says of a line, Hypothesis strategies.

The strategies need Hypothesis, which the extra `testing` installs; the rest needs nothing:

    from hypothesis import given
    from chatproto import testing

    @given(testing.streams().flatmap(testing.chunkings))
    def test_my_server_survives(chunks: list[bytes]) -> None: ...

All valid lines fit into the default limit of 4,096 bytes. Hypothesis also knows the types of
`chatproto` themselves: `st.from_type(Event)` and `st.builds(Send)` work without any import of this
module.
"""

from typing import TYPE_CHECKING

from .grammar import JudgedLine, judge
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
    "JudgedLine",
    "MemoryServer",
    "NothingWillArrive",
    "Turn",
    "bad_names",
    "broadcasts",
    "chunkings",
    "client_commands",
    "commands",
    "conversations",
    "data",
    "events",
    "groups",
    "hostile_bytes",
    "hostile_lines",
    "judge",
    "leaves",
    "limits",
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
