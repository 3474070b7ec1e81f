"""Loading the hooks that `--hooks` names."""

import importlib
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from chatproto.server.hooks import check_hooks

from .errors import StartError


def parse_place(text: str) -> str:
    """Check the text of the option.

    Raises:
        ValueError: It is no name in a module.
    """
    module, _, name = text.partition(":")
    if not name.isidentifier() or not all(each.isidentifier() for each in module.split(".")):
        raise ValueError(f"{text!r} is not MODULE:NAME, such as rules:HOOKS")
    return text


def load_hooks(text: str, *, takes_async: bool) -> Any:
    """Load hooks, for the parameter `hooks` of a server.

    The module is looked for in the current directory first.

    Args:
        text: Where they are, as `parse_place` takes it.
        takes_async: Whether the server takes coroutine functions.

    Returns:
        The table; or a function that is called with the server, and returns the table, or raises
        StartError.

    Raises:
        ValueError: They can't be used. The error has words for people.
    """
    module_name, _, name = text.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ValueError(f"can't import {module_name}: {_words(error)}") from error
        if module_name.endswith(".py"):
            raise ValueError(f"name the module without .py: {module_name[:-3]}:{name}") from None
        raise ValueError(
            f"there is no module {error.name}, neither in {here} nor among the installed packages"
        ) from None
    except Exception as error:
        raise ValueError(f"can't import {module_name}: {_words(error)}") from error
    if not hasattr(module, name):
        raise ValueError(f"the module {module_name} has no {name}")
    found = getattr(module, name)
    if isinstance(found, Mapping):
        return _checked(found, takes_async=takes_async)
    if not callable(found):
        raise ValueError(  # noqa: TRY004 - a mistake in an option
            f"{text} is of the type {type(found).__name__}: it should be a mapping from commands to"
            " lists of functions, such as {Send: [f]}, or a function that returns one"
        )

    def make(server: object) -> Any:
        try:
            return _checked(_made(text, found, server), takes_async=takes_async)
        except ValueError as error:
            raise StartError(f"can't use hooks: {error}") from error

    return make


def _made(text: str, function: Callable[[object], object], server: object) -> object:
    try:
        return function(server)
    except Exception as error:
        raise ValueError(f"{text} failed: {_words(error)}") from error


def _checked(hooks: Any, *, takes_async: bool) -> Any:
    try:
        check_hooks(hooks, takes_async=takes_async)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return hooks


def _words(error: Exception) -> str:
    """What has happened, and in which line."""
    [*_, words] = traceback.format_exception_only(error)
    if isinstance(error, SyntaxError):
        return f"{words.strip()} ({error.filename}, line {error.lineno})"
    # Only what the operator has written.
    frames = [
        each
        for each in traceback.extract_tb(error.__traceback__)
        if each.filename != __file__ and not each.filename.startswith("<frozen ")
    ]
    if not frames:
        return words.strip()
    return f"{words.strip()} ({frames[-1].filename}, line {frames[-1].lineno})"
