"""Limits as options and environment variables of both commands, and in the guide's table.

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

GUIDE = Path(__file__).parents[3] / "docs" / "guide.md"

# Option or name, what it bounds, unless said, at the limit, counted in.
ROW = re.compile(r"^\| `((?:--)?[\w-]+)(?: \w+)?` \|" + r" ([^|]*) \|" * 4 + "$", re.MULTILINE)

NAMES = [field.name for field in dataclasses.fields(Limits)]

WITH_OPTION = [name for name in NAMES if name in {each.key for each in OPTIONS}]

DEFAULTS: dict[str, Any] = dataclasses.asdict(Limits())

each_limit = pytest.mark.parametrize("name", NAMES)


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


# What the guide says


@pytest.fixture(scope="module")
def rows() -> dict[str, list[str]]:
    """What it says of each limit."""
    _, _, rest = GUIDE.read_text(encoding="utf-8").partition("\n## 5. ")
    section = rest.partition("\n## ")[0]
    found: list[list[str]] = ROW.findall(section)
    return {option.removeprefix("--").replace("-", "_"): cells for option, *cells in found}


def test_the_guide_has_each_limit_once(rows: dict[str, list[str]]) -> None:
    assert sorted(rows) == sorted(NAMES)
    text = GUIDE.read_text(encoding="utf-8")
    for name in NAMES:
        option = f"--{name.replace('_', '-')} " if name in WITH_OPTION else f"{name}`"
        assert text.count(f"| `{option}") == 1


@each_limit
def test_the_guide_has_its_default(name: str, rows: dict[str, list[str]]) -> None:
    said, default = rows[name][1], DEFAULTS[name]
    if default is None:
        assert not said[0].isdigit()
    else:
        assert said == f"{default:.15g}"


def test_the_guide_names_codes_and_reasons_that_there_are(rows: dict[str, list[str]]) -> None:
    for *_, seen, counted in rows.values():
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
