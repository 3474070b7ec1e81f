"""The commands and options in the documents exist."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from chatproto_anyio.cli.main import cli
from chatproto_sync.service.options import OPTIONS

from .adapters.cli.commands import subcommands

ROOT = Path(__file__).parent.parent
PAGES = [
    *(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "SECURITY")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

OF_OTHER_PROGRAMS = {
    "--strict",
    "--verifytypes",
    "--only",
    "--quick",
    "--build-arg",
    "--env",
    "--volume",
}
"""Options of tools that the documents mention."""


def shell_lines(text: str) -> Iterator[str]:
    """The lines about us in the shell blocks. One that goes on with a backslash is one line."""
    for block in re.findall(r"^```(?:sh|console|bash)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        yield from (line for line in lines if "chatproto" in line)


def commands(line: str) -> Iterator[list[str]]:
    """The words of each command in a line of the shell."""
    words = list(shlex.shlex(line, posix=True, punctuation_chars=True))
    found: list[str] = []
    for word in [*words, ";"]:
        if re.fullmatch(r"[;|&<>()]+", word):
            if found:
                yield found
            found = []
        else:
            found.append(word)


def problem(words: list[str]) -> str | None:
    """What is wrong with a command of ours; None for nothing, and for commands of others."""
    match words:
        case [
            program,
            "admin" | "serve" | "chat" | "check" | "listen" | "send" as name,
            *arguments,
        ] if Path(program).name == "chatproto":
            command = subcommands()[name]
        case [program, "-m", "chatproto_sync", *arguments] if "python" in program:
            names = {f"--{option.name}" for option in OPTIONS}
            unknown = [word for word in arguments if word.startswith("--") and word not in names]
            return f"no such option: {unknown}" if unknown else None
        case [program, argument, *_] if Path(program).name == "chatproto":
            return None if argument in ("--version", "--help") else f"no such command: {argument}"
        case _:
            return None
    try:
        command.make_parser(click.Context(command)).parse_args(arguments)
    except click.UsageError as error:
        return error.format_message()
    return None


@cache
def options() -> set[str]:
    """The names of all options of all commands."""
    every = [cli, *subcommands().values()]
    return {name for each in every for param in each.params for name in param.opts} | {"--help"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_in_the_page_can_be_called(path: Path) -> None:
    for line in shell_lines(path.read_text(encoding="utf-8")):
        for words in commands(line):
            assert problem(words) is None, line


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_options_in_the_page_exist(path: Path) -> None:
    named = re.findall(r"`(--[a-z][a-z-]*)", path.read_text(encoding="utf-8"))
    assert set(named) <= options() | OF_OTHER_PROGRAMS


UNITS = [*sorted((ROOT / "examples").glob("*.service")), *PAGES]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_units_of_systemd_set_variables_of_options(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    option_of = {option.variable: option for option in OPTIONS}
    variables = re.findall(r"^Environment=(CHATPROTO_\w+)=(.+)$", text, re.MULTILINE)
    assert len(variables) == text.count("\nEnvironment=")
    for name, value in variables:
        # %i is what stands after the @.
        option_of[name].value_of(value.replace("%i", "1"))


def test_drop_ins_can_change_each_option_of_the_units() -> None:
    counts = []
    for path in (ROOT / "examples").glob("*.service"):
        unit = path.read_text(encoding="utf-8")
        # Options here would win.
        assert "\nExecStart=/opt/chatproto/bin/chatproto serve\n" in unit
        counts.append(unit.count("\nEnvironment=CHATPROTO_"))
    assert sorted(counts) == [4, 6]


def test_wrong_commands_are_found() -> None:
    [first, second] = commands("nohup true & .venv/bin/chatproto serve --no-such 1")
    assert problem(first) is None
    assert "--no-such" in str(problem(second))
    assert problem(["chatproto", "serves"]) == "no such command: serves"
    assert problem(["python3", "-m", "chatproto_sync", "--backend", "trio"]) is not None
    assert problem(["python3", "-m", "chatproto_sync", "--port", "0"]) is None
    assert problem(["chatproto", "send", "--as", "a", "bob", "hi"]) is None
