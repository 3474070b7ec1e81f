"""A file with the options of a server, in TOML: `port = 3333`, `host = ["::1", "127.0.0.1"]`."""

import tomllib
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from .options import Option

_WORDS: Final[dict[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text in quotes",
}


def read_config(path: str, options: Iterable[Option]) -> dict[str, Sequence[str]]:
    """Read the options in a file.

    Args:
        path: The path of the file.
        options: The options that there are.

    Returns:
        The texts of the options in the file, by `Option.key`, as they would stand on a command
        line.

    Raises:
        ValueError: The file can't be read, is not TOML, or has something that is no option. The
            error names the file and the key.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"can't read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"can't read {path}: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from None
    by_name = {each.name: each for each in options}
    found: dict[str, Sequence[str]] = {}
    for name, value in table.items():
        option = by_name.get(name)
        if option is None:
            raise ValueError(f"{name} in {path}: {_unknown(name, by_name)}")
        try:
            found[option.key] = _texts(option, value)
        except ValueError as error:
            raise ValueError(f"{name} in {path}: {error}") from None
    return found


def _unknown(name: str, names: Iterable[str]) -> str:
    # Python's way to write a name is the likeliest mistake.
    close = get_close_matches(name.replace("_", "-"), names, n=1)
    return "there is no such option" + (f"; is it {close[0]}?" if close else "")


def _texts(option: Option, value: Any) -> list[str]:
    """The texts of an option.

    Raises:
        ValueError: The value is of another type, or the option can't be in a file.
    """
    if not option.in_file:
        raise ValueError("a file can't set this option")
    values: list[Any] = value if option.is_multiple and isinstance(value, list) else [value]
    # Not `isinstance`: to Python, a bool is an int.
    allowed: set[type] = {int, float} if option.toml is float else {option.toml}
    words = _WORDS[option.toml]
    if option.unit is not None:
        allowed.add(str)
        words += f', or a text such as "{option.unit.example}"'
    if not values or any(type(each) not in allowed for each in values):
        raise ValueError(f"write {words}{', or an array of such' if option.is_multiple else ''}")
    if option.is_flag:
        return ["yes" if each else "no" for each in values]
    texts = [str(each) for each in values]
    if any("\0" in text for text in texts):
        raise ValueError("a text has no zero bytes")
    return texts
