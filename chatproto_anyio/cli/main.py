"""The command `chatproto` and its subcommands."""

from typing import Final

import click

from chatproto import __version__

COMPLETION: Final = """
\b
To complete commands and options with Tab, add this line to ~/.bashrc:
  eval "$(_CHATPROTO_COMPLETE=bash_source chatproto)"
to ~/.zshrc:
  eval "$(_CHATPROTO_COMPLETE=zsh_source chatproto)"
or to ~/.config/fish/config.fish:
  _CHATPROTO_COMPLETE=fish_source chatproto | source
"""


class Commands(click.Group):
    """The subcommands, each imported when it is needed.

    So each loads only its own modules, and works when those of another are missing.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of all subcommands."""
        return ["admin", "chat", "check", "listen", "send", "serve"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a subcommand; None if there is none of that name."""
        match cmd_name:
            case "admin":
                from .admin import admin

                return admin
            case "chat":
                from .chat.command import chat

                return chat
            case "check":
                from .check import check

                return check
            case "listen":
                from .listen import listen

                return listen
            case "send":
                from .send import send

                return send
            case "serve":
                from .serve import serve

                return serve
            case _:
                return None


@click.group(cls=Commands, context_settings={"show_default": True}, epilog=COMPLETION)
@click.version_option(__version__, prog_name="chatproto", message="%(prog)s %(version)s")
def cli() -> None:
    """Run a server for CHAT/1.0, or a client, or check one."""
