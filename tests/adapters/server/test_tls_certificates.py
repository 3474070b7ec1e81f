"""`Server` with TLS: the names in clients' certificates, and SNI callbacks."""

import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ..servers import Start, run_sync
from .test_tls_server import (
    AUTHORITY,
    DENIED,
    TlsClient,
    asking_context,
    client_context,
)

NO_TEXT = x509.UnrecognizedExtension(
    x509.SubjectAlternativeName.oid, bytes.fromhex("3005 8103 61ff62")
)
"""Its only alternative name is a mail address that is not UTF-8."""


def context_with(
    path: Path, common_names: Sequence[str], alternatives: x509.ExtensionType | None
) -> ssl.SSLContext:
    """A client's context, with a certificate for these names.

    Args:
        path: A file for the certificate.
        common_names: Its common names.
        alternatives: The extension with its alternative names; None for none.
    """
    authority = AUTHORITY()
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    signer = serialization.load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common_names])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
    if alternatives is not None:
        # RFC 5280, section 4.2.1.6: critical if there is no subject.
        builder = builder.add_extension(alternatives, critical=not common_names)
    certificate = builder.sign(signer, hashes.SHA256())
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


def names(*alternatives: x509.GeneralName) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(alternatives)


ADDRESS = x509.IPAddress(ipaddress.ip_address("192.0.2.1"))
RESOURCE = x509.UniformResourceIdentifier("alice")
DIRECTORY = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice")]))
REGISTERED = x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))
OTHER = x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x05alice")


@pytest.mark.parametrize(
    ("common_names", "alternatives", "proved"),
    [
        pytest.param([], names(x509.DNSName("alice")), {"alice"}, id="DNS name"),
        pytest.param([], names(x509.RFC822Name("al@x")), {"al@x"}, id="mail address"),
        pytest.param(
            ["carol"],
            names(x509.DNSName("alice"), x509.RFC822Name("al@x"), x509.DNSName("bob")),
            {"alice", "al@x", "bob"},
            id="several",
        ),
        pytest.param(["alice"], None, {"alice"}, id="common name"),
        pytest.param(["alice", "bob"], None, set(), id="two common names"),
        pytest.param(["alice", "alice"], None, set(), id="the same common name twice"),
        pytest.param(["alice"], names(ADDRESS), set(), id="common name, and an IP address"),
        pytest.param(["alice"], names(RESOURCE), set(), id="common name, and a URI"),
        pytest.param(["alice"], names(DIRECTORY), set(), id="common name, and a directory name"),
        pytest.param(["alice"], names(REGISTERED), set(), id="common name, and a registered id"),
        pytest.param(["alice"], names(OTHER), set(), id="common name, and another kind"),
        pytest.param(["alice"], NO_TEXT, set(), id="common name, and a name that is no text"),
        pytest.param([], names(x509.DNSName("Alice")), {"Alice"}, id="letter for letter"),
    ],
)
def test_the_names_in_a_certificate(
    common_names: list[str],
    alternatives: x509.ExtensionType | None,
    proved: set[str],
    tmp_path: Path,
) -> None:
    context = context_with(tmp_path / "client.pem", common_names, alternatives)
    with run_sync(port=0, ssl=asking_context()) as server:
        for name in ("alice", "Alice", "bob", "carol", "al@x", "192.0.2.1"):
            with TlsClient(server.addresses[0], context) as client:
                if name in proved:
                    client.login(name)
                else:
                    client.write(b"CHAT/1.0 LOGIN %b\n" % name.encode())
                    assert client.read_line() == DENIED


def test_an_unreadable_certificate_proves_no_name(start: Start, tmp_path: Path) -> None:
    unreadable = context_with(tmp_path / "client.pem", ["alice"], NO_TEXT)
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
