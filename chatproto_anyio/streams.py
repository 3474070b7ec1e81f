"""AnyIO byte streams that raise `ConnectionLostError`."""

import contextlib
import os
import select
import socket
import sys
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream

from chatproto_sync.sockets.addresses import Endpoint
from chatproto_sync.sockets.errors import connection_lost, no_connection, no_such_host
from chatproto_sync.sockets.transport import READ_SIZE

CLOSE_TIMEOUT: Final = 1.0
"""Seconds that a stream may take to close."""

GONE: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
"""What streams raise when the connection is lost or closed. TLS's own errors are OSErrors."""


async def open_stream(endpoint: Endpoint[socket.socket | ByteStream]) -> ByteStream:
    """Connect to a server, and do the TLS handshake if the endpoint wants one.

    Args:
        endpoint: Where to connect to.

    Raises:
        ConnectionLostError: No connection can be made.
    """
    try:
        stream = await _open_plain(endpoint)
        if endpoint.ssl is None:
            return stream
        try:
            return await TLSStream.wrap(
                stream,
                server_side=False,
                hostname=endpoint.server_hostname,
                ssl_context=endpoint.ssl,
                standard_compatible=False,
            )
        except BaseException as error:
            await anyio.aclose_forcefully(stream)
            # `ssl` raises these when it refuses a host name. Its error for a certificate is both
            # a ValueError and an OSError.
            if isinstance(error, TypeError | ValueError) and not isinstance(error, OSError):
                raise no_such_host(endpoint) from error
            raise
    except anyio.EndOfStream:
        raise no_connection(endpoint, EOFError("the server has closed it")) from None
    except (*GONE, UnicodeError) as error:
        cause = _cause(error)
        raise no_connection(endpoint, cause) from cause


async def receive(stream: ByteStream) -> bytes:
    """Wait for the next bytes.

    Returns:
        At least one byte; none at the end of the stream.

    Raises:
        ConnectionLostError: The connection is lost.
    """
    try:
        return await stream.receive(READ_SIZE)
    except anyio.EndOfStream:
        return b""
    except GONE as error:
        cause = _cause(error)
        raise connection_lost(cause) from cause


async def send(stream: ByteStream, data: bytes) -> None:
    """Write all of `data`.

    Raises:
        ConnectionLostError: The connection is lost.
    """
    try:
        await stream.send(data)
    except GONE as error:
        cause = _cause(error)
        raise connection_lost(cause) from cause


class SendRoom:
    """Tells whether a stream takes data without waiting, and whether it has ended.

    It knows this only for a socket on Linux.

    Args:
        stream: The stream.
    """

    def __init__(self, stream: ByteStream) -> None:
        self._poll = select.poll()
        self._max_size = 0
        sock = stream.extra(SocketAttribute.raw_socket, None)
        # Linux calls a socket writable when a third of its buffer is free. Other systems do
        # so even when there is less room than a line may need.
        if sock is not None and sys.platform == "linux":
            # The connection may be lost already.
            with contextlib.suppress(OSError, ValueError):
                self._poll.register(sock, select.POLLOUT | select.POLLRDHUP)
                self._max_size = sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 4

    def takes(self, size: int) -> bool:
        """Whether the stream takes that many bytes at once; False if that is not known."""
        return size <= self._max_size and bool(self._flags() & select.POLLOUT)

    @property
    def full(self) -> bool:
        """Whether the stream takes nothing at the moment; False if that is not known."""
        return self._max_size > 0 and not self._flags()

    @property
    def ended(self) -> bool:
        """Whether the peer has ended the stream, or is gone; False if that is not known."""
        return bool(self._flags() & ~select.POLLOUT)

    def _flags(self) -> int:
        return sum(flags for _, flags in self._poll.poll(0))


async def close(stream: ByteStream) -> None:
    """Close a stream, within a second."""
    with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
        try:
            await stream.aclose()
        except (*GONE, anyio.BusyResourceError):
            # TLS could not exchange its closing messages, because the peer is gone or another task
            # is reading. The stream below it is still open.
            with contextlib.suppress(*GONE):
                await anyio.aclose_forcefully(stream)


async def _open_plain(endpoint: Endpoint[socket.socket | ByteStream]) -> ByteStream:
    if isinstance(endpoint.transport, socket.socket):
        try:
            return await SocketStream.from_socket(endpoint.transport)
        except ValueError as error:
            # The socket has no peer.
            endpoint.transport.close()
            raise OSError(str(error)) from error
    if endpoint.transport is not None:
        return endpoint.transport
    if endpoint.unix is not None:
        return await anyio.connect_unix(os.fspath(endpoint.unix))
    return await anyio.connect_tcp(endpoint.host, endpoint.port)


def _cause(error: Exception) -> Exception:
    """The system's own error, if AnyIO has wrapped it in another one."""
    cause = error.__cause__
    if isinstance(cause, ExceptionGroup):
        # It has an error for each address that was tried.
        cause = cause.exceptions[-1]
    return cause if isinstance(cause, OSError) else error
