"""`proxy_header`: the PROXY protocol, as HAProxy's proxy-protocol.txt defines it."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproto.server.proxy_header import (
    MAX_HEADER,
    ProxyHeader,
    ProxyHeaderError,
    ProxyNetworks,
    parse_proxy_header,
)

SIGNATURE = bytes.fromhex("0D 0A 0D 0A 00 0D 0A 51 55 49 54 0A")
V4 = bytes([192, 0, 2, 1, 198, 51, 100, 7]) + (4321).to_bytes(2) + (3333).to_bytes(2)
V6 = bytes.fromhex("20010db8" + 22 * "0" + "07" + 31 * "0" + "1") + b"\x10\xe1\x0d\x05"
UNIX = b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0")


def binary(
    head: int, kind: int, addresses: bytes, extensions: bytes = b"", size: int | None = None
) -> bytes:
    """A header of version 2.

    Args:
        head: The byte with the version and the command.
        kind: The byte with the family and the transport.
        addresses: The addresses.
        extensions: What comes behind them.
        size: The size that the header claims; None for the right one.
    """
    if size is None:
        size = len(addresses) + len(extensions)
    return SIGNATURE + bytes([head, kind]) + size.to_bytes(2) + addresses + extensions


GOOD = {
    "TCP4": (b"PROXY TCP4 192.0.2.1 198.51.100.7 4321 3333\r\n", "192.0.2.1", 4321),
    "TCP4, longest": (
        b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
        "255.255.255.255",
        65535,
    ),
    "TCP6": (b"PROXY TCP6 2001:DB8::7 ::1 0 0\r\n", "2001:db8::7", 0),
    "TCP6, longest": (
        b"PROXY TCP6 " + b" ".join([b":".join([b"ffff"] * 8)] * 2) + b" 65535 65535\r\n",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        65535,
    ),
    "TCP6 that stands for IPv4": (
        b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.7 4321 3333\r\n",
        "192.0.2.1",
        4321,
    ),
    "UNKNOWN": (b"PROXY UNKNOWN\r\n", "", 0),
    "UNKNOWN, with more": (b"PROXY UNKNOWN what\never \x00\r this is\r\n", "", 0),
    "UNKNOWN, longest": (
        b"PROXY UNKNOWN " + b" ".join([b":".join([b"ffff"] * 8)] * 2) + b" 65535 65535\r\n",
        "",
        0,
    ),
    "2, TCP over IPv4": (binary(0x21, 0x11, V4), "192.0.2.1", 4321),
    "2, TCP over IPv6": (binary(0x21, 0x21, V6), "2001:db8::7", 4321),
    "2, IPv6 that stands for IPv4": (
        binary(0x21, 0x21, bytes(10) + b"\xff\xff" + V4[:4] + bytes(16) + V4[8:]),
        "192.0.2.1",
        4321,
    ),
    "2, extensions": (binary(0x21, 0x11, V4, b"\x04\0\3abc\x20\0\0"), "192.0.2.1", 4321),
    "2, longest": (binary(0x21, 0x11, V4, bytes(MAX_HEADER - 28)), "192.0.2.1", 4321),
    "2, UDP over IPv4": (binary(0x21, 0x12, V4), "", 0),
    "2, UDP over IPv6": (binary(0x21, 0x22, V6), "", 0),
    "2, Unix stream": (binary(0x21, 0x31, UNIX), "", 0),
    "2, Unix datagram": (binary(0x21, 0x32, UNIX), "", 0),
    "2, unspecified": (binary(0x21, 0x00, b""), "", 0),
    "2, unspecified transport": (binary(0x21, 0x10, V4), "", 0),
    "2, LOCAL": (binary(0x20, 0x00, b""), "", 0),
    "2, LOCAL with addresses": (binary(0x20, 0x11, V4), "", 0),
    "2, LOCAL of no known family": (binary(0x20, 0xFF, b"abc"), "", 0),
}


@pytest.mark.parametrize(("data", "address", "port"), GOOD.values(), ids=GOOD.keys())
def test_good_headers(data: bytes, address: str, port: int) -> None:
    header = ProxyHeader(len(data), address, port)
    for rest in (b"", b"\r\n", b"CHAT/1.0 LOGIN alice\n", data, b"\x16\x03\x01"):
        assert parse_proxy_header(data + rest) == header


@pytest.mark.parametrize("data", [data for data, *_ in GOOD.values()], ids=GOOD.keys())
def test_a_header_is_incomplete_up_to_its_last_byte(data: bytes) -> None:
    for size in range(len(data)):
        assert parse_proxy_header(data[:size]) is None


BAD = {
    "no header": (b"CHAT/1.0 LOGIN alice\n", "does not begin with one"),
    "an HTTP request": (b"PUT / HTTP/1.1\r\n", "does not begin with one"),
    "half a signature": (SIGNATURE[:-1] + b"!", "does not begin with one"),
    "lower case": (b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "does not begin with one"),
    "LF only": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", "does not end with CRLF"),
    "LF, then CRLF": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\nx\r\n", "grammar"),
    "two spaces": (b"PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "grammar"),
    "a space at the end": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", "grammar"),
    "a tab": (b"PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n", "grammar"),
    "no ports": (b"PROXY TCP4 192.0.2.1 192.0.2.2\r\n", "grammar"),
    "nothing": (b"PROXY \r\n", "grammar"),
    "another protocol": (b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", "grammar"),
    "almost UNKNOWN": (b"PROXY UNKNOWNS\r\n", "grammar"),
    "UNKNOWN, and CR": (b"PROXY UNKNOWN\rx\r\n", "grammar"),
    "a zone": (b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", "grammar"),
    "no ASCII": ("PROXY TCP4 192.0.2.1 192.0.2.2 \u0661 2\r\n".encode(), "grammar"),
    "a zero in front of a port": (b"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", "grammar"),
    "a sign": (b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", "grammar"),
    "source port": (b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", "a port is greater than"),
    "port": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", "a port is greater than"),
    "a zero in front": (b"PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n", "an address is wrong"),
    "out of range": (b"PROXY TCP4 192.0.2.1 192.0.2.256 1 2\r\n", "an address is wrong"),
    "three numbers": (b"PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", "an address is wrong"),
    "IPv6 as TCP4": (b"PROXY TCP4 ::1 ::1 1 2\r\n", "an address is wrong"),
    "IPv4 as TCP6": (b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", "an address is wrong"),
    "a long line": (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "longer than 107 bytes"),
    "a line without an end": (b"PROXY TCP4 " + b"1" * 200, "longer than 107 bytes"),
    "version 1 in binary": (binary(0x11, 0x11, V4), "version 1 is not known"),
    "version 3": (binary(0x31, 0x11, V4), "version 3 is not known"),
    "command 2": (binary(0x22, 0x11, V4), "command 2 is not known"),
    "family 4": (binary(0x21, 0x41, V4), "address family 4 is not known"),
    "transport 3": (binary(0x21, 0x13, V4), "transport 3 is not known"),
    "short IPv4": (binary(0x21, 0x11, V4[:-1]), "11 bytes have no room"),
    "short IPv6": (binary(0x21, 0x21, V6[:-1]), "35 bytes have no room"),
    "short Unix": (binary(0x21, 0x31, UNIX[:-1]), "215 bytes have no room"),
    "IPv4 of no transport": (binary(0x21, 0x10, b""), "0 bytes have no room"),
    "too long": (binary(0x21, 0x11, b"", size=MAX_HEADER - 15), "and 4096 are allowed"),
    "too long a LOCAL": (binary(0x20, 0x00, b"", size=65535), "and 4096 are allowed"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "words"), BAD.values(), ids=BAD.keys())
def test_bad_headers(data: bytes, words: str) -> None:
    with pytest.raises(ProxyHeaderError, match=words):
        parse_proxy_header(data)
    # Once it is wrong, it stays wrong.
    wrong = False
    for size in range(len(data) + 1):
        try:
            header = parse_proxy_header(data[:size])
        except ProxyHeaderError:
            wrong = True
        else:
            assert header is None
            assert not wrong


PIECES = [
    SIGNATURE, SIGNATURE + b"\x21\x11\0\x0c", V4, V6, b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN",
    b"192.0.2.1 ", b"::1 ", b"1 ", b"2", b" ", b"\r", b"\n", b"\r\n", b"\0", b"\xff",
    b"\x20", b"\x21", b"\x11",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_every_prefix_agrees_with_the_whole(data: bytes) -> None:
    """Whatever pieces the bytes come in, the outcome is that of the whole."""
    outcomes: list[ProxyHeader | str | None] = []
    for size in range(len(data) + 1):
        try:
            outcomes.append(parse_proxy_header(data[:size]))
        except ProxyHeaderError:
            outcomes.append("bad")
    decided = [each for each in outcomes if each is not None]
    assert outcomes == [None] * (len(outcomes) - len(decided)) + decided
    if decided and isinstance(decided[0], ProxyHeader):
        assert set(decided) == {decided[0]}
        assert decided[0].size == len(outcomes) - len(decided)
    elif decided:
        # A line that is wrong may be so in more than one way.
        assert set(decided) == {"bad"}


@given(st.sampled_from([SIGNATURE, b"PROXY "]), st.binary(min_size=1, max_size=40))
def test_it_is_bounded(start: bytes, rest: bytes) -> None:
    """After so many bytes, it is complete or wrong."""
    try:
        header = parse_proxy_header((start + rest * MAX_HEADER)[:MAX_HEADER])
    except ProxyHeaderError:
        return
    assert header is not None
    assert header.size <= MAX_HEADER


ports = st.integers(0, 65535)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), ports, ports)
def test_any_address_of_ipv4(source: object, destination: object, port: int, other: int) -> None:
    line = f"PROXY TCP4 {source} {destination} {port} {other}\r\n".encode()
    assert parse_proxy_header(line) == ProxyHeader(len(line), str(source), port)


@given(st.ip_addresses(v=6), st.ip_addresses(v=6), ports, ports)
def test_any_address_of_ipv6(source: object, destination: object, port: int, other: int) -> None:
    line = f"PROXY TCP6 {source} {destination} {port} {other}\r\n".encode()
    header = parse_proxy_header(line)
    assert header is not None
    assert header.port == port
    found = ip_address(header.address)
    mapped = getattr(source, "ipv4_mapped")  # noqa: B009
    assert found == (mapped or source)


@pytest.mark.parametrize(
    ("networks", "inside", "outside"),
    [
        (["10.0.0.0/8"], ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.1", "::a01:203", ""]),
        (["192.0.2.1"], ["192.0.2.1"], ["192.0.2.2"]),
        (["2001:db8::/32", "unix"], ["2001:db8::1", ""], ["2001:db9::1", "192.0.2.1"]),
        (["fe80::/10"], ["fe80::1%eth0"], ["::1"]),
        (["unix"], [""], ["127.0.0.1"]),
        ("10.0.0.0/8", ["10.1.2.3"], ["127.0.0.1"]),
        ([], [], ["127.0.0.1", "::1", ""]),
    ],
)
def test_networks(networks: str | list[str], inside: list[str], outside: list[str]) -> None:
    found = ProxyNetworks(networks)
    assert [each for each in (*inside, *outside) if each in found] == inside


@pytest.mark.parametrize("text", ["10.0.0.1/8", "balancer", "", "10.0.0.0/33"])
def test_no_networks(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ProxyNetworks([text])
