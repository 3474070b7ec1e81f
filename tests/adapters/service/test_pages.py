"""`pages`: an HTTP server that costs the rest of the process little, whoever connects."""

import contextlib
import socket
import urllib.request
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest

from chatproto_sync.service import pages
from chatproto_sync.service.pages import MAX_CONNECTIONS, MAX_REQUEST, Page, serving_pages

from ..servers import TIMEOUT

Serve = Callable[[Callable[[], Page]], int]
"""Serves a page until the end of the test, and returns the port."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    # On a busy machine, all that a test does with a connection may take long.
    monkeypatch.setattr(pages, "TIME_LIMIT", 2 * TIMEOUT)
    with contextlib.ExitStack() as stack:
        yield lambda page: stack.enter_context(
            serving_pages({"/": page, "/metrics": page}, "127.0.0.1", 0)
        )


def hello() -> Page:
    return Page("text/plain", b"hello\n")


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), TIMEOUT)


def get(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT) as page:
        body: bytes = page.read()
    return body


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(1 << 16), b""))


HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", HEAD + b"hello\n"),
        (b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", HEAD),
        (b"GET / HTTP/1.0\n\n", HEAD + b"hello\n"),
        (b"GET /metrics?name=x HTTP/1.0\r\n\r\n", HEAD + b"hello\n"),
        (
            b"GET /nowhere HTTP/1.0\r\n\r\n",
            (
                b"HTTP/1.0 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 45\r\n\r\n"
                b"There is no such page; there is /, /metrics.\n"
            ),
        ),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.0 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\n\r\n",
        ),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_answers(serve: Serve, request_: bytes, answer: bytes, whole: bool) -> None:
    with connect(serve(hello)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in [request_] if whole else [bytes([each]) for each in request_]:
            sock.sendall(byte)
        assert read_all(sock) == answer


def test_a_request_without_a_path(serve: Serve) -> None:
    with connect(serve(hello)) as sock:
        sock.sendall(b"GET \r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.0 404 ")


def test_a_page_may_have_another_status(serve: Serve) -> None:
    port = serve(lambda: Page("text/plain", b"no\n", HTTPStatus.SERVICE_UNAVAILABLE))
    with connect(port) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert read_all(sock).startswith(b"HTTP/1.0 503 Service Unavailable\r\n")


def test_the_page_is_made_for_each_request(serve: Serve) -> None:
    bodies = iter([b"first", b"second"])
    port = serve(lambda: Page("text/plain", next(bodies)))
    assert [get(port), get(port)] == [b"first", b"second"]


def test_what_follows_a_request_is_ignored(serve: Serve) -> None:
    """If the server closed with unread data, the system would drop what the peer has not read."""
    with connect(serve(hello)) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n" * 10)
        assert read_all(sock) == HEAD + b"hello\n"


def test_a_page_that_does_not_fit_into_the_systems_buffers(serve: Serve) -> None:
    body = b"x" * (1 << 24)
    assert get(serve(lambda: Page("text/plain", body))) == body


def is_closed(sock: socket.socket) -> bool:
    """Whether the server closes a connection without an answer."""
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_request_without_an_end(serve: Serve) -> None:
    port = serve(hello)
    with connect(port) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n" + b"x" * MAX_REQUEST)
        assert is_closed(sock)
    assert get(port) == b"hello\n"


def test_half_requests_give_way(serve: Serve) -> None:
    port = serve(hello)
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect(port)) for _ in range(10 * MAX_CONNECTIONS)]
        for sock in socks:
            with contextlib.suppress(OSError):
                sock.sendall(b"GET / HTTP/1.0\r\n")
        for sock in socks[:-MAX_CONNECTIONS]:
            assert is_closed(sock)
        assert get(port) == b"hello\n"
        assert is_closed(socks[-MAX_CONNECTIONS])
        # Those that are left may finish.
        socks[-1].sendall(b"\r\n")
        assert read_all(socks[-1]) == HEAD + b"hello\n"


def test_peers_that_do_not_read_keep_nobody_waiting(serve: Serve) -> None:
    body = b"x" * (1 << 24)
    port = serve(lambda: Page("text/plain", body))
    with contextlib.ExitStack() as stack:
        for _ in range(2 * MAX_CONNECTIONS):
            sock = stack.enter_context(connect(port))
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert get(port) == body


def test_a_connection_has_a_time_limit(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "TIME_LIMIT", 0.05)
    with connect(serve(hello)) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n")
        assert is_closed(sock)


def test_a_peer_that_is_gone(serve: Serve) -> None:
    body = b"x" * (1 << 24)
    port = serve(lambda: Page("text/plain", body))
    for request in (b"", b"GET / HTTP/1.0\r\n", b"GET / HTTP/1.0\r\n\r\n"):
        with connect(port) as sock:
            sock.sendall(request)
    assert get(port) == body


def test_the_end_waits_for_nobody() -> None:
    with serving_pages({"/": hello}, "127.0.0.1", 0) as port:
        sock = connect(port)
        sock.sendall(b"GET / HTTP/1.0\r\n")
    with sock:
        assert is_closed(sock)
    with pytest.raises(ConnectionRefusedError):
        connect(port)


def test_an_address_that_is_taken() -> None:
    with (
        serving_pages({"/": hello}, "127.0.0.1", 0) as port,
        pytest.raises(OSError, match="in use"),
        serving_pages({}, "127.0.0.1", port),
    ):
        pass
