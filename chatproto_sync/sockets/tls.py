"""TLS on sockets."""

import contextlib
import socket
import ssl
from collections.abc import Mapping
from traceback import walk_tb
from typing import Any, Final, TypeGuard

WANTS_READ: Final = ssl.SSLWantReadError
WANTS_WRITE: Final = ssl.SSLWantWriteError


class ServerCertificate:
    """A server's certificate in files, which may be replaced while it runs.

    Args:
        cert: The path of the certificate chain, PEM.
        key: The path of its private key, PEM; None when it is in the same file.
        client_ca: The path of the CA that clients' certificates are to be from, PEM; None when
            clients need none.

    Raises:
        OSError: A file can't be read, or makes no sense.
    """

    def __init__(self, cert: str, key: str | None, client_ca: str | None) -> None:
        self._cert, self._key, self._client_ca = cert, key, client_ca
        self._current = self._load()
        self.context = self._current
        """What connections are made with; each gets what was read last."""
        # Reading a new certificate into the same context would not do: OpenSSL keeps one for each
        # kind of key there, and might go on showing the old one.
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        """Read the files again, for connections to come.

        Raises:
            OSError: A file can't be read, or makes no sense. What was read before stays in use.
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
    """Whether a socket does TLS."""
    return isinstance(sock, ssl.SSLSocket)


def start_tls(
    sock: socket.socket,
    context: ssl.SSLContext,
    *,
    server_side: bool = True,
    server_hostname: str | None = None,
) -> ssl.SSLSocket:
    """Have a connected, non-blocking socket do TLS; the handshake is still to come.

    Args:
        sock: The socket. It is of no use any more.
        context: What to do TLS with.
        server_side: Whether this is the server's end.
        server_hostname: Whose certificate a client expects; None for nobody's in particular.

    Raises:
        OSError: The peer is gone. As with every failure, the socket is closed.
        TypeError: No certificate can be for that host.
        ValueError: Likewise.
    """
    try:
        return context.wrap_socket(
            sock,
            server_side=server_side,
            do_handshake_on_connect=False,
            server_hostname=server_hostname,
        )
    except BaseException as error:
        sock.close()
        # Its descriptor may be a new socket's by now, which nobody knows but the frames that have
        # failed; the first one is this function's own.
        for made in [each.f_locals.get("self") for each, _ in [*walk_tb(error.__traceback__)][1:]]:
            if isinstance(made, ssl.SSLSocket):
                made.close()
        raise


def end_tls(sock: ssl.SSLSocket) -> socket.socket:
    """Tell the peer that nothing more comes (RFC 8446, section 6.1).

    What the peer still says can't be read as TLS for sure: data that comes after that word are an
    error to OpenSSL.

    Args:
        sock: The connection. It is of no use any more.

    Returns:
        A plain socket in its place, to read until the peer ends the connection, and throw away.
    """
    # It wants to read the peer's own goodbye, or has found something else, or can't write now:
    # then the end of the stream has to do.
    with contextlib.suppress(OSError):
        sock.unwrap()
    return socket.socket(fileno=sock.detach())


def certificate_of(connection: ssl.SSLSocket | ssl.SSLObject) -> Mapping[str, Any] | None:
    """The certificate that a peer has shown; empty when it is one that Python can't read."""
    try:
        return connection.getpeercert()
    except ValueError:
        # Octets in a name that are no text, for example. Whoever has signed it, it names nobody.
        return {}


def identities_of(
    context: ssl.SSLContext, certificate: Mapping[str, Any] | None
) -> frozenset[str] | None:
    """Who a peer has proved to be: the names that it may log in under.

    They are the DNS names and mail addresses among the subject's alternative names; the common name
    only if there are none of these (RFC 6125, section 6.4.4).

    Args:
        context: What the handshake was done with.
        certificate: The peer's, as `ssl.SSLSocket.getpeercert` gives it.

    Returns:
        The names; None when the context asks for no certificate, so that anybody is welcome.
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
