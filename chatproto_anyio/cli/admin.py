"""`chatproto admin`: see what a running server does, and act on it."""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import click

from chatproto import visible, visible_name
from chatproto.server.bans import describe_ban
from chatproto_sync.admin.client import AdminError, NoServerError, ask
from chatproto_sync.admin.requests import ACTIONS
from chatproto_sync.service.config_file import read_config

from .options import ClientCommand, warn_of_variables

DEFAULT_PATH: Final = "/run/chatproto/admin"
"""Where the example unit for systemd has the socket."""

NOBODY: Final = 1
"""The exit status when there was nobody to do it to."""

NO_SERVER: Final = 3
"""The exit status when there is no server that answers."""


def _complete(_context: click.Context, _param: click.Parameter, begin: str) -> list[str]:
    return [each for each in ACTIONS if each.startswith(begin)]


@click.command(cls=ClientCommand)
@click.option(
    "--admin-socket",
    "path",
    type=click.Path(readable=False),
    metavar="PATH",
    envvar="CHATPROTO_ADMIN_SOCKET",
    show_envvar=True,
    help=f"The server's --admin-socket. Without it, the one in --config, or {DEFAULT_PATH}.",
)
@click.option(
    "--config",
    type=click.Path(readable=False),
    metavar="PATH",
    envvar="CHATPROTO_CONFIG",
    show_envvar=True,
    help="The server's configuration file, which names the socket.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, in one line.")
@click.argument("action", metavar="ACTION", shell_complete=_complete)
@click.argument("words", metavar="[NAME] [TEXT]", nargs=-1)
def admin(
    path: str | None, config: str | None, as_json: bool, action: str, words: tuple[str, ...]
) -> None:
    """See what a running server does, and act on it.

    \b
    ACTION is one of:
      users                who is online
      groups               the groups, and who is in them
      connections          the connections of this server
      bans                 who is banned
      stats                the server in numbers
      tell NAME TEXT       send a message to a user, or to a group with '#GROUP'
      kick NAME [TEXT]     end all connections under a name
      ban NAME [TEXT]      keep out a name, an address, or a network
      unban NAME           lift a ban
      add GROUP NAME       add a user to a group
      remove GROUP NAME    remove a user from a group
      drain                shut the server down
      reload               have it read its configuration again, as SIGHUP does

    The server has to run with --admin-socket. Only root and the user that it runs as may do this.
    TEXT is what the user reads.

    \b
    Exit status:
      0  it was done
      1  it was not done, or there was nobody to do it to
      2  wrong usage
      3  there is no server that answers
    """  # noqa: D301
    warn_of_variables()
    request = _request(action, words)
    try:
        result = ask(path or _path_in(config) or DEFAULT_PATH, request)
    except NoServerError as error:
        click.echo(f"Error: {visible(str(error))}", err=True)
        sys.exit(NO_SERVER)
    except AdminError as error:
        raise click.ClickException(visible(str(error))) from None
    _print(json.dumps(result) if as_json else _words(request, result))
    if action in ("tell", "kick") and not result["connections"]:
        sys.exit(NOBODY)


def _print(text: str) -> None:
    """Print a text. Characters that the encoding does not have are escaped.

    Raises:
        click.ClickException: Standard output can't be written.
    """
    encoding = sys.stdout.encoding
    try:
        click.echo(text.encode(encoding, "backslashreplace").decode(encoding))
    except BrokenPipeError:
        # Nobody reads on. That is no error: the command ends.
        raise
    except OSError as error:
        raise click.ClickException(f"can't write to standard output: {error.strerror}") from None


def _request(action: str, words: Sequence[str]) -> dict[str, str]:
    """The request that the arguments stand for.

    Raises:
        click.UsageError: They stand for none.
    """
    if action not in ACTIONS:
        raise click.UsageError(f"there is no action {action!r}; there is {', '.join(ACTIONS)}")
    needs, takes = ACTIONS[action].needs, ACTIONS[action].takes
    names = [*needs, *(each for each in takes if each == "text")]
    if names[-1:] == ["text"] and len(words) > len(names):
        # A text need not be in quotes.
        words = [*words[: len(names) - 1], " ".join(words[len(names) - 1 :])]
    if len(words) > len(names):
        rest = " ".join(words[len(names) :])
        raise click.UsageError(f"{action} takes nothing more: leave out {rest}")
    if len(words) < len(needs):
        raise click.UsageError(f"{action} needs {_HELP_WORDS[needs[len(words)]]}")
    return {"do": action, **dict(zip(names, words, strict=False))}


_HELP_WORDS: Final = {
    "to": "NAME",
    "name": "NAME",
    "what": "NAME",
    "member": "NAME",
    "group": "GROUP",
    "text": "TEXT",
}
"""What the help calls the texts of a request."""


def _path_in(config: str | None) -> str | None:
    """The path of the socket in a configuration file; None if there is none.

    Raises:
        click.UsageError: The file can't be used.
    """
    if config is None:
        return None
    # Imported here, because it takes time, and is rarely needed.
    from .serve import SERVE_OPTIONS

    try:
        found = read_config(config, SERVE_OPTIONS)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    return next(iter(found.get("admin_socket", ())), None)


def _words(request: Mapping[str, str], result: Any) -> str:
    """What to print of an answer, for people."""
    do = request["do"]
    if do in _TABLES:
        heads, cells = _TABLES[do]
        return _table(heads, map(cells, result.items() if do == "stats" else result))
    if do == "drain":
        return "The server shuts down."
    if do == "reload":
        return "The server has read its configuration again."
    first, *_ = [visible_name(request[each]) for each in ACTIONS[do].needs]
    ended = _counted(result.get("connections", 0))
    match do:
        case "tell":
            return f"Sent to {ended} of {first}."
        case "kick":
            return f"Ended {ended} of {first}."
        case "ban":
            return f"Banned {visible(describe_ban(request['what']))}, and ended {ended}."
        case "unban":
            return f"Lifted the ban of {visible(describe_ban(request['what']))}."
    member = visible_name(request["member"])
    return (
        f"{member} is in {first} now." if do == "add" else f"{member} is not in {first} any more."
    )


def _counted(connections: int) -> str:
    return "1 connection" if connections == 1 else f"{connections} connections"


def _user(user: dict[str, Any]) -> list[str]:
    numbers = " ".join(map(str, user["connections"]))
    return [visible_name(user["name"]), numbers or "-", " ".join(user["nodes"]) or "-"]


def _group(group: dict[str, Any]) -> list[str]:
    members = " ".join(map(visible_name, group["members"]))
    return [visible_name(group["group"]), visible_name(group["creator"]), members or "-"]


def _connection(found: dict[str, Any]) -> list[str]:
    state = "closing" if found["is_closing"] else "waiting" if found["is_waiting"] else "open"
    name = "-" if found["name"] is None else visible_name(found["name"])
    return [str(found["connection"]), visible(found["peer"]), name, str(found["queued"]), state]


def _ban(what: str) -> list[str]:
    return [visible_name(what)]


def _number(item: tuple[str, Any]) -> list[str]:
    name, value = item
    if isinstance(value, dict):
        value = ", ".join(f"{each} {_rounded(of)}" for each, of in value.items()) or "none"
    return [name.replace("_", " "), _rounded(value)]


def _rounded(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


_TABLES: Final[dict[str, tuple[Sequence[str], Callable[[Any], list[str]]]]] = {
    "users": (("USER", "CONNECTIONS", "OTHER NODES"), _user),
    "groups": (("GROUP", "CREATOR", "MEMBERS"), _group),
    "connections": (("NUMBER", "PEER", "USER", "QUEUED", "STATE"), _connection),
    "bans": (("BANNED",), _ban),
    "stats": (("WHAT", "NOW"), _number),
}
"""The actions that answer with a table: the heads of its columns, and what makes a row."""


def _table(heads: Sequence[str], rows: Iterable[list[str]]) -> str:
    """A table for people. The last column is as wide as each of its cells."""
    table = [list(heads), *rows]
    widths = [max(_columns(row[column]) for row in table) for column in range(len(heads) - 1)]
    return "\n".join(
        "".join(
            f"{cell}{' ' * (width - _columns(cell))}  "
            for cell, width in zip(row, widths, strict=False)
        )
        + row[-1]
        for row in table
    )


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes: Chinese characters take two, marks none."""
    return sum(
        0 if unicodedata.combining(each) else 2 if unicodedata.east_asian_width(each) in "WF" else 1
        for each in text
    )
