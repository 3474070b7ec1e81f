"""`config_file`: the options in a file, and the errors that name the file and the key."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from chatproto_sync.service.config_file import read_config
from chatproto_sync.service.options import OPTIONS, Option
from chatproto_sync.service.settings import limits_of, read_settings


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.toml"


def read(path: Path, text: str) -> dict[str, Sequence[str]]:
    path.write_text(text, encoding="utf-8")
    return read_config(str(path), OPTIONS)


@pytest.mark.parametrize(
    ("line", "key", "texts"),
    [
        ("port = 3333", "port", ["3333"]),
        ("port = 0x10", "port", ["16"]),
        ('host = "::1"', "host", ["::1"]),
        ('host = ["::1", "a.example"]', "host", ["::1", "a.example"]),
        ('unix-mode = "660"', "unix_mode", ["660"]),
        ("grace = 5", "grace", ["5"]),
        ("grace = 0.5", "grace", ["0.5"]),
        ("no-notices = true", "no_notices", ["yes"]),
        ("no-notices = false", "no_notices", ["no"]),
        ('unix = "/run/ä b,c"', "unix", ["/run/ä b,c"]),
    ],
)
def test_values(path: Path, line: str, key: str, texts: list[str]) -> None:
    assert read(path, line) == {key: texts}


def example(option: Option) -> str:
    """A line that sets an option to what is not its default."""
    if option.choices:
        value = f'"{option.choices[-1]}"'
    elif option.toml is str:
        value = {
            "hooks": '"rules:HOOKS"',
            "proxy-protocol": '["10.0.0.0/8", "unix"]',
            "unix-mode": '"600"',
        }.get(option.name, '"other"')
    else:
        value = "true" if option.is_flag else "777"
    return f"{option.name} = {value}\n"


@pytest.mark.parametrize("other", ["state", "cluster"])
def test_each_option_can_be_in_a_file(path: Path, other: str) -> None:
    """Those of a cluster and the path of a state file exclude each other."""
    options = [each for each in OPTIONS if each.in_file and other not in (each.name, each.needs)]
    path.write_text("".join(map(example, options)), encoding="utf-8")
    found = read_settings(OPTIONS, {"config": [str(path)]}, {"CHATPROTO_METRICS_PORT": "778"})
    for option in options:
        assert found.values[option.key] != option.default
        expected = "CHATPROTO_METRICS_PORT" if option.key == "metrics_port" else f"{option.name} in"
        assert found.places[option.key].startswith(expected)


def test_an_empty_file_and_comments(path: Path) -> None:
    assert read(path, "") == {}
    assert read(path, "# port = 1\n") == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('port = "3333"', "port in {}: write a whole number"),
        ("port = 3333.0", "port in {}: write a whole number"),
        ("port = true", "port in {}: write a whole number"),
        ("port = [1]", "port in {}: write a whole number"),
        # It would be 432, which is another mode.
        ("unix-mode = 0o660", "unix-mode in {}: write a text in quotes"),
        ("rate = '5'", "rate in {}: write a number"),
        ("grace = true", 'grace in {}: write a number, or a text such as "10s"'),
        ("max-line = 1e3", 'max-line in {}: write a whole number, or a text such as "64k"'),
        ("grace = 2025-01-31", "grace in {}: write a number, or "),
        ("no-notices = 1", "no-notices in {}: write true or false"),
        ("host = 1", "host in {}: write a text in quotes, or an array of such"),
        ('host = ["a", 1]', "host in {}: write a text in quotes, or an array of such"),
        ("host = []", "host in {}: write a text in quotes, or an array of such"),
        (r'host = "a\u0000"', "host in {}: a text has no zero bytes"),
        ("max_line = 600", "max_line in {}: there is no such option; is it max-line?"),
        ("prot = 1", "prot in {}: there is no such option; is it port?"),
        ("colour = 1", "colour in {}: there is no such option"),
        ("[limits]\nmax-line = 600", "limits in {}: there is no such option"),
        ('config = "a"', "config in {}: a file can't set this option"),
        ("check = true", "check in {}: a file can't set this option"),
        ("port = ", "{} is not TOML: Invalid value (at end of document)"),
        ("port = 1\nport = 2", "{} is not TOML: Cannot overwrite a value"),
    ],
)
def test_errors(path: Path, line: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message.format(path))}"):
        read(path, line)


def test_the_example_in_the_docs(path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "run-the-server.md"
    [example] = re.findall(
        r"^```toml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    found = read(path, example)
    assert found["host"] == ["*"]
    given = {"config": [str(path)]}
    settings = read_settings(OPTIONS, given, {})
    assert sorted(settings.places) == sorted([*found, "config"])
    limits_of(settings)


def test_files_that_cannot_be_read(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^can't read .*chat\.toml: No such file or directory$"):
        read_config(str(path), OPTIONS)
    with pytest.raises(ValueError, match=r"^can't read .*: Is a directory$"):
        read_config(str(tmp_path), OPTIONS)
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"^can't read .*chat\.toml: it is not UTF-8$"):
        read_config(str(path), OPTIONS)
