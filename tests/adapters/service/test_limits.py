"""Limits as options and environment variables of both commands, and the docs about them.

What a limit does at its edge is in `tests/server/test_limits_kept.py`.
"""

import dataclasses
import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from chatproto import CloseReason, ErrorCode, Limits
from chatproto_sync.service.options import OPTIONS
from chatproto_sync.service.settings import limits_of, read_settings

from ..server.test_tls_server import TlsClient, client_context, server_context
from ..servers import KINDS, SocketClient

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "tune-limits.md"

# Option or name, at the limit, counted in.
ROW = re.compile(r"^\| `((?:--)?[\w-]+)` \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)

NAMES = [field.name for field in dataclasses.fields(Limits)]

WITH_OPTION = [name for name in NAMES if name in {each.key for each in OPTIONS}]

DEFAULTS: dict[str, Any] = dataclasses.asdict(Limits())


def another(name: str) -> Any:
    """A value that is not the default."""
    default = DEFAULTS[name]
    if default is None:
        return 7 if name == "max_connections" else 0.5
    return default - 1 if isinstance(default, int) else default / 4


@pytest.mark.parametrize("name", WITH_OPTION)
@pytest.mark.parametrize("place", ["option", "environment"])
def test_limits_can_be_set(name: str, place: str) -> None:
    value = another(name)
    arguments, environment = {name: [str(value)]}, {f"CHATPROTO_{name.upper()}": str(value)}
    settings = read_settings(
        OPTIONS,
        arguments if place == "option" else {},
        environment if place == "environment" else {},
    )
    assert limits_of(settings) == dataclasses.replace(Limits(), **{name: value})


@pytest.mark.parametrize("name", WITH_OPTION)
def test_an_error_names_the_place_where_the_limit_was_set(name: str) -> None:
    for arguments, environment, place in [
        ({name: ["-1"]}, {}, f"--{name.replace('_', '-')}"),
        ({}, {f"CHATPROTO_{name.upper()}": "-1"}, f"CHATPROTO_{name.upper()}"),
    ]:
        with pytest.raises(ValueError, match=f"^{place} is "):
            limits_of(read_settings(OPTIONS, arguments, environment))


# What the page says


def test_the_page_has_each_limit_once() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = [option for option, _, _ in ROW.findall(text)]
    options = {name: f"--{name.replace('_', '-')}" for name in WITH_OPTION}
    assert sorted(rows) == sorted(options.get(name, name) for name in NAMES)


def test_the_page_names_codes_and_reasons_that_there_are() -> None:
    for _, seen, counted in ROW.findall(PAGE.read_text(encoding="utf-8")):
        for code in re.findall(r"\b[A-Z_]{4,}\b", seen):
            assert code in [*ErrorCode]
        for kind, key in re.findall(r'(\w+)\["([^"]+)"\]', counted):
            assert key in {"refusals": [*ErrorCode], "closes": [*CloseReason]}[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_counts_before_its_handshake_is_done(kind: str) -> None:
    limits = Limits(max_connections=1)
    with (
        KINDS[kind](port=0, ssl=server_context(), limits=limits) as server,
        SocketClient(server.addresses[0]) as first,
    ):
        try:
            with (
                pytest.raises((ssl.SSLError, ConnectionError)),
                TlsClient(server.addresses[0], client_context()),
            ):
                pass
        finally:
            first.write(b"this is no handshake\n")
            while first.read_line():
                pass
