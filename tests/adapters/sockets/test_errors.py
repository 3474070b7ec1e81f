"""chatproto_sync.sockets.errors: words for what goes wrong."""

import ssl
from dataclasses import replace
from typing import Any

import pytest

from chatproto import ConnectionLostError, ErrorCode
from chatproto_sync.sockets.addresses import Endpoint, make_endpoint
from chatproto_sync.sockets.errors import connection_lost, login_lost, no_connection

PLAIN: Endpoint[Any] = make_endpoint("chat.example", 3333, None, None, False, None)
TLS = replace(PLAIN, ssl=ssl.create_default_context())


def tls_error(reason: str) -> ssl.SSLError:
    """An error as `ssl` makes it."""
    error = ssl.SSLError(1, f"[SSL: {reason}] some words (_ssl.c:1006)")
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "the server wants a client certificate, so load one"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "if it wants a client certificate, load one"),
        ("TLSV1_ALERT_UNKNOWN_CA", "the server does not accept the client certificate"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "the server does not accept the client certificate"),
        ("WRONG_VERSION_NUMBER", "if the server has no TLS, connect without TLS"),
        ("RECORD_LAYER_FAILURE", "if the server has no TLS, connect without TLS"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "have no version of TLS in common"),
    ],
)
def test_openssls_reasons_in_words(reason: str, words: str) -> None:
    """OpenSSL's own stays, for those who search for it."""
    error = tls_error(reason)
    own = f" ({reason.lower().replace('_', ' ')})"
    for lost in (no_connection(TLS, error), connection_lost(error)):
        assert lost.text.endswith(words + own)


def test_other_reasons_stay_as_they_are() -> None:
    assert "[SSL: BAD_SIGNATURE]" in connection_lost(tls_error("BAD_SIGNATURE")).text
    assert connection_lost(ssl.SSLError("odd")).text.startswith("the connection is lost: ")


def test_a_reset_is_a_matter_of_tls_only_with_tls() -> None:
    reset = ConnectionResetError(104, "reset")
    assert "TLS" not in no_connection(PLAIN, reset).text
    assert no_connection(TLS, reset).text.endswith("connect without TLS")


def lost(cause: Exception | None = None, code: str = "") -> ConnectionLostError:
    error = ConnectionLostError("gone", code)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("endpoint", "first_byte", "text"),
    [
        (PLAIN, b"", "gone, without an answer to the login; if the server wants TLS, connect with"),
        (TLS, b"", "gone, without an answer to the login; if the server wants a client certificat"),
        (PLAIN, b"\x15", "can't log in at chat.example:3333: the server uses TLS, so connect with"),
        (TLS, b"\x15", "gone"),
        (PLAIN, b"C", "gone"),
    ],
)
def test_a_login_without_an_answer(endpoint: Endpoint[Any], first_byte: bytes, text: str) -> None:
    cause = ConnectionResetError(104, "reset")
    error = login_lost(endpoint, lost(cause), first_byte)
    assert error.text.startswith(text)
    assert error.__cause__ is cause


def test_what_the_server_says_is_enough() -> None:
    error = lost(code=ErrorCode.TOO_MANY)
    assert login_lost(PLAIN, error, b"") is error


def test_what_tls_says_is_enough() -> None:
    cause = tls_error("TLSV13_ALERT_CERTIFICATE_REQUIRED")
    error = login_lost(TLS, lost(cause), b"")
    assert error.text.startswith("can't log in at chat.example:3333: the server wants a client")
