"""chatproto.server.peer: one module writes each field of a connection's record."""

import ast
from pathlib import Path

import pytest

import chatproto.server
from chatproto import Limits
from chatproto.server.peer import Peer

FOLDER = Path(next(iter(chatproto.server.__path__)))

# As the comments in the class say it.
WRITERS = {
    "phase": "peers",
    "close_reason": "peers",
    "eof": "peers",
    "waiting": "dispatcher",
    "origin": "dispatcher",
    "address": "dispatcher",
    "network": "dispatcher",
    "queue": "buffers",
    "queued_bytes": "buffers",
    "unparsed": "buffers",
    "undelivered": "buffers",
    "prefix": "fast_path",
    "identities": "logins",
    "has_sent": "event_log",
    "number": "event_log",
    "notice_limiter": "notices",
}
FOR_GOOD = {"cid", "connection", "rate_limiter"}


def writes_in(source: str) -> set[str]:
    """The attributes of `peer`, or of a peer by another name, that a module assigns."""
    targets = (
        each
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        for each in ast.walk(target)
    )
    return {
        each.attr
        for each in targets
        if isinstance(each, ast.Attribute)
        and isinstance(each.ctx, ast.Store)
        and isinstance(each.value, ast.Name)
        and each.value.id in ("peer", "other", "sender", "record", "each")
    }


def test_every_field_has_a_writer() -> None:
    assert set(Peer.__slots__) == WRITERS.keys() | FOR_GOOD
    peer = Peer(1, "somewhere", "", Limits())
    assert all(hasattr(peer, field) for field in Peer.__slots__)


@pytest.mark.parametrize("module", sorted(path.stem for path in FOLDER.glob("*.py")))
def test_a_module_writes_its_own_fields_only(module: str) -> None:
    source = (FOLDER / f"{module}.py").read_text(encoding="utf-8")
    assert {WRITERS.get(field) for field in writes_in(source)} <= {module}


def test_the_watch_over_fields_would_notice() -> None:
    assert writes_in("peer.eof = True\npeer.queued_bytes += 1\npeer.a, other.b = 1, 2\nx = 1") == {
        "eof",
        "queued_bytes",
        "a",
        "b",
    }
