"""The command `chatproto`, also as `python -m chatproto`.

It lives in `chatproto_anyio`; this much is here because it has to work when that can't be imported.
"""

import sys


def main() -> None:
    """Run the command, or say what to install for it."""
    try:
        from chatproto_anyio.cli.main import cli

        cli(prog_name="chatproto")
    except ModuleNotFoundError as error:
        # The last one only when a command needs it.
        if error.name not in ("anyio", "click", "prompt_toolkit"):
            raise
        sys.exit(
            f"Error: the command needs the package {error.name}: "
            "pip install 'chatproto-sansio[server]', or '.[server]' in a checkout"
        )


if __name__ == "__main__":
    main()
