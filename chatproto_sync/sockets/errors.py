"""What went wrong on the network, in words for people."""

import os
from ssl import SSLCertVerificationError, SSLEOFError, SSLError
from typing import Any, Final

from chatproto import ConnectionLostError

from .addresses import Endpoint


def reason_of(error: Exception) -> object:
    """The system's words for an error, without numbers and paths; or else the error."""
    if isinstance(error, ConnectionError) and error.errno:
        # Event loops put their own words into the error.
        return os.strerror(error.errno)
    return error.strerror if isinstance(error, OSError) and error.strerror else error


def no_connection(endpoint: Endpoint[Any], error: Exception) -> ConnectionLostError:
    """The exception for a connection that cannot be made."""
    was_closed = isinstance(error, EOFError | SSLEOFError | ConnectionResetError)
    reason = _words(error)
    if endpoint.ssl is not None and was_closed:
        reason = f"the server has closed it during the TLS handshake; {TRY_WITHOUT_TLS}"
    return ConnectionLostError(f"can't connect to {endpoint}: {reason}")


def no_such_host(endpoint: Endpoint[Any]) -> OSError:
    """The cause for `no_connection` when no certificate can be for the expected host name."""
    return OSError(f"{endpoint.server_hostname!r} is not a host name")


def connection_lost(error: Exception) -> ConnectionLostError:
    """The exception for a connection that fails."""
    return ConnectionLostError(f"the connection is lost: {_words(error)}")


def login_lost(
    endpoint: Endpoint[Any], error: ConnectionLostError, first_byte: bytes
) -> ConnectionLostError:
    """The exception for a connection that is over before the login is decided.

    Args:
        endpoint: What the connection is to.
        error: Why it is over.
        first_byte: The first byte that it has brought; empty for none.
    """
    cause = error.__cause__
    if error.code:
        # The server has said why.
        return error
    if isinstance(cause, SSLError):
        text = f"can't log in at {endpoint}: {_words(cause)}"
    elif endpoint.ssl is None and first_byte in _TLS_RECORDS:
        text = f"can't log in at {endpoint}: the server uses TLS, so connect with TLS"
    elif not first_byte:
        wish = "TLS, connect with TLS" if endpoint.ssl is None else "a client certificate, load one"
        text = f"{error.text}, without an answer to the login; if the server wants {wish}"
    else:
        return error
    lost = ConnectionLostError(text)
    lost.__cause__ = cause
    return lost


TRY_WITHOUT_TLS: Final = "if the server has no TLS, connect without TLS"
"""What to try when a TLS handshake fails."""

# The first bytes of an alert and of a handshake message (RFC 8446, section 5.1).
_TLS_RECORDS: Final = (b"\x15", b"\x16")

# The keys are the ends of OpenSSL's names of errors. Alerts come from the server. With TLS 1.3,
# alerts about the client's certificate come after the handshake, in place of the answer to the
# login.
_TLS_WORDS: Final = {
    ("CERTIFICATE_REQUIRED",): "the server wants a client certificate, so load one",
    ("ALERT_HANDSHAKE_FAILURE",): (
        "the server refuses the TLS handshake; if it wants a client certificate, load one"
    ),
    (
        "ALERT_UNKNOWN_CA",
        "ALERT_BAD_CERTIFICATE",
        "ALERT_UNSUPPORTED_CERTIFICATE",
        "ALERT_CERTIFICATE_REVOKED",
        "ALERT_CERTIFICATE_EXPIRED",
        "ALERT_CERTIFICATE_UNKNOWN",
        "ALERT_ACCESS_DENIED",
    ): "the server does not accept the client certificate",
    (
        "WRONG_VERSION_NUMBER",
        "PACKET_LENGTH_TOO_LONG",
        "RECORD_LAYER_FAILURE",
    ): f"what the server sends is not TLS; {TRY_WITHOUT_TLS}",
    ("ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"): (
        "the server and this client have no version of TLS in common"
    ),
}


def _words(error: Exception) -> object:
    """The words for an error on a client's connection."""
    if isinstance(error, SSLCertVerificationError):
        return f"the server's certificate is not accepted: {error.verify_message}"
    # Python's own errors of TLS have no reason.
    reason = getattr(error, "reason", None) if isinstance(error, SSLError) else None
    for ends, words in _TLS_WORDS.items():
        if reason and reason.endswith(ends):
            return f"{words} ({reason.lower().replace('_', ' ')})"
    return reason_of(error)
