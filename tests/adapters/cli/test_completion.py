"""What a shell is told when somebody presses Tab after the command that is installed."""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from chatproto_anyio.cli.main import cli

from ..processes import run
from ..servers import TIMEOUT

CHATPROTO = str(Path(sysconfig.get_path("scripts"), "chatproto"))

CONNECTION = {"--host", "--port", "--unix", "--tls", "--tls-ca", "--tls-cert", "--tls-key"}

CASES: list[tuple[list[str], set[str]]] = [
    ([""], set(cli.commands)),
    (["se"], {"send", "serve"}),
    (["chat", "--"], {"--to", "--to-group", "--help"} | CONNECTION),
    (["listen", "--"], {"--as", "--json", "--help"} | CONNECTION),
    (["send", "--"], {"--as", "--group", "--help"} | CONNECTION),
    (["send", "--as", "alice", "bob", "--g"], {"--group"}),
    (["serve", "--p"], {"--port", "--policy"}),
    (["serve", "--policy", ""], {"default", "reference"}),
    (["serve", "--policy", "r"], {"reference"}),
    (["serve", "--backend", ""], {"asyncio", "trio"}),
    (["serve", "--log-level", ""], {"debug", "info", "warning", "error"}),
]

# Does with words, the last of which is to be completed, what bash does.
PRESS_TAB = """
eval "$(_CHATPROTO_COMPLETE=bash_source "$1")" || exit
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_chatproto_completion "$1"
printf '%s\n' "${COMPREPLY[@]}"
"""


def ask(shell: str, words: list[str]) -> str:
    """What the command answers to a shell."""
    line = ["chatproto", *words]
    if shell == "fish":
        # It says what has been typed of the last word, the others which word it is.
        variables = {"COMP_WORDS": " ".join(line), "COMP_CWORD": line[-1]}
    else:
        variables = {"COMP_WORDS": " ".join(line), "COMP_CWORD": str(len(words))}
    result = run(CHATPROTO, _CHATPROTO_COMPLETE=f"{shell}_complete", **variables)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def bash() -> str:
    """The program, if it is there and not too old for completion."""
    program = shutil.which("bash")
    if program is None:
        pytest.skip("bash is not installed")
    version = run(program, "-c", 'echo "${BASH_VERSINFO[0]} ${BASH_VERSINFO[1]}"').stdout
    if tuple(map(int, version.split())) < (4, 4):
        pytest.skip("bash is older than 4.4")
    return program


@pytest.mark.parametrize(("words", "expected"), CASES)
def test_bash(words: list[str], expected: set[str]) -> None:
    result = run(bash(), "-c", PRESS_TAB, "bash", CHATPROTO, *words)
    assert (result.returncode, result.stderr) == (0, "")
    assert set(result.stdout.split()) == expected


@pytest.mark.parametrize(("words", "expected"), CASES)
def test_zsh(words: list[str], expected: set[str]) -> None:
    # Three lines each: the kind, the word, and what it is.
    kinds, values, helps = (ask("zsh", words).splitlines()[first::3] for first in range(3))
    assert set(kinds) == {"plain"}
    assert {value.replace("\\", "") for value in values} == expected
    assert all(helps)


@pytest.mark.parametrize(("words", "expected"), CASES)
def test_fish(words: list[str], expected: set[str]) -> None:
    assert set(re.findall(r"^plain,(\S+)", ask("fish", words), re.MULTILINE)) == expected


@pytest.mark.parametrize("command", ["chat", "listen", "send", "serve"])
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_paths(shell: str, command: str) -> None:
    """They are the shell's own affair."""
    assert re.match(r"file\b", ask(shell, [command, "--unix", ""]))


@pytest.mark.parametrize(
    ("shell", "registers"),
    [
        ("bash", "complete -o nosort -F _chatproto_completion chatproto"),
        ("zsh", "compdef _chatproto_completion chatproto"),
        ("fish", "complete --no-files --command chatproto"),
    ],
)
def test_source(shell: str, registers: str) -> None:
    if shell == "bash":
        bash()
    result = run(CHATPROTO, _CHATPROTO_COMPLETE=f"{shell}_source")
    assert (result.returncode, result.stderr) == (0, "")
    assert registers in result.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_parse_its_source(shell: str) -> None:
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    source = run(CHATPROTO, _CHATPROTO_COMPLETE=f"{shell}_source").stdout
    check = subprocess.run([program, "-n"], input=source, text=True, timeout=TIMEOUT, check=False)
    assert check.returncode == 0


def test_the_help_says_how_to_come_by_it() -> None:
    for shell in ("bash", "zsh", "fish"):
        assert f"{shell}_source" in run(CHATPROTO, "--help").stdout
