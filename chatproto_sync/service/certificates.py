"""The files of a server's certificate: reading them, and what is wrong with them in words."""

import contextlib
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from ..sockets.tls import words_of

SOON: Final = timedelta(days=14)
"""A certificate that expires within this time is worth a warning."""

_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----(.+?)-----END \1-----", re.DOTALL
)
_KEY: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")

_LONGEST_PHRASE: Final = 1024
"""Most bytes of a pass phrase that OpenSSL takes."""

# Tags in DER (X.690).
_UTC_TIME: Final = 0x17
_VERSION: Final = 0xA0


class CertificateError(ValueError):
    """The files of a certificate can't be used. The message says which, and what to try."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that a server uses."""

    context: ssl.SSLContext
    """A context with it."""
    expiry: datetime | None
    """When the first certificate in its files expires; None if no date can be read."""


class _PassPhraseError(Exception):
    """The key is encrypted, and there is no pass phrase for it."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The files of a server's certificate. They may be replaced while the server runs."""

    cert: str
    """The path of the certificate chain in PEM."""
    key: str | None
    """The path of its private key in PEM; None if it is in the same file."""
    key_password: str | None
    """The path of a file whose first line is the pass phrase of the key; None if it needs none."""
    client_ca: str | None
    """The path of the CA in PEM that clients' certificates have to be from; None if clients need no
    certificate."""

    def load(self) -> ssl.SSLContext:
        """Read the files as they are now. Nobody is ever asked for a pass phrase.

        Returns:
            A new context for each call, for two reasons. A context keeps one certificate for each
            kind of key: after a change of the kind, OpenSSL might go on showing the old
            certificate. And a new context resumes only its own sessions: after a change of the CA,
            a client of the old CA has to show its certificate again.

        Raises:
            CertificateError: A file can't be read, has the wrong contents, or does not fit another.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # RFC 8996.
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # Connections last long, so there is little to gain from resuming sessions. In TLS 1.2, the
        # standard library cannot switch that off.
        context.num_tickets = 0
        self.load_pair(context)
        if self.client_ca is not None:
            _require_certificate(self.client_ca, _read("client CA", self.client_ca))
            try:
                context.load_verify_locations(self.client_ca)
            except OSError as error:
                raise CertificateError(
                    f"the client CA {self.client_ca} is damaged: {words_of(error)}"
                ) from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def warnings(self, now: datetime) -> list[str]:
        """What is wrong with the dates of the certificates, in words; often nothing.

        Call it after `load`, which checks everything else.

        Args:
            now: The time, with its zone.
        """
        paths = [("certificate", self.cert)]
        if self.client_ca is not None:
            paths.append(("client CA", self.client_ca))
        found: list[str] = []
        for kind, path in paths:
            ders = list(_certificates(_read(kind, path)))
            for number, der in enumerate(ders, 1):
                which = "" if len(ders) == 1 else f" (number {number} of {len(ders)} in the file)"
                if warning := _warning_about(der, now):
                    found.append(f"the {kind} {path}{which} {warning}")
        return found

    def expiry(self) -> datetime | None:
        """When the first of the certificates expires; None if no date can be read.

        Call it after `load`, which checks everything else.
        """
        ends: list[datetime] = []
        for path in (self.cert, self.client_ca):
            for der in () if path is None else _certificates(_read("certificate", path)):
                # `warnings` tells of dates that can't be read.
                with contextlib.suppress(ValueError, IndexError):
                    ends.append(_validity(der)[1])
        return min(ends, default=None)

    def load_pair(self, context: ssl.SSLContext) -> None:
        """Read the certificate and its key into a context, without the CA.

        Raises:
            CertificateError: A file can't be read, has the wrong contents, or does not fit another.
        """
        key_path = self.key or self.cert
        cert = _read("certificate", self.cert)
        _require_certificate(self.cert, cert)
        key = cert if self.key is None else _read("key", self.key)
        if not _KEY.search(key):
            hint = "; --tls-key names the file of the key" if self.key is None else ""
            raise CertificateError(f"{key_path} has no private key in PEM{hint}")
        was_asked = False

        def password() -> bytes:
            nonlocal was_asked
            was_asked = True
            if self.key_password is None:
                raise _PassPhraseError
            phrase = _read("pass phrase", self.key_password).partition(b"\n")[0]
            if len(phrase) > _LONGEST_PHRASE:
                raise CertificateError(f"the pass phrase in {self.key_password} is too long")
            return phrase.removesuffix(b"\r")

        try:
            # Without a function for the pass phrase, OpenSSL would ask for it on the terminal.
            context.load_cert_chain(self.cert, self.key, password)
        except _PassPhraseError:
            raise CertificateError(
                f"the key needs a pass phrase ({key_path}): "
                "write it into a file, and name that with --tls-key-password-file"
            ) from None
        except OSError as error:
            raise CertificateError(self._fault(cert, key_path, was_asked, error)) from error

    def _fault(self, cert: bytes, key_path: str, was_asked: bool, error: OSError) -> str:
        """Why OpenSSL refuses these contents as a pair. OpenSSL's own errors say little."""
        if getattr(error, "reason", None) in _MISMATCHES:
            return (
                f"the key {key_path} does not belong to the first certificate in {self.cert}; "
                "those of CAs come after it"
            )
        try:
            ssl.create_default_context(cadata=cert.decode("ascii", "ignore"))
        except OSError:
            return f"the certificate {self.cert} is damaged: {words_of(error)}"
        if was_asked:
            return f"the pass phrase in {self.key_password} does not open the key {key_path}"
        return f"can't use the key {key_path} for {self.cert}: {words_of(error)}"


def read_ca(path: str) -> str:
    """Read the certificates of a CA to trust.

    Returns:
        The contents of the file, in which there is at least one certificate.

    Raises:
        CertificateError: The file can't be read, or has no certificate.
    """
    pem = _read("CA", path)
    _require_certificate(path, pem)
    # Comments between the certificates may be in any encoding.
    return pem.decode("ascii", "ignore")


_MISMATCHES: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
"""What OpenSSL calls a certificate and a key that do not fit."""


def _read(kind: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CertificateError(f"can't read the {kind} {path}: {error.strerror}") from error


def _require_certificate(path: str, pem: bytes) -> None:
    if not _CERTIFICATE.search(pem):
        raise CertificateError(f"{path} has no certificate in PEM")


def _certificates(pem: bytes) -> Iterator[bytes]:
    """The certificates in a PEM file, in DER."""
    for match in _CERTIFICATE.finditer(pem):
        text = match[2].decode("ascii", "ignore")
        yield ssl.PEM_cert_to_DER_cert(f"{ssl.PEM_HEADER}\n{text.strip()}\n{ssl.PEM_FOOTER}")


def _warning_about(der: bytes, now: datetime) -> str:
    """What is wrong with the dates of a certificate; empty for nothing."""
    try:
        begin, end = _validity(der)
    except (ValueError, IndexError):
        return "has dates that can't be read"
    if now >= end:
        return f"expired on {end:%Y-%m-%d at %H:%M} UTC: others will refuse it"
    if now >= end - SOON:
        return f"expires soon, on {end:%Y-%m-%d at %H:%M} UTC"
    if now < begin:
        return f"is valid only from {begin:%Y-%m-%d at %H:%M} UTC: others will refuse it"
    return ""


def _validity(der: bytes) -> tuple[datetime, datetime]:
    """The times between which a certificate is valid (RFC 5280, section 4.1).

    The standard library reads them only from a peer's certificate.

    Raises:
        ValueError: They are not as RFC 5280 says.
        IndexError: The same.
    """
    [(_, certificate), *_] = _elements(der)
    [(_, signed), *_] = _elements(certificate)
    # The version is there only if it is not 1. Then come: number, algorithm, issuer, validity.
    fields = [contents for tag, contents in _elements(signed) if tag != _VERSION]
    [begin, end] = (_time(*each) for each in _elements(fields[3]))
    return begin, end


def _time(tag: int, contents: bytes) -> datetime:
    text = contents.decode("ascii")
    if tag == _UTC_TIME:
        # RFC 5280, section 4.1.2.5.1.
        text = ("19" if text[:2] >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of a DER sequence: their tags and contents."""
    at = 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:
            digits = size & 0x7F
            size = int.from_bytes(data[at : at + digits])
            at += digits
        yield tag, data[at : at + size]
        at += size
