"""Write a man page for each command into `man`, beside this file, from what `--help` has.

The wheel has the pages, so `man chatproto-serve` works where pip has installed the command.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from chatproto_anyio.cli.main import cli

FOLDER: Final = Path(__file__).with_name("man")
"""The pages in the repository."""

CONTEXT: Final = click.Context(cli, info_name="chatproto")

COMMANDS: Final = {
    name: command
    for name in cli.list_commands(CONTEXT)
    if (command := cli.get_command(CONTEXT, name)) is not None
}
"""The subcommands, by name."""


def pages() -> dict[str, str]:
    """The text of each page, by the name of its file."""
    contexts = [CONTEXT]
    for name, command in COMMANDS.items():
        contexts.append(click.Context(command, info_name=name, parent=CONTEXT))
    return {f"{page_name(each)}.1": page(each) for each in contexts}


def page_name(context: click.Context) -> str:
    """The name of a command's page."""
    return context.command_path.replace(" ", "-")


def page(context: click.Context) -> str:
    """The man page of a command, as input of `man`."""
    command, name = context.command, page_name(context)
    summary, *paragraphs = re.split(r"\n\n+", inspect.cleandoc(command.help or ""))
    lines = [
        r".\" docs/man_pages.py makes this from the command.",
        f'.TH {roff(name.upper())} 1 "" "chatproto" "chatproto"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{roff(name)} \\- {roff(summary[0].lower() + summary[1:].removesuffix('.'))}",
        ".SH SYNOPSIS",
        f"{bold(context.command_path)} {roff(' '.join(command.collect_usage_pieces(context)))}",
        ".SH DESCRIPTION",
        roff(summary),
        *(line for paragraph in paragraphs for line in text(paragraph)),
    ]
    if command is cli:
        lines.append(".SH COMMANDS")
        for each, subcommand in COMMANDS.items():
            summary = subcommand.get_short_help_str(limit=200)
            lines += [".TP", f"{bold(f'chatproto-{each}')}(1)", roff(summary)]
    lines += [".SH OPTIONS", *(line for each in command.params for line in option(each))]
    if command.epilog:
        lines += [".SH SHELL COMPLETION", *text(inspect.cleandoc(command.epilog))]
    names = ["chatproto", *(f"chatproto-{each}" for each in COMMANDS)]
    others = ", ".join(f"{bold(each)}(1)" for each in names if each != name)
    return "\n".join([*lines, ".SH SEE ALSO", others, ""])


def text(paragraph: str) -> list[str]:
    """A paragraph. One that begins with a backspace keeps its lines, as click has it."""
    if paragraph.startswith("\b\n"):
        return [".PP", ".nf", *map(roff, paragraph.splitlines()[1:]), ".fi"]
    return [".PP", roff(paragraph)]


def option(param: click.Parameter) -> Iterator[str]:
    """An option, its variable and its default; nothing for an argument."""
    if not isinstance(param, click.Option):
        return
    names = ", ".join(map(bold, param.opts))
    if not param.is_flag:
        names += f" {roff(param.metavar or param.type.name.upper())}"
    help_text = param.help or ""
    # The help of the options of `serve` ends with them.
    if param.envvar:
        notes = [f"env var: {param.envvar}"]
        if isinstance(param.default, str | int | float) and not param.is_flag:
            notes.append(f"default: {param.default}")
        help_text += f"  [{'; '.join(notes)}]"
    if param.required:
        help_text += "  [required]"
    yield from (".TP", names, roff(help_text))


def bold(words: str) -> str:
    """Words in bold."""
    return rf"\fB{roff(words)}\fR"


def roff(words: str) -> str:
    """Text as `man` takes it: what stands in backquotes in bold, and no character a request."""
    words = words.replace("\\", r"\e").replace("-", r"\-").replace("'", r"\(aq")
    words = words.replace("~", r"\(ti").replace("^", r"\(ha")
    words = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", words)
    return re.sub(r"^\.", r"\\&.", words, flags=re.MULTILINE)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for file_name, content in pages().items():
        (FOLDER / file_name).write_text(content, encoding="utf-8")
