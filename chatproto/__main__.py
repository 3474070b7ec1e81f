"""The command `chatproto`, also as `python -m chatproto`.

The command itself is in `chatproto_anyio`. This module also works where that can't be imported, and
then says what to install.
"""

import sys


def main() -> None:
    """Run the command, or print which package is missing and exit with status 1."""
    try:
        from chatproto_anyio.cli.main import cli

        cli(prog_name="chatproto")
    except ModuleNotFoundError as error:
        # A command may import prompt_toolkit when it runs.
        if error.name not in ("anyio", "click", "prompt_toolkit"):
            raise
        sys.exit(
            f"Error: the command needs the package {error.name}: "
            "pip install 'chatproto-sansio[server]', or '.[server]' in a checkout"
        )


if __name__ == "__main__":
    main()
