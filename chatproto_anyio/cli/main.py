"""The command `chatproto`."""

from typing import Final

import click

from chatproto import __version__

from .chat.command import chat
from .listen import listen
from .send import send
from .serve import serve

COMPLETION: Final = """
\b
Tab completes all this, once ~/.bashrc has in it
  eval "$(_CHATPROTO_COMPLETE=bash_source chatproto)"
or ~/.zshrc the same with zsh_source, or ~/.config/fish/config.fish
  _CHATPROTO_COMPLETE=fish_source chatproto | source
"""
"""How to come by it, in the words of the three shells."""


@click.group(context_settings={"show_default": True}, epilog=COMPLETION)
@click.version_option(__version__, prog_name="chatproto", message="%(prog)s %(version)s")
def cli() -> None:
    """Chat over CHAT/1.0."""


cli.add_command(chat)
cli.add_command(listen)
cli.add_command(send)
cli.add_command(serve)
