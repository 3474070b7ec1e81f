"""`reload`: what a server is given when its configuration is read again."""

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from ssl import SSLContext

import pytest
import trustme

from chatproto import DuplicateLogin, Limits, Policy
from chatproto_sync.service.certificates import CertificateFiles
from chatproto_sync.service.options import OPTIONS
from chatproto_sync.service.reload import Reloader
from chatproto_sync.service.settings import read_settings
from chatproto_sync.service.startup import load_certificate


class FakeServer:
    """A server that keeps what it is given."""

    def __init__(self) -> None:
        self.policy: Policy | None = None
        self.limits: Limits | None = None
        self.notices: bool | None = None
        self.contexts: list[SSLContext] = []
        self.refusal = ""

    def reconfigure(
        self,
        *,
        policy: Policy | None = None,
        limits: Limits | None = None,
        notices: bool | None = None,
    ) -> None:
        if self.refusal:
            raise ValueError(self.refusal)
        self.policy, self.limits, self.notices = policy, limits, notices

    def replace_ssl(self, context: SSLContext) -> None:
        self.contexts.append(context)


class World:
    """A configuration file, and a server that has started with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server = FakeServer()

    def start(self, text: str, *arguments: str, **environment: str) -> Reloader:
        self.path.write_text(text, encoding="utf-8")
        given = {key: [value] for key, _, value in (each.partition("=") for each in arguments)}
        variables = {f"CHATPROTO_{key.upper()}": value for key, value in environment.items()}
        given["config"] = [str(self.path)]
        read = partial(read_settings, OPTIONS, given, variables)
        settings = read()
        return Reloader(OPTIONS, read, settings, self.server, load_certificate(settings))

    def change(self, reloader: Reloader, text: str) -> None:
        self.path.write_text(text, encoding="utf-8")
        reloader.reload()


@pytest.fixture
def world(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    caplog.set_level(logging.INFO, "chatproto.server")
    before = logging.getLogger().level
    yield World(tmp_path / "chat.toml")
    logging.getLogger().setLevel(before)


def certificate(folder: Path, name: str = "server") -> str:
    path = folder / f"{name}.pem"
    trustme.CA().issue_cert("a.example").private_key_and_cert_chain_pem.write_to_path(path)
    return str(path)


def test_what_a_server_is_given(world: World, caplog: pytest.LogCaptureFixture) -> None:
    reloader = world.start("max-line = 600")
    world.change(
        reloader,
        'duplicate-login = "reject"\nno-notices = true\nmax-line = 700\nlog-level = "debug"\n',
    )
    assert world.server.policy == Policy(duplicate_login=DuplicateLogin.REJECT)
    assert world.server.limits == Limits(max_line=700)
    assert world.server.notices is False
    assert logging.getLogger().level == logging.DEBUG
    world.change(reloader, "")
    assert world.server.policy == Policy()
    assert world.server.limits == Limits()
    assert world.server.notices is True
    assert logging.getLogger().level == logging.INFO
    words = "the configuration was read again, changes: "
    changes = "duplicate-login, no-notices, max-line, log-level"
    assert caplog.messages == [f"{words}{changes}"] * 2
    caplog.clear()
    reloader.reload()
    assert caplog.messages == [f"{words}none"]


def test_the_command_line_and_the_environment_stay_before_the_file(world: World) -> None:
    reloader = world.start("", "max_line=600", grace="3")
    world.change(reloader, "max-line = 700\ngrace = 4\nmax-members = 5\n")
    assert world.server.limits == Limits(max_line=600, grace=3.0, max_members=5)


def test_what_needs_a_restart_is_said_each_time(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    reloader = world.start("port = 1")
    world.path.write_text('port = 2\nlog-format = "json"\nmax-line = 600\n', encoding="utf-8")
    for _ in range(2):
        text = "these options change only with a restart: port, log-format"
        assert reloader.reload() == caplog.messages[-1] == text
    caplog.clear()
    world.change(reloader, "port = 1")
    assert caplog.messages == ["the configuration was read again, changes: max-line"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max-line = 5", "max-line in {} is at least 512 bytes"),
        ("max-lime = 5", "max-lime in {}: there is no such option; is it max-line?"),
        ("max-line =", "{} is not TOML: "),
        ('names = "all"', "names in {}: 'all' is none of any, visible, distinct"),
    ],
)
def test_a_file_with_an_error_changes_nothing(
    world: World, caplog: pytest.LogCaptureFixture, text: str, words: str
) -> None:
    reloader = world.start("")
    world.change(reloader, f"no-notices = true\n{text}")
    assert world.server.limits is None
    [message] = caplog.messages
    assert message.startswith(f"the old configuration stays in use: {words.format(world.path)}")
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    # The next one counts from what is in use.
    world.change(reloader, "no-notices = true")
    assert caplog.messages[-1].endswith("changes: no-notices")


def test_what_the_other_nodes_of_a_cluster_do_not_agree_to_changes_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    reloader = world.start("")
    world.server.refusal = "the policy belongs to the chat"
    world.change(reloader, "max-groups = 7\ngrace = 2")
    assert caplog.messages == ["the old configuration stays in use: the policy belongs to the chat"]
    world.server.refusal = ""
    world.change(reloader, "grace = 2")
    assert caplog.messages[-1].endswith("changes: grace")


def test_the_certificate_is_read_again_whatever_is_wrong_with_the_file(
    world: World, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    reloader = world.start(f'tls-cert = "{certificate(tmp_path)}"')
    for number, text in enumerate(["", "max-line = 5"], start=1):
        world.change(reloader, f"{world.path.read_text()}\n{text}")
        assert len(world.server.contexts) == number
        assert caplog.messages[-1] == "the certificate was read again"


def test_a_certificate_with_another_name(
    world: World, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    reloader = world.start(f'tls-cert = "{certificate(tmp_path)}"')
    world.change(reloader, f'tls-cert = "{tmp_path}/other.pem"')
    assert world.server.contexts == []
    assert caplog.messages[-1].startswith("the old certificate stays in use: can't read ")
    before = reloader.expiry()
    certificate(tmp_path, "other")
    reloader.reload()
    assert len(world.server.contexts) == 1
    assert before is not None
    assert reloader.expiry() == CertificateFiles(f"{tmp_path}/other.pem", *[None] * 3).expiry()
    assert world.start("").expiry() is None


def test_tls_is_switched_by_a_restart_only(
    world: World, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with_tls = f'tls-cert = "{certificate(tmp_path)}"\ntls-key = "{certificate(tmp_path)}"\n'
    restart = "these options change only with a restart: tls-cert, tls-key"
    reloader = world.start("")
    world.change(reloader, with_tls)
    assert caplog.messages[-1] == restart
    assert world.server.contexts == []
    reloader = world.start(with_tls)
    world.change(reloader, "")
    assert caplog.messages[-2:] == [restart, "the certificate was read again"]
    assert len(world.server.contexts) == 1


def test_nothing_to_read_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "chatproto.server")
    read = partial(read_settings, OPTIONS, {}, {})
    server = FakeServer()
    Reloader(OPTIONS, read, read(), server, None).reload()
    assert caplog.messages == ["there is no configuration file and no certificate to read again"]
    assert server.limits is None
