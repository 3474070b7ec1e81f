"""The command `chatproto`, also as `python -m chatproto`.

The command itself is in `chatproto_anyio`. This module also works where that can't be imported, and
then says what to install.
"""

import sys
from typing import Final

_OURS: Final = ("", "chatproto", "chatproto_sync", "chatproto_anyio")


def main() -> None:
    """Run the command, or print which package is missing and exit with status 1."""
    try:
        from chatproto_anyio.cli.main import cli

        cli(prog_name="chatproto")
    except ModuleNotFoundError as error:
        # A command imports some packages when it runs, and packages import others.
        package, *_ = (error.name or "").split(".")
        if package in _OURS or package in sys.stdlib_module_names:
            raise
        sys.exit(
            f"Error: the command needs the package {package}: "
            "pip install 'chatproto-sansio[server]', or '.[server]' in a checkout"
        )


if __name__ == "__main__":
    main()
