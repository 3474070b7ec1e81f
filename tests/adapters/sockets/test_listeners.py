"""`listeners`: opening the sockets that a server listens on."""

import errno
import logging
import re
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from chatproto_sync.sockets.addresses import describe
from chatproto_sync.sockets.listeners import ATTEMPTS, open_listeners

from ..servers import reserved_port

UNAVAILABLE = "192.0.2.1"
"""An address that no machine has (RFC 5737)."""


@contextmanager
def listening(*args: Any, **options: Any) -> Iterator[list[str]]:
    """Listen, and give the addresses as people read them."""
    listeners = open_listeners(*args, **options)
    try:
        yield [describe(each.getsockname(), each.family) for each in listeners.sockets]
    finally:
        listeners.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Have each host name resolve to these addresses."""

    def getaddrinfo(_host: str, port: int, **_: Any) -> list[Any]:
        return [
            (family, socket.SOCK_STREAM, 0, "", address)
            for host in hosts
            for family, address in [
                (socket.AF_INET6, (host, port, 0, 0))
                if ":" in host
                else (socket.AF_INET, (host, port))
            ]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def remove_ipv6(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have the machine lack IPv6: there are no such sockets, or none of its addresses works."""
    real = socket.socket

    class WithoutIPv6(real):  # type: ignore[misc, valid-type]
        def __init__(self, family: int = -1, *args: Any, **options: Any) -> None:
            if family == socket.AF_INET6 and number == errno.EAFNOSUPPORT:
                raise OSError(number, "there is no IPv6")
            super().__init__(family, *args, **options)

        def bind(self, address: Any) -> None:
            if self.family == socket.AF_INET6:
                raise OSError(number, "there is no IPv6")
            super().bind(address)

    monkeypatch.setattr(socket, "socket", WithoutIPv6)


each_way_to_lack_ipv6 = pytest.mark.parametrize(
    "number", [errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL], ids=["no sockets", "no addresses"]
)


def test_one_address_by_default() -> None:
    with listening(None, 0) as [address]:
        assert address.startswith("127.0.0.1:")


def test_several_hosts_and_unix_sockets(tmp_path: Path) -> None:
    paths = [tmp_path / "one", str(tmp_path / "two")]
    with listening(["127.0.0.1", "::1"], 0, paths, 0o600) as addresses:
        port = addresses[0].rpartition(":")[2]
        assert addresses == [
            f"127.0.0.1:{port}",
            f"[::1]:{port}",
            f"unix:{tmp_path}/one",
            f"unix:{tmp_path}/two",
        ]
    assert list(tmp_path.iterdir()) == []


def test_a_unix_socket_alone_or_beside_a_host(tmp_path: Path) -> None:
    path = tmp_path / "chat"
    for host in (None, ()):
        with listening(host, 0, path) as addresses:
            assert addresses == [f"unix:{path}"]
    with listening("127.0.0.1", 0, path) as addresses:
        assert [each.partition(":")[0] for each in addresses] == ["127.0.0.1", "unix"]


def test_the_star_stands_for_all_addresses_of_both_families() -> None:
    with listening("*", 0) as addresses:
        port = addresses[0].rpartition(":")[2]
        assert addresses == [f"0.0.0.0:{port}", f"[::]:{port}"]
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, int(port))).close()


def test_an_ipv6_address_may_have_brackets() -> None:
    with listening("[::1]", 0) as [address]:
        assert address.startswith("[::1]:")


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        (["127.0.0.1", "127.0.0.1"], ["127.0.0.1"]),
        (["::1", "[::1]"], ["[::1]"]),
        (["127.0.0.1", "*", "::1"], ["0.0.0.0", "[::]"]),
        (["127.0.0.1", "::", "::1"], ["127.0.0.1", "[::]"]),
    ],
)
def test_an_address_that_is_there_already_is_not_opened_again(
    hosts: Sequence[str], expected: list[str]
) -> None:
    with listening(hosts, 0) as addresses:
        assert [each.rpartition(":")[0] for each in addresses] == expected


@each_way_to_lack_ipv6
@pytest.mark.parametrize("host", ["*", "both.example"])
def test_a_family_that_the_machine_lacks_is_skipped_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, host: str, number: int
) -> None:
    resolve_to(monkeypatch, "::1", "127.0.0.1")
    remove_ipv6(monkeypatch, number)
    with listening(host, 0) as [address]:
        assert address.rpartition(":")[0] in ("127.0.0.1", "0.0.0.0")
    [(logger, level, text)] = caplog.record_tuples
    assert (logger, level) == ("chatproto.server", logging.WARNING)
    assert text.startswith("not listening on [::")
    assert text.endswith(": this machine has no IPv6")


@each_way_to_lack_ipv6
@pytest.mark.parametrize("hosts", [["::1"], ["127.0.0.1", "::1"]])
def test_a_host_of_which_no_address_works_is_an_error(
    monkeypatch: pytest.MonkeyPatch, hosts: list[str], number: int
) -> None:
    remove_ipv6(monkeypatch, number)
    with pytest.raises(OSError, match="there is no IPv6") as caught:
        open_listeners(hosts, 0)
    assert caught.value.filename == "[::1]:0"


def test_nothing_stays_open_when_an_address_is_not_available(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = reserved_port()
    with monkeypatch.context() as patch:
        resolve_to(patch, "127.0.0.1", UNAVAILABLE)
        with pytest.raises(OSError, match="assign") as caught:
            open_listeners("two.example", port)
    assert caught.value.filename == f"{UNAVAILABLE}:{port}"
    with pytest.raises(OSError, match="No such file"):
        open_listeners("127.0.0.1", port, [tmp_path / "chat", tmp_path / "no" / "folder"])
    assert not (tmp_path / "chat").exists()
    with listening("127.0.0.1", port) as addresses:
        assert addresses == [f"127.0.0.1:{port}"]


@pytest.mark.skipif(sys.platform != "linux", reason="others do not have all of 127.0.0.0/8")
def test_a_free_port_is_free_on_all_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[socket.socket] = []
    real = socket.socket.listen
    tries = 0

    def listen(self: socket.socket, backlog: int) -> None:
        """Somebody else takes the port on the other address, the first two times."""
        nonlocal tries
        real(self, backlog)
        tries += 1
        if tries <= 2:
            host, port = self.getsockname()
            assert host == "127.0.0.1"
            other = socket.socket()
            other.bind(("127.0.0.2", port))
            real(other, 1)
            taken.append(other)

    monkeypatch.setattr(socket.socket, "listen", listen)
    try:
        with listening(["127.0.0.1", "127.0.0.2"], 0) as addresses:
            one, two = (int(each.rpartition(":")[2]) for each in addresses)
            assert one == two
            assert one not in [each.getsockname()[1] for each in taken]
        assert len(taken) == 2
    finally:
        for each in taken:
            each.close()


def test_the_search_for_a_free_port_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def bind(_self: socket.socket, _address: object) -> None:
        nonlocal count
        count += 1
        raise OSError(errno.EADDRINUSE, "somebody is always faster")

    monkeypatch.setattr(socket.socket, "bind", bind, raising=False)
    with pytest.raises(OSError, match="always faster"):
        open_listeners("127.0.0.1", 0)
    assert count == ATTEMPTS


@pytest.mark.parametrize(
    ("host", "where"),
    [("a..b", "a..b:7"), ("\0", "\0:7"), ("[::1%nowhere]", "[::1%nowhere]:7")],
)
def test_an_error_names_the_host(host: str, where: str) -> None:
    with pytest.raises(OSError, match=re.escape(repr(where))) as caught:
        open_listeners(host, 7)
    assert caught.value.filename == where
    assert caught.value.strerror


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="this system has no SO_REUSEPORT")
def test_a_port_is_shared_only_by_those_who_all_ask_for_it() -> None:
    with listening("*", 0, reuse_port=True) as addresses:
        port = int(addresses[0].rpartition(":")[2])
        with listening("*", port, reuse_port=True) as others:
            assert others == addresses
        with pytest.raises(OSError, match="in use") as caught:
            open_listeners("*", port)
        assert caught.value.filename == addresses[0]
    with listening("127.0.0.1", 0) as [address], pytest.raises(OSError, match="in use"):
        open_listeners("127.0.0.1", int(address.rpartition(":")[2]), reuse_port=True)


def test_a_system_whose_ports_can_not_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT", raising=False)
    with pytest.raises(OSError, match="this system has no SO_REUSEPORT") as caught:
        open_listeners(None, 7, reuse_port=True)
    assert caught.value.filename == "127.0.0.1:7"


def test_an_error_names_the_path(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "folder", tmp_path / ("x" * 200)):
        with pytest.raises(OSError, match="unix:") as caught:
            open_listeners(None, 0, path)
        assert caught.value.filename == f"unix:{path}"
        assert caught.value.strerror


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"host": ""}, "a host is not empty"),
        ({"host": ["::1", ""]}, "a host is not empty"),
        ({"host": "127.0.0.1:3333"}, "neither a host name nor an IP address"),
        ({"host": ["::1", "unix:/run/chat"]}, "neither a host name nor an IP address"),
        ({"host": ()}, "no host and no Unix socket"),
        ({"port": 65536}, "a port is 0 to 65535"),
        ({"unix": ""}, "is not empty"),
        ({"unix": ["/x", ""]}, "is not empty"),
        ({"unix": "\0x"}, "no zero bytes"),
        ({"unix_mode": 0o600}, "unix_mode has no use without unix"),
        ({"unix": "/x", "reuse_port": True}, "reuse_port has no use without a host"),
    ],
)
def test_values_that_make_no_sense(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        open_listeners(**{"host": None, "port": 0, **options})
