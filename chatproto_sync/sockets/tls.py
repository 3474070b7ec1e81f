"""TLS on sockets."""

import contextlib
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

WANTS_READ: Final = ssl.SSLWantReadError
WANTS_WRITE: Final = ssl.SSLWantWriteError

_HANDSHAKE: Final = 0x16
"""The first byte of a client that uses TLS."""
_OLD_HELLO: Final = 0x80
"""The least first byte of one that begins as SSL 2 did, to ask for TLS."""


def check_server_context(context: ssl.SSLContext) -> None:
    """Refuse a context that can't be used by a server.

    Raises:
        ValueError: It is a context for clients.
    """
    if context.protocol is ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError("ssl is a context for clients, and a server needs one for servers")


def is_tls(sock: socket.socket) -> TypeGuard[ssl.SSLSocket]:
    """Whether a socket uses TLS."""
    return isinstance(sock, ssl.SSLSocket)


def start_tls(
    sock: socket.socket,
    context: ssl.SSLContext,
    *,
    server_side: bool = True,
    server_hostname: str | None = None,
) -> ssl.SSLSocket:
    """Turn a connected, non-blocking socket into one for TLS, before its handshake.

    Args:
        sock: The socket. Do not use it any more; after a failure it is closed.
        context: The context for TLS.
        server_side: Whether this is the server's end.
        server_hostname: The host name that a server's certificate has to be for; None for any.

    Raises:
        OSError: The peer is gone.
        TypeError: No certificate can be for that host name.
        ValueError: No certificate can be for that host name.
    """
    try:
        # Before Python 3.13, a failed `wrap_socket` leaves the descriptor open (CPython's issue
        # gh-113280). So make it fail before that: when the peer is gone, or the name is wrong.
        sock.getpeername()
        if server_hostname is not None:
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=server_hostname)
        return context.wrap_socket(
            sock,
            server_side=server_side,
            do_handshake_on_connect=False,
            server_hostname=server_hostname,
        )
    except BaseException:
        sock.close()
        raise


def end_tls(sock: ssl.SSLSocket) -> socket.socket:
    """Send TLS's close_notify (RFC 8446, section 6.1).

    TLS cannot read after that: OpenSSL takes data after the close_notify as an error.

    Args:
        sock: The connection. Do not use it any more.

    Returns:
        A plain socket in its place. Read it until the peer closes, and ignore the data.
    """
    # OpenSSL may want to read the peer's close_notify first, may find data in its place, or may be
    # unable to write now. Then the end of the stream has to suffice.
    with contextlib.suppress(OSError):
        sock.unwrap()
    return without_tls(sock)


def looks_like_tls(data: bytes) -> bool:
    """Whether a connection that begins like this may use TLS.

    See RFC 8446, section 5.1, and RFC 5246, appendix E.2.

    Args:
        data: One byte or more.
    """
    return data[0] == _HANDSHAKE or data[0] >= _OLD_HELLO


def without_tls(sock: socket.socket) -> socket.socket:
    """The same connection as a plain socket. Do not use the given one any more."""
    return socket.socket(fileno=sock.detach()) if is_tls(sock) else sock


def words_of(error: OSError) -> str:
    """OpenSSL's words for an error, or the system's, without numbers and names of C files."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}"
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return "the other side has closed the connection"
    if isinstance(error, ssl.SSLError):
        words = (error.reason or "the data make no sense to OpenSSL").lower().replace("_", " ")
        return f"the other side sent {words}" if " alert " in words else words
    return error.strerror or str(error)


def certificate_of(connection: ssl.SSLSocket | ssl.SSLObject) -> Mapping[str, Any] | None:
    """The certificate of a peer; empty if Python cannot read it; None if the peer has none."""
    try:
        return connection.getpeercert()
    except (ValueError, ssl.SSLError):
        # For example because a name in it is not valid text. Then it proves no name.
        return {}


def identities_of(
    context: ssl.SSLContext, certificate: Mapping[str, Any] | None
) -> frozenset[str] | None:
    """The names that a peer may log in under, by its certificate.

    They are the DNS names and mail addresses among the subject's alternative names, letter for
    letter. RFC 9525 allows no other source. This function makes one exception, for CAs that know
    only common names: if there is no alternative name of any kind, and exactly one common name, it
    takes that.

    Args:
        context: The context of the handshake.
        certificate: The peer's certificate, as `ssl.SSLSocket.getpeercert` returns it.

    Returns:
        The names; None for any name, if the context asks for no certificate.
    """
    if context.verify_mode is ssl.CERT_NONE:
        return None
    fields = certificate or {}
    alternatives = fields.get("subjectAltName", ())
    if alternatives:
        return frozenset(value for kind, value in alternatives if kind in ("DNS", "email"))
    common = [
        value for part in fields.get("subject", ()) for key, value in part if key == "commonName"
    ]
    return frozenset(common if len(common) == 1 else ())
