"""Hypothesis strategies for everything in CHAT/1.0. Users get them from `chatproto.testing`.

May import: all of `chatproto`, and Hypothesis. Imported by: `chatproto.testing`, on first use of a
strategy, and Hypothesis itself (the entry point in pyproject.toml).
"""

from importlib.util import find_spec

if find_spec("hypothesis") is None:
    raise ModuleNotFoundError(
        "the strategies of chatproto.testing need the package hypothesis: "
        "pip install 'chatproto-sansio[testing]', or '.[testing]' in a checkout",
        name="hypothesis",
    )

from .conversation import Turn, conversations
from .event import (
    broadcasts,
    client_commands,
    commands,
    events,
    groups,
    leaves,
    logins,
    logouts,
    receives,
    sends,
)
from .limit import limits
from .line import near_valid_lines, valid_lines
from .name import bad_names, names, reserved_names
from .payload import DATA_MAX, data
from .registration import register
from .stream import chunkings, hostile_bytes, hostile_lines, streams

register()

__all__ = [
    "DATA_MAX",
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
