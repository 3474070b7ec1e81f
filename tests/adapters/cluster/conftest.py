"""Fixtures: one Redis for all tests that need a real one, each of which has a chat of its own."""

import itertools
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import trustme

from ..servers import reserved_port
from .insides import Redis

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    """A Redis that listens on TCP, on TCP with TLS, and on a Unix socket. Skip if there is none."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("there is no redis-server and no valkey-server")
    folder = tmp_path_factory.mktemp("redis")
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    port, tls_port = reserved_port(), reserved_port()
    redis = Redis(port, tls_port, folder / "socket", folder / "ca.pem")
    process = subprocess.Popen(
        [
            *(program, "--port", str(port), "--tls-port", str(tls_port), "--dir", str(folder)),
            *("--bind", "127.0.0.1", "--unixsocket", str(redis.unix), "--save", ""),
            *("--tls-cert-file", "cert.pem", "--tls-key-file", "key.pem"),
            *("--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if "eady to accept connections" in line:
                break
        else:
            pytest.fail("redis-server has not started")
        yield redis
        redis.close()
        process.kill()


@pytest.fixture
def redis(redis_server: Redis) -> Redis:
    """The same, with a chat that no other test has."""
    redis_server.chat = f"chat{next(_NUMBERS)}"
    return redis_server
