"""Hypothesis strategies for CHAT/1.0 and an in-memory link, to test what is built on chatproto.

Only the extra `testing` brings the one thing that this needs, Hypothesis:

    from hypothesis import given
    from chatproto import testing

    @given(testing.streams().flatmap(testing.chunkings))
    def test_my_server_survives(chunks: list[bytes]) -> None: ...

All that is generated as valid fits into the default limit of 4096 octets a line.
"""

from .strategies import (
    DATA_MAX,
    ConnectionPair,
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
