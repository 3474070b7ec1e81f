"""Limits as options and variables of both commands, and what the guide says of each limit.

What a limit does at its edge is in `test_limits_kept.py`.
"""

import dataclasses
import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from chatproto import ChatBroker, CloseReason, ErrorCode, Limits
from chatproto_anyio.cli.serve import serve
from chatproto_sync.__main__ import _from_environment, _parser
from chatproto_sync.service.options import OPTIONS, limits_of

from ..adapters.server.test_tls_server import TlsClient, client_context, server_context
from ..adapters.servers import KINDS, SocketClient
from .brokers import broker_of, fill, heard, leaves, login, message, reason, say

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"

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
def test_limits_can_be_set(name: str, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    value = another(name)
    arguments: list[str] = []
    if place == "option":
        arguments.append(f"--{name.replace('_', '-')}={value}")
    else:
        monkeypatch.setenv(f"CHATPROTO_{name.upper()}", str(value))
    expected = dataclasses.replace(Limits(), **{name: value})
    parser = _parser()
    sync = vars(parser.parse_args([*_from_environment(parser), *arguments]))
    assert limits_of(sync) == expected
    with serve.make_context("serve", arguments) as context:
        assert limits_of(context.params) == expected


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


# What the guide says of them that is no edge


def test_who_is_closed_for_its_queue_is_not_told() -> None:
    broker = broker_of("alice", limits=Limits(queue_age=3.0))
    say(broker, 1, "SEND alice hi")
    broker.sent(1, 0)
    broker.tick(3.0)
    assert not broker.next_step(1).write
    assert reason(broker, 1) is CloseReason.SLOW_CONSUMER


def test_who_does_no_handshake_is_not_told() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(handshake_timeout=3.0))
    broker.connect(1, "peer", secured=False)
    broker.tick(3.0)
    assert broker.take_ready() == [1]
    assert heard(broker, 1) == []
    assert leaves(broker, 1)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(max_connections=1), "TOO_MANY - too many connections"),
        (
            Limits(max_connections_per_address=1),
            "TOO_MANY - too many connections from your address",
        ),
        (Limits(login_timeout=3.0), "NOT_LOGGED_IN - you have not logged in in time"),
    ],
)
def test_who_is_not_let_in_is_told(limits: Limits, words: str) -> None:
    broker: ChatBroker[int] = ChatBroker(limits=limits)
    for cid in (1, 2):
        broker.connect(cid, "peer", address="192.0.2.1")
    broker.tick(3.0)
    assert heard(broker, 2) == [f"*server* ERR {words}"]


def test_a_name_that_is_too_long_may_be_followed_by_another() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(max_name=5))
    login(broker, 1, "alicia")
    say(broker, 1, "LOGIN alice")
    assert broker.snapshot().users == 1


def test_a_question_that_took_too_long_may_be_asked_again() -> None:
    broker: ChatBroker[int] = ChatBroker(limits=Limits(auth_timeout=3.0), ask=True)
    login(broker, 1, "alice")
    broker.tick(3.0)
    say(broker, 1, "LOGIN alice")
    [question] = broker.take_questions()
    broker.answer(question.token, allowed=True)
    assert broker.snapshot().users == 1


def test_what_is_queued_is_counted_and_what_is_kept_from_a_sender() -> None:
    broker = broker_of("alice", "bob", limits=Limits(high_water=1000))
    fill(broker, 1, "alice", "bob", 1100)
    say(broker, 1, message("alice", "bob", 100))
    queued = broker.snapshot().queued
    later = "SEND bob later"
    say(broker, 1, later)
    assert broker.snapshot().queued == queued + len(f"CHAT/1.0 {later}\n")


# What an adapter has to do for that


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
