"""The command `chatproto` and its subcommands."""

from typing import Final

import click

from chatproto import __version__

from .chat.command import chat
from .listen import listen
from .send import send
from .serve import serve

COMPLETION: Final = """
\b
To complete commands and options with Tab, add this line to ~/.bashrc:
  eval "$(_CHATPROTO_COMPLETE=bash_source chatproto)"
to ~/.zshrc:
  eval "$(_CHATPROTO_COMPLETE=zsh_source chatproto)"
or to ~/.config/fish/config.fish:
  _CHATPROTO_COMPLETE=fish_source chatproto | source
"""


@click.group(context_settings={"show_default": True}, epilog=COMPLETION)
@click.version_option(__version__, prog_name="chatproto", message="%(prog)s %(version)s")
def cli() -> None:
    """Run a server for CHAT/1.0, or a client."""


cli.add_command(chat)
cli.add_command(listen)
cli.add_command(send)
cli.add_command(serve)
