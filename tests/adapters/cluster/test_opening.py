"""`opening`: the parameters of both servers that concern the cluster."""

import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import ClusterError
from chatproto_sync.cluster.opening import default_node, make_transport
from chatproto_sync.cluster.url import parse_redis_url

URL = "redis://127.0.0.1/tea"

each_server = pytest.mark.parametrize("server", [chatproto_sync.Server, chatproto_anyio.Server])


@each_server
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cluster": "redis://127.0.0.1"}, "lacks the name of the chat"),
        ({"cluster": URL, "state": "groups"}, "a cluster keeps its groups in Redis"),
        ({"cluster": URL, "node_timeout": 0.0}, "node_timeout and patience are more than 0"),
        ({"cluster": URL, "patience": float("nan")}, "node_timeout and patience are more than 0"),
        ({"node": "a"}, "node has no use without cluster"),
        ({"cluster_password": "secret"}, "cluster_password has no use without cluster"),
        ({"sentinel_password": "secret"}, "sentinel_password has no use without cluster"),
        ({"cluster": URL, "sentinel_password": "secret"}, "a password of sentinels has no use"),
    ],
)
def test_parameters_that_make_no_sense(
    server: Callable[..., object], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        server(port=0, **options)


def test_a_node_without_a_name() -> None:
    assert default_node(3333) == f"{socket.gethostname()}:3333"
    assert default_node(0) == f"{socket.gethostname()}:{os.getpid()}"


@each_server
def test_a_bad_name_of_a_node(server: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="'a b' is no name of a node"):
        server(port=0, cluster=URL, node="a b")


@pytest.mark.parametrize("missing", ["hiredis", "socket"])
def test_a_package_that_is_missing(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.startswith("chatproto_sync.cluster.") and name.endswith((".transport", "tion")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    words = "needs the package hiredis: pip" if missing == "hiredis" else "import of socket halted"
    with pytest.raises((ClusterError, ModuleNotFoundError), match=words):
        make_transport(parse_redis_url(URL), "a", 1.0, 1.0)
