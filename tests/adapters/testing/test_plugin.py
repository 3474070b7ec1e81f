"""`chatproto_pytest`: fixtures that cost nothing before a test uses one. The page about tests."""

import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import anyio

import chatproto
from chatproto import Message

from ...typing.fakes import FakeAsyncChat, FakeChat, run, run_async

ROOT = Path(chatproto.__file__).parents[1]

TESTS = """
import sys

import anyio
import pytest

OURS = {name for name in sys.modules if name.startswith(("chatproto", "hypothesis"))}


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


# As in `tests/conftest.py`: the machine may be busy.
PROFILE = """
from hypothesis import HealthCheck, settings

settings.register_profile(
    "busy",
    derandomize=True,
    deadline=None,
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("busy")
"""

PAGE = (ROOT / "docs" / "how-to" / "test-your-bot.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_fixtures_and_the_tests_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "test_b.py").write_text("\n".join([PROFILE, *BLOCKS]), encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    tests = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-p", "chatproto_pytest", "-p", "anyio"),
        ],
        cwd=tmp_path,
        # The plugins of other packages load packages of theirs.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    # AnyIO runs the one of the page that is asynchronous on each event loop.
    count = len(re.findall(r"^(?:async )?def test_", TESTS + "\n".join(BLOCKS), re.MULTILINE)) + 1
    assert (tests.returncode, tests.stdout.splitlines()[-1].split(" in ")[0]) == (
        0,
        f"{count} passed",
    ), tests.stdout + tests.stderr


def test_the_page_has_the_fake_that_type_checkers_accept() -> None:
    fake = inspect.getsource(FakeChat)
    assert len([line for line in fake.splitlines() if line.strip()]) == 9
    assert sum(fake in block for block in BLOCKS) == 1


def test_bots_talk_to_fakes() -> None:
    question = Message("alice", b"hi")
    fake, fake_async = FakeChat(question), FakeAsyncChat(question)
    run(fake)
    anyio.run(run_async, fake_async)
    assert fake.said == fake_async.said == [(question, "HI"), ("log", b"hi"), ("all", b"done")]


def test_pytest_finds_the_fixtures() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    # Under this name, `-p chatproto_pytest` also works where nothing is installed.
    assert project["entry-points"]["pytest11"] == {"chatproto_pytest": "chatproto_pytest"}
