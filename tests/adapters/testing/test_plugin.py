"""`chatproto_pytest`: fixtures that cost nothing before a test uses one."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import chatproto

ROOT = Path(chatproto.__file__).parents[1]

TESTS = """
import sys

import anyio
import pytest

OURS = {name for name in sys.modules if name.split("_")[0].startswith(("chatproto", "hypothesis"))}


def test_nothing_was_loaded():
    assert OURS == {"chatproto_pytest"}


def main():
    import chatproto_sync

    with chatproto_sync.connect("chat.example", name="echo") as chat:
        for message in chat:
            chat.reply(message, message.data)


def test_a_bot(chat_server, chat_client):
    with chat_server.running(main):
        alice = chat_client("alice", timeout=3)
        alice.send("echo", "hi")
        assert alice.receive(timeout=5).text == "hi"
        assert chat_server.names == ["alice", "echo"]


def test_the_next_server_is_a_new_one(chat_server):
    assert chat_server.names == []


def test_a_bot_on_an_event_loop(chat_server):
    import chatproto_anyio

    async def main():
        async with chatproto_anyio.connect("chat.example", name="alice") as alice:
            await alice.send("alice", "hi")
            assert (await alice.receive(timeout=5)).text == "hi"

    anyio.run(main)
    assert [event.name for event in chat_server.log][-1] == "alice"
"""


def test_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_bot.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "chatproto_pytest", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        # The plugins of other packages load packages of theirs.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout.splitlines()[-1].split(" in ")[0]) == (0, "4 passed"), (
        run.stdout + run.stderr
    )


def test_pytest_finds_the_fixtures() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # Under this name, `-p chatproto_pytest` also works where nothing is installed.
    assert project["entry-points"]["pytest11"] == {"chatproto_pytest": "chatproto_pytest"}
