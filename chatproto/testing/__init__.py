"""Hypothesis strategies for CHAT/1.0 and a connection in memory, for tests with chatproto.

The extra `testing` installs Hypothesis, which this needs:

    from hypothesis import given
    from chatproto import testing

    @given(testing.streams().flatmap(testing.chunkings))
    def test_my_server_survives(chunks: list[bytes]) -> None: ...

All valid lines fit into the default limit of 4,096 bytes.
"""

from importlib.util import find_spec

if find_spec("hypothesis") is None:
    raise ModuleNotFoundError(
        "chatproto.testing needs the package hypothesis: "
        "pip install 'chatproto-sansio[testing]', or '.[testing]' in a checkout",
        name="hypothesis",
    )

from .pair import ConnectionPair
from .strategies import (
    DATA_MAX,
    bad_names,
    broadcasts,
    chunkings,
    client_commands,
    commands,
    data,
    events,
    groups,
    hostile_bytes,
    hostile_lines,
    leaves,
    logins,
    logouts,
    names,
    near_valid_lines,
    receives,
    reserved_names,
    sends,
    streams,
    valid_lines,
)

__all__ = [
    "DATA_MAX",
    "ConnectionPair",
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
