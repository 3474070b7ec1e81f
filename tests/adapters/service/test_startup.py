"""`startup`: the greeting, and the error of a server that cannot start."""

import re
import ssl
from pathlib import Path
from typing import Any

import pytest

from chatproto import ClusterError
from chatproto_sync.service.options import OPTIONS
from chatproto_sync.service.settings import in_use, read_settings
from chatproto_sync.service.startup import cannot_start, greeting, parameters_of


@pytest.mark.parametrize(
    ("address", "netcat", "openssl"),
    [
        ("127.0.0.1:3333", "127.0.0.1 3333", "-connect 127.0.0.1:3333"),
        ("0.0.0.0:3333", "127.0.0.1 3333", "-connect 127.0.0.1:3333"),
        ("[::]:3333", "::1 3333", "-connect [::1]:3333"),
        ("[::1]:3333", "::1 3333", "-connect [::1]:3333"),
        ("unix:/run/chat", "-U /run/chat", "-unix /run/chat"),
        ("unix:/run/my chat", "-U '/run/my chat'", "-unix '/run/my chat'"),
    ],
)
def test_greeting(address: str, netcat: str, openssl: str) -> None:
    encrypted, identified = (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    identified.verify_mode = ssl.CERT_REQUIRED
    for tls, command in (
        (None, f"nc {netcat}"),
        (encrypted, f"openssl s_client -quiet {openssl}"),
        (identified, f"openssl s_client -quiet {openssl} -cert alice.pem -key alice.key"),
    ):
        first, second, third = greeting([address, "[::1]:9"], tls).splitlines()
        assert first == f"Listening on {address}, [::1]:9."
        assert second == f"To talk to it, run   {command}"
        assert third.endswith(" CHAT/1.0 LOGIN alice")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(13, "Permission denied", "[::1]:80"), "listen on [::1]:80: Permission denied"),
        (OSError(2, "No such file", "unix:/a\x1b"), r"listen on unix:/a\x1b: No such file"),
        (OSError(24, "Too many open files"), "start: Too many open files"),
        (ClusterError("can't use Redis at db:6379: timed out"), "use Redis at db:6379: timed out"),
    ],
)
def test_the_error_of_a_server_that_cannot_start(error: OSError | ClusterError, words: str) -> None:
    assert str(cannot_start(error)) == f"can't {words}"


def parameters(*arguments: str, **environment: str) -> dict[str, Any]:
    """The parameters of a server with these arguments, such as `cluster=redis://db/tea`."""
    given = {key: [text] for key, _, text in (each.partition("=") for each in arguments)}
    variables = {f"CHATPROTO_{name.upper()}": text for name, text in environment.items()}
    return parameters_of(read_settings(OPTIONS, given, variables), None, takes_async=False)


def test_the_parameters_of_a_cluster(tmp_path: Path) -> None:
    assert "cluster" not in parameters()
    path = tmp_path / "password"
    path.write_text("secret\nand more", encoding="utf-8")
    found = parameters(
        "cluster=redis://bob@db/tea", f"cluster_password_file={path}", "node=a", patience="500ms"
    )
    cluster = {key: found[key] for key in ("cluster", "cluster_password", "node")}
    assert cluster == {
        "cluster": "redis://bob@db/tea",
        "cluster_password": "secret",
        "node": "a",
    }
    assert (found["node_timeout"], found["patience"]) == (10.0, 0.5)
    assert parameters(cluster="redis://:secret@db/tea")["cluster_password"] is None
    found = parameters("cluster=redis+sentinel://a/db/tea", f"sentinel_password_file={path}")
    assert (found["cluster_password"], found["sentinel_password"]) == (None, "secret")


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (["cluster=db"], {}, "--cluster: the URL of the cluster begins with none of "),
        ([], {"cluster": "redis://db"}, "CHATPROTO_CLUSTER: the URL of the cluster lacks the name"),
        (["cluster=redis://:sec@db/tea"], {}, "--cluster: everybody on this machine can see a "),
        (
            ["cluster=redis+sentinel://a/db/tea?sentinel-password=sec@"],
            {},
            "--cluster: everybody on this machine can see a password",
        ),
        (
            ["cluster=redis://db/tea", "cluster_password_file={}/none"],
            {},
            "--cluster-password-file: can't read {}/none: No such file",
        ),
        (
            ["cluster=redis://db/tea", "cluster_password_file={}/empty"],
            {},
            "--cluster-password-file: the first line of {}/empty is empty",
        ),
        (
            ["cluster=redis://db/tea", "cluster_password_file={}/latin"],
            {},
            "--cluster-password-file: can't read {}/latin: it is not UTF-8",
        ),
    ],
)
def test_a_cluster_that_can_not_be_meant(
    arguments: list[str], environment: dict[str, str], words: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_bytes(b"\nsecret")
    (tmp_path / "latin").write_bytes(b"\xe4\n")
    with pytest.raises(ValueError, match=f"^{re.escape(words.format(tmp_path))}") as caught:
        parameters(*[each.format(tmp_path) for each in arguments], **environment)
    assert "sec@" not in str(caught.value)


def test_a_check_shows_no_password() -> None:
    settings = read_settings(OPTIONS, {}, {"CHATPROTO_CLUSTER": "redis://bob:sec:r/et@db/tea"})
    [cluster] = [each for each in in_use(OPTIONS, settings) if each.name == "cluster"]
    assert cluster.text == "redis://bob:***@db/tea"
