"""`certificates`: what is wrong with the files of a certificate, in words that name the file."""

import datetime
import re
import signal
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chatproto_sync.service.certificates import SOON, CertificateError, CertificateFiles

from ..processes import PROGRAMS, run, spawn
from ..server.test_tls_server import AUTHORITY, TlsClient, client_context

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclass
class Files:
    """A folder with a certificate and its key, in files of their own and in one."""

    folder: Path

    def __post_init__(self) -> None:
        pair = AUTHORITY().issue_cert("127.0.0.1")
        self.key_pem = pair.private_key_pem.bytes()
        self.write("cert", pair.cert_chain_pems[0].bytes())
        self.write("key", self.key_pem)
        self.write("both", pair.private_key_and_cert_chain_pem.bytes())
        self.write("ca", AUTHORITY().cert_pem.bytes())

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def write(self, name: str, contents: bytes) -> str:
        (self.folder / name).write_bytes(contents)
        return self.path(name)

    def encrypt_key(self, phrase: bytes) -> str:
        """Write the key with a pass phrase."""
        key = load_pem_private_key(self.key_pem, None)
        return self.write(
            "encrypted",
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(phrase),
            ),
        )

    def load(
        self,
        cert: str,
        key: str | None = None,
        key_password: str | None = None,
        client_ca: str | None = None,
    ) -> ssl.SSLContext:
        """Load files by their names in the folder."""
        return self.named(cert, key, key_password, client_ca).load()

    def named(
        self,
        cert: str,
        key: str | None = None,
        key_password: str | None = None,
        client_ca: str | None = None,
    ) -> CertificateFiles:
        names = (key, key_password, client_ca)
        others = [None if each is None else self.path(each) for each in names]
        return CertificateFiles(self.path(cert), *others)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_good_files(files: Files) -> None:
    assert files.load("both").verify_mode is ssl.CERT_NONE
    context = files.load("cert", "key", client_ca="ca")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_pass_phrase(files: Files) -> None:
    files.encrypt_key(b"open sesame")
    for contents in (b"open sesame", b"open sesame\n", b"open sesame\r\nmore\n"):
        files.write("phrase", contents)
        files.load("cert", "encrypted", "phrase")
    # It is not needed for this key.
    files.load("cert", "key", "missing")


def prepare_nothing(_files: Files) -> None:
    pass


def encrypt(files: Files) -> None:
    files.encrypt_key(b"open sesame")
    files.write("phrase", b"open simsim\n")
    files.write("empty", b"")
    files.write("long", b"x" * 2000)


def make_another_pair(key_type: trustme.KeyType) -> Callable[[Files], None]:
    def make(files: Files) -> None:
        other = AUTHORITY().issue_cert("127.0.0.1", key_type=key_type)
        files.write("other", other.private_key_pem.bytes())

    return make


def damage(files: Files) -> None:
    for name in ("cert", "key", "ca"):
        contents = (files.folder / name).read_bytes()
        files.write(f"bad {name}", re.sub(rb"(?<=-----\n)[^-]+", b"AAAA\n", contents))
    files.write("nonsense", b"nonsense\n")


@pytest.mark.parametrize(
    ("prepare", "names", "words"),
    [
        pytest.param(
            prepare_nothing,
            ["missing"],
            "can't read the certificate {missing}: No such file or directory",
            id="no certificate file",
        ),
        pytest.param(
            prepare_nothing,
            ["cert", "missing"],
            "can't read the key {missing}: No such file or directory",
            id="no key file",
        ),
        pytest.param(
            prepare_nothing,
            ["both", None, None, "missing"],
            "can't read the client CA {missing}: No such file or directory",
            id="no CA file",
        ),
        pytest.param(
            prepare_nothing,
            ["."],
            "can't read the certificate {.}: Is a directory",
            id="a directory",
        ),
        pytest.param(
            prepare_nothing,
            ["cert"],
            "{cert} has no private key in PEM; --tls-key names the file of the key",
            id="no key",
        ),
        pytest.param(
            prepare_nothing,
            ["key"],
            "{key} has no certificate in PEM",
            id="the key in place of the certificate",
        ),
        pytest.param(
            prepare_nothing,
            ["cert", "ca"],
            "{ca} has no private key in PEM",
            id="a certificate in place of the key",
        ),
        pytest.param(
            damage,
            ["nonsense"],
            "{nonsense} has no certificate in PEM",
            id="nonsense as certificate",
        ),
        pytest.param(
            damage,
            ["both", None, None, "nonsense"],
            "{nonsense} has no certificate in PEM",
            id="nonsense as CA",
        ),
        pytest.param(
            damage,
            ["bad cert", "key"],
            "the certificate {bad cert} is damaged: ",
            id="damaged certificate",
        ),
        pytest.param(
            damage,
            ["cert", "bad key"],
            "can't use the key {bad key} for {cert}: ",
            id="damaged key",
        ),
        pytest.param(
            damage,
            ["both", None, None, "bad ca"],
            "the client CA {bad ca} is damaged: ",
            id="damaged CA",
        ),
        pytest.param(
            make_another_pair(trustme.KeyType.ECDSA),
            ["cert", "other"],
            "the key {other} does not belong to the first certificate in {cert}",
            id="another pair's key",
        ),
        pytest.param(
            make_another_pair(trustme.KeyType.RSA),
            ["cert", "other"],
            "the key {other} does not belong to the first certificate in {cert}",
            id="a key of another type",
        ),
        pytest.param(
            encrypt,
            ["cert", "encrypted"],
            "the key needs a pass phrase ({encrypted}): write it into a file",
            id="no pass phrase",
        ),
        pytest.param(
            encrypt,
            ["cert", "encrypted", "phrase"],
            "the pass phrase in {phrase} does not open the key {encrypted}",
            id="wrong pass phrase",
        ),
        pytest.param(
            encrypt,
            ["cert", "encrypted", "empty"],
            "the pass phrase in {empty} does not open the key {encrypted}",
            id="empty pass phrase",
        ),
        pytest.param(
            encrypt,
            ["cert", "encrypted", "long"],
            "the pass phrase in {long} is too long",
            id="long pass phrase",
        ),
        pytest.param(
            encrypt,
            ["cert", "encrypted", "missing"],
            "can't read the pass phrase {missing}: No such file or directory",
            id="no pass phrase file",
        ),
    ],
)
def test_what_is_wrong(
    files: Files, prepare: Callable[[Files], None], names: list[str | None], words: str
) -> None:
    prepare(files)
    with pytest.raises(CertificateError) as caught:
        files.load(*names)  # type: ignore[arg-type]
    expected = re.sub(r"\{(.+?)\}", lambda match: files.path(match[1]), words)
    assert str(caught.value).startswith(expected)
    assert "_ssl.c" not in str(caught.value)


def issue(files: Files, begin: datetime.timedelta, end: datetime.timedelta) -> None:
    """Write a certificate with these dates, relative to now."""
    pair = AUTHORITY().issue_cert("127.0.0.1", not_before=NOW + begin, not_after=NOW + end)
    files.write("dated", pair.private_key_and_cert_chain_pem.bytes())


@pytest.mark.parametrize(
    ("begin", "end", "words"),
    [
        pytest.param(-2 * DAY, -DAY, "expired on {end} UTC: others will refuse it", id="expired"),
        pytest.param(-DAY, SOON / 2, "expires soon, on {end} UTC", id="soon"),
        pytest.param(-DAY, SOON, "expires soon, on {end} UTC", id="in two weeks"),
        pytest.param(
            DAY, 99 * DAY, "is valid only from {begin} UTC: others will refuse it", id="not yet"
        ),
        pytest.param(-DAY, SOON + DAY, "", id="later"),
        pytest.param(-DAY, 50 * 366 * DAY, "", id="after 2049"),
        pytest.param(-60 * 365 * DAY, -40 * 365 * DAY, "expired on {end} UTC", id="after 1950"),
    ],
)
def test_dates(
    files: Files, begin: datetime.timedelta, end: datetime.timedelta, words: str
) -> None:
    issue(files, begin, end)
    found = files.named("dated").warnings(NOW)
    if words:
        form = "{:%Y-%m-%d at %H:%M}".format
        expected = words.format(begin=form(NOW + begin), end=form(NOW + end))
        [warning] = found
        assert warning.startswith(f"the certificate {files.path('dated')} {expected}")
    else:
        assert found == []
    assert files.named("dated").expiry() == (NOW + end).replace(microsecond=0)


def test_dates_of_all_certificates(files: Files) -> None:
    files.write("ca", (files.folder / "ca").read_bytes() + (files.folder / "cert").read_bytes())
    far = NOW + 100 * 366 * DAY
    assert files.named("both").warnings(NOW) == []
    _, first, second = files.named("cert", "key", None, "ca").warnings(far + 3000 * 366 * DAY)
    assert first.startswith(f"the client CA {files.path('ca')} (number 1 of 2 in the file) expired")
    assert second.startswith(f"the client CA {files.path('ca')} (number 2 of 2 in the file) exp")


def test_the_first_certificate_that_expires_counts(files: Files) -> None:
    issue(files, -DAY, 5 * DAY)
    assert files.named("both", None, None, "dated").expiry() == (NOW + 5 * DAY).replace(
        microsecond=0
    )
    assert files.named("dated", None, None, "both").expiry() == (NOW + 5 * DAY).replace(
        microsecond=0
    )


@pytest.mark.parametrize(
    "damage", [lambda der: der[:40], lambda der: der.replace(b"Z\x17", b"+\x17")]
)
def test_dates_that_cannot_be_read(files: Files, damage: Callable[[bytes], bytes]) -> None:
    issue(files, -DAY, DAY)
    [pem] = re.findall(
        rb"-----BEGIN CERT.+?-----END CERTIFICATE-----",
        (files.folder / "dated").read_bytes(),
        re.DOTALL,
    )
    der = damage(ssl.PEM_cert_to_DER_cert(pem.decode()))
    files.write("dated", ssl.DER_cert_to_PEM_cert(der).encode())
    [warning] = files.named("dated").warnings(NOW)
    assert warning.endswith("has dates that can't be read")
    assert files.named("dated").expiry() is None


each_program = pytest.mark.parametrize("command", PROGRAMS.values(), ids=PROGRAMS.keys())


@each_program
def test_a_command_never_asks_for_a_pass_phrase(
    command: list[str], files: Files, tmp_path: Path
) -> None:
    files.encrypt_key(b"open sesame")
    options = ["--port", "0", f"--tls-cert={files.path('cert')}"]
    failed = run(*command, *options, f"--tls-key={files.path('encrypted')}")
    assert failed.returncode == 2
    assert "can't use TLS: the key needs a pass phrase" in failed.stderr
    key = files.path("server-key")
    files.write("server-key", files.key_pem)
    with spawn([*command, *options, f"--tls-key={key}"], tmp_path / "log") as process:
        Path(files.path("encrypted")).rename(key)
        process.popen.send_signal(signal.SIGHUP)
        process.wait_for_log("the old certificate stays in use: the key needs a pass phrase")
        with TlsClient(process.address, client_context()) as alice:
            alice.login("alice")
        assert process.end(signal.SIGTERM) == 0


@each_program
def test_a_command_takes_a_pass_phrase_and_looks_at_the_dates(
    command: list[str], files: Files, tmp_path: Path
) -> None:
    files.encrypt_key(b"open sesame")
    files.write("phrase", b"open sesame\n")
    options = [
        "--port=0",
        f"--tls-cert={files.path('cert')}",
        f"--tls-key={files.path('encrypted')}",
        f"--tls-key-password-file={files.path('phrase')}",
    ]
    with spawn([*command, *options], tmp_path / "log") as process:
        with TlsClient(process.address, client_context()) as alice:
            alice.login("alice")
        issue(files, -DAY, DAY)
        Path(files.path("dated")).rename(files.path("cert"))
        files.write("encrypted", Path(files.path("cert")).read_bytes())
        process.popen.send_signal(signal.SIGHUP)
        process.wait_for_log("expires soon")
        process.wait_for_log("the certificate was read again")
        assert process.end(signal.SIGTERM) == 0
    with spawn([*command, *options], tmp_path / "log") as process:
        process.wait_for_log("expires soon")
        assert process.end(signal.SIGTERM) == 0
