"""chatproto_anyio.cli.main: what Tab completes after `chatproto`, in each shell that click knows.

The words are the same in all shells. So they are tested once, in this process, and each shell only
with one of them.
"""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete
from click.testing import CliRunner

from chatproto_anyio.cli.main import cli

from ..processes import run
from ..servers import TIMEOUT
from .commands import subcommands

CHATPROTO = str(Path(sysconfig.get_path("scripts"), "chatproto"))

CONNECTION = {
    "--host",
    "--port",
    "--unix",
    "--tls",
    "--tls-ca",
    "--tls-cert",
    "--tls-key",
    "--tls-key-password-file",
}

# Does what bash does with words when the user presses Tab after the last one.
PRESS_TAB = """
eval "$(_CHATPROTO_COMPLETE=bash_source "$1")" || exit
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_chatproto_completion "$1"
printf '%s\n' "${COMPREPLY[@]}"
"""

each_shell = pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])


def complete(*words: str) -> list[CompletionItem]:
    """Complete the last word."""
    *before, incomplete = words
    shell = ShellComplete(cli, {}, "chatproto", "_CHATPROTO_COMPLETE")
    return shell.get_completions(before, incomplete)


def find_shell(name: str) -> str:
    """The path of a shell that is installed, and new enough for completion."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    if name == "bash":
        version = run(program, "-c", 'echo "${BASH_VERSINFO[0]} ${BASH_VERSINFO[1]}"').stdout
        if tuple(map(int, version.split())) < (4, 4):
            pytest.skip("bash is older than 4.4")
    return program


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], set(subcommands())),
        (["se"], {"send", "serve"}),
        (["admin", "u"], {"users", "unban"}),
        (["chat", "--"], {"--to", "--to-group", "--log", "--help"} | CONNECTION),
        (["listen", "--"], {"--as", "--json", "--help"} | CONNECTION),
        (["send", "--"], {"--as", "--group", "--help"} | CONNECTION),
        (["send", "--as", "alice", "bob", "--g"], {"--group"}),
        (["serve", "--p"], {"--patience", "--port", "--policy", "--proxy-protocol"}),
        (["serve", "--policy", ""], {"default", "reference"}),
        (["serve", "--policy", "r"], {"reference"}),
        (["serve", "--backend", ""], {"asyncio", "trio"}),
        (["serve", "--log-level", ""], {"debug", "info", "warning", "error"}),
    ],
)
def test_words(words: list[str], expected: set[str]) -> None:
    assert {item.value for item in complete(*words)} == expected


@pytest.mark.parametrize("command", ["chat", "listen", "send", "serve"])
def test_the_shell_completes_paths(command: str) -> None:
    assert [item.type for item in complete(command, "--unix", "")] == ["file"]


def test_bash() -> None:
    result = run(find_shell("bash"), "-c", PRESS_TAB, "bash", CHATPROTO, "send", "--t")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.split() == [
        "--tls",
        "--tls-ca",
        "--tls-cert",
        "--tls-key",
        "--tls-key-password-file",
    ]


def test_zsh() -> None:
    variables = {"COMP_WORDS": "chatproto se", "COMP_CWORD": "1"}
    result = run(CHATPROTO, _CHATPROTO_COMPLETE="zsh_complete", **variables)
    assert (result.returncode, result.stderr) == (0, "")
    # Three lines each: the type, the word and its help.
    lines = result.stdout.splitlines()
    assert lines[0::3] == ["plain", "plain"]
    assert lines[1::3] == ["send", "serve"]
    assert all(lines[2::3])


def test_fish() -> None:
    # Fish passes the incomplete word, and not its number.
    variables = {"COMP_WORDS": "chatproto se", "COMP_CWORD": "se"}
    result = run(CHATPROTO, _CHATPROTO_COMPLETE="fish_complete", **variables)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.findall(r"^plain,(\S+)", result.stdout, re.MULTILINE) == ["send", "serve"]


@pytest.mark.parametrize(
    ("shell", "registers"),
    [
        ("bash", "complete -o nosort -F _chatproto_completion chatproto"),
        ("zsh", "compdef _chatproto_completion chatproto"),
        ("fish", "complete --no-files --command chatproto"),
    ],
)
def test_source_registers_the_completion(shell: str, registers: str) -> None:
    if shell == "bash":
        # Click asks it for its version.
        find_shell("bash")
    result = run(CHATPROTO, _CHATPROTO_COMPLETE=f"{shell}_source")
    assert (result.returncode, result.stderr) == (0, "")
    assert registers in result.stdout


@each_shell
def test_the_shell_can_parse_the_source(shell: str) -> None:
    program = find_shell(shell)
    source = run(CHATPROTO, _CHATPROTO_COMPLETE=f"{shell}_source").stdout
    check = subprocess.run([program, "-n"], input=source, text=True, timeout=TIMEOUT, check=False)
    assert check.returncode == 0


@each_shell
def test_help_says_how_to_turn_it_on(shell: str) -> None:
    assert f"_CHATPROTO_COMPLETE={shell}_source" in CliRunner().invoke(cli, ["--help"]).output
