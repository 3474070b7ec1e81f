"""A client's connection: a byte stream whose errors are ours."""

import contextlib
import os
import socket
from typing import Final

import anyio
from anyio.abc import ByteStream, SocketStream
from anyio.streams.tls import TLSStream

from chatproto_sync.sockets.addresses import Endpoint
from chatproto_sync.sockets.errors import connection_lost, no_connection, no_such_host
from chatproto_sync.sockets.transport import READ_SIZE

GOODBYE: Final = 1.0
"""Seconds that a stream may take to close."""

GONE: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
"""How streams say that their peer, or their transport, is not there any more; TLS's own errors are
OSErrors."""


async def open_stream(endpoint: Endpoint[socket.socket | ByteStream]) -> ByteStream:
    """Connect to a server, and do the TLS handshake if there is to be one.

    Args:
        endpoint: Where.

    Raises:
        ConnectionLostError: It can't be done.
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
            # A certificate that is not good is a ValueError too.
            if isinstance(error, TypeError | ValueError) and not isinstance(error, OSError):
                # That is how `ssl` refuses a name.
                raise no_such_host(endpoint) from error
            raise
    except anyio.EndOfStream:
        raise no_connection(endpoint, EOFError("the server has closed it")) from None
    except (*GONE, UnicodeError) as error:
        cause = _cause(error)
        raise no_connection(endpoint, cause) from cause


async def receive(stream: ByteStream) -> bytes:
    """What has arrived, at least one octet; none at the end of the stream.

    Raises:
        ConnectionLostError: The connection is gone.
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
        ConnectionLostError: The connection is gone.
    """
    try:
        await stream.send(data)
    except GONE as error:
        cause = _cause(error)
        raise connection_lost(cause) from cause


async def close(stream: ByteStream) -> None:
    """Close it, within a second."""
    with anyio.move_on_after(GOODBYE, shield=True):
        try:
            await stream.aclose()
        except (*GONE, anyio.BusyResourceError):
            # TLS wants to say goodbye, and there is nobody to say it to, or somebody waits for what
            # it would have to read. Its transport is open still.
            with contextlib.suppress(*GONE):
                await anyio.aclose_forcefully(stream)


async def _open_plain(endpoint: Endpoint[socket.socket | ByteStream]) -> ByteStream:
    if isinstance(endpoint.transport, socket.socket):
        try:
            return await SocketStream.from_socket(endpoint.transport)
        except ValueError as error:
            # What AnyIO says of a socket without a peer.
            endpoint.transport.close()
            raise OSError(str(error)) from error
    if endpoint.transport is not None:
        return endpoint.transport
    if endpoint.unix is not None:
        return await anyio.connect_unix(os.fspath(endpoint.unix))
    return await anyio.connect_tcp(endpoint.host, endpoint.port)


def _cause(error: Exception) -> Exception:
    """The system's own error, where AnyIO has put another one around it."""
    cause = error.__cause__
    if isinstance(cause, ExceptionGroup):
        # One for each address that was tried.
        cause = cause.exceptions[-1]
    return cause if isinstance(cause, OSError) else error
