"""`Server` with TLS: clients' certificates that Python cannot read, and SNI callbacks."""

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ..servers import Start
from .test_tls_server import (
    AUTHORITY,
    DENIED,
    TlsClient,
    asking_context,
    client_context,
)

NO_TEXT = bytes.fromhex("3005 8103 61ff62")
"""A mail address in DER that is not UTF-8."""


@pytest.fixture
def unreadable(tmp_path: Path) -> ssl.SSLContext:
    """A client's context. Its certificate is for alice, but has such a mail address."""
    authority = AUTHORITY()
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    signer = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")])
    extension = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, NO_TEXT)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(extension, critical=False)
        .sign(signer, hashes.SHA256())
    )
    path = tmp_path / "client.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = client_context()
    context.load_cert_chain(path)
    return context


def test_an_unreadable_certificate_proves_no_name(start: Start, unreadable: ssl.SSLContext) -> None:
    with start(port=0, ssl=asking_context()) as server:
        address = server.addresses[0]
        with (
            TlsClient(address, client_context(AUTHORITY().issue_cert("bob"))) as bob,
            TlsClient(address, unreadable) as alice,
        ):
            bob.login("bob")
            alice.write(b"CHAT/1.0 LOGIN alice\n")
            assert alice.read_line() == DENIED
            bob.flush("bob")


def test_an_sni_callback_does_not_turn_the_check_of_names_off(start: Start) -> None:
    """The context that the server got decides, not the one that the callback sets."""
    context = asking_context()
    other = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY().issue_cert("127.0.0.1").configure_cert(other)
    AUTHORITY().configure_trust(other)

    def choose(connection: ssl.SSLObject, *_: object) -> None:
        connection.context = other

    context.sni_callback = choose
    try:
        with (
            start(port=0, ssl=context) as server,
            TlsClient(server.addresses[0], client_context(AUTHORITY().issue_cert("eve"))) as eve,
        ):
            eve.write(b"CHAT/1.0 LOGIN alice\n")
            assert eve.read_line() == DENIED
    finally:
        context.sni_callback = None
