"""`--hooks`: rules from a module of the operator, and words for each mistake."""

import sys
from pathlib import Path
from typing import Any

import pytest

from chatproto import Send
from chatproto_sync.service.errors import StartError
from chatproto_sync.service.hooks import load_hooks, parse_place

from ..processes import COMMANDS, spawn
from ..servers import SocketClient

RULES = """
from chatproto import Reply, Send

def upper(said):
    return None if said.event.to == said.name else Send(said.event.to, said.event.data.upper())

async def wait(said):
    pass

HOOKS = {Send: [upper]}
MIXED = {Send: [upper, wait]}
LIST = [upper]
KEY = {"SEND": [upper]}

def make(server):
    def kick(said):
        if said.event.to == "*mod*":
            return Reply(b"%d ended" % server.kick(said.event.data.decode(), "be nice"), "*mod*")
    return {Send: [kick, upper]}

def broken(server):
    return 1 / 0

def lonely():
    return HOOKS

def mixed(server):
    return MIXED
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with modules. They are imported anew in each test."""
    modules = {
        "rules": RULES,
        "wrong": "x = (",
        "lacking": "import a_module_that_is_missing",
        "failing": "1 / 0",
    }
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.mark.parametrize("text", ["rules", "rules:", ":HOOKS", "a b:c", "rules:make()", ""])
def test_what_names_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=r" is not MODULE:NAME, such as rules:HOOKS$"):
        parse_place(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nowhere:x", r"no module nowhere, neither in {folder} nor among the installed packages$"),
        ("nowhere.within:x", "no module nowhere, "),
        ("rules.py:HOOKS", r"name the module without \.py: rules:HOOKS$"),
        ("rules:NOTHING", "^the module rules has no NOTHING$"),
        (
            "rules:LIST",
            "^rules:LIST is of the type list: it should be a mapping .*, or a function ",
        ),
        ("rules:KEY", "^'SEND' can't have hooks, "),
        ("rules:MIXED", "^a hook for Send is a coroutine function: only .* chatproto_anyio"),
        ("wrong:x", r"^can't import wrong: SyntaxError: .*wrong\.py, line 1\)$"),
        ("lacking:x", r"^can't import lacking: .*a_module_that_is_missing.*lacking\.py, line 1\)$"),
        ("failing:x", r"^can't import failing: ZeroDivisionError: .*failing\.py, line 1\)$"),
    ],
)
def test_what_can_not_be_used(folder: Path, text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("{folder}", str(folder))):
        load_hooks(parse_place(text), takes_async=False)


@pytest.mark.usefixtures("folder")
def test_tables() -> None:
    assert list(load_hooks("rules:HOOKS", takes_async=False)) == [Send]
    assert len(load_hooks("rules:MIXED", takes_async=True)[Send]) == 2


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("broken", r"^can't use hooks: rules:broken failed: ZeroDivisionError: .*, line \d+\)$"),
        (
            "lonely",
            r"^can't use hooks: rules:lonely failed: TypeError: lonely\(\) takes 0 .* given$",
        ),
        ("mixed", "^can't use hooks: a hook for Send is a coroutine function"),
        ("upper", r"^can't use hooks: rules:upper failed: AttributeError: "),
    ],
)
@pytest.mark.usefixtures("folder")
def test_functions_that_make_no_table(name: str, words: str) -> None:
    make: Any = load_hooks(f"rules:{name}", takes_async=False)
    with pytest.raises(StartError, match=words):
        make("server")


@pytest.mark.parametrize(
    "command", [COMMANDS["sync"], COMMANDS["asyncio"]], ids=["sync", "asyncio"]
)
@pytest.mark.usefixtures("folder")
def test_commands(command: list[str], tmp_path: Path) -> None:
    with (
        spawn([*command, "--port", "0", "--hooks", "rules:make"], tmp_path / "log") as process,
        SocketClient(process.address) as alice,
        SocketClient(process.address) as bob,
    ):
        alice.login("alice")
        bob.login("bob")
        alice.write(b"CHAT/1.0 SEND bob hi\nCHAT/1.0 SEND *mod* bob\n")
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice HI\n"
        assert b"be nice" in bob.read_line()
        assert alice.read_line() == b"CHAT/1.0 RECEIVE *mod* 1 ended\n"
