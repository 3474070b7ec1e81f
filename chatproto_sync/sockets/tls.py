"""TLS on sockets."""

import contextlib
import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

WANTS_READ: Final = ssl.SSLWantReadError
WANTS_WRITE: Final = ssl.SSLWantWriteError


class ServerCertificate:
    """A server's certificate in files that may be replaced while the server runs.

    Args:
        cert: The path of the certificate chain in PEM.
        key: The path of its private key in PEM; None if it is in the same file.
        client_ca: The path of the CA in PEM that clients' certificates have to be from; None if
            clients need no certificate.

    Raises:
        OSError: A file cannot be read, or has the wrong contents.
    """

    def __init__(self, cert: str, key: str | None, client_ca: str | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._current = self._load()
        self.context: ssl.SSLContext = self._current
        """The context for the listening server; each connection uses the files as read last."""
        # A context keeps one certificate for each kind of key, so after loading another kind into
        # the same context, OpenSSL might go on showing the old certificate.
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """Read the files again, for new connections.

        Raises:
            OSError: A file cannot be read, or has the wrong contents. The old certificate stays in
                use.
        """
        self._current = self._load()

    def _choose(self, connection: ssl.SSLObject, _name: str, _context: ssl.SSLContext) -> None:
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # RFC 8996.
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self._cert, self._key)
        if self._client_ca is not None:
            context.load_verify_locations(self._client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


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

    TLS cannot read on from there: to OpenSSL, data after the close_notify is an error.

    Args:
        sock: The connection. Do not use it any more.

    Returns:
        A plain socket in its place. Read it until the peer closes, and ignore the data.
    """
    # OpenSSL may want to read the peer's close_notify first, may find data in its place, or may be
    # unable to write now. Then the end of the stream has to suffice.
    with contextlib.suppress(OSError):
        sock.unwrap()
    return socket.socket(fileno=sock.detach())


def certificate_of(connection: ssl.SSLSocket | ssl.SSLObject) -> Mapping[str, Any] | None:
    """The certificate of a peer; empty if Python cannot read it; None if the peer has none."""
    try:
        return connection.getpeercert()
    except ValueError:
        # For example because a name in it is not valid text. Then it proves no name.
        return {}


def identities_of(
    context: ssl.SSLContext, certificate: Mapping[str, Any] | None
) -> frozenset[str] | None:
    """The names that a peer may log in under, by its certificate.

    They are the DNS names and mail addresses among the subject's alternative names, or the common
    name if there are none of these (RFC 6125, section 6.4.4).

    Args:
        context: The context of the handshake.
        certificate: The peer's certificate, as `ssl.SSLSocket.getpeercert` returns it.

    Returns:
        The names; None for any name, if the context asks for no certificate.
    """
    if context.verify_mode is ssl.CERT_NONE:
        return None
    fields = certificate or {}
    names = {value for kind, value in fields.get("subjectAltName", ()) if kind in ("DNS", "email")}
    return frozenset(names or _common_names(fields))


def _common_names(fields: Mapping[str, Any]) -> set[str]:
    return {
        value for part in fields.get("subject", ()) for key, value in part if key == "commonName"
    }
