"""The pages in `docs/reference/` say what the code says."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from chatproto import CloseReason, ErrorCode, EventKind
from chatproto_anyio.cli.serve import SERVE_OPTIONS
from chatproto_sync.service.settings import limits_of, read_settings

from .adapters.cli.commands import subcommands

DOCS = Path(__file__).parent.parent / "docs"
SCRIPT = runpy.run_path(str(DOCS / "reference_pages.py"))
PAGES: dict[str, Any] = SCRIPT["PAGES"]


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    page = (DOCS / "reference" / name).read_text(encoding="utf-8")
    assert page == PAGES[name](), "run: python docs/reference_pages.py"


def test_script_writes_the_pages(tmp_path: Path) -> None:
    script = tmp_path / "reference_pages.py"
    script.write_text((DOCS / script.name).read_text(encoding="utf-8"), encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")
    assert sorted(each.name for each in (tmp_path / "reference").iterdir()) == sorted(PAGES)


def test_options_have_their_variable_and_their_line_in_the_file() -> None:
    page = PAGES["options.md"]()
    for option in SERVE_OPTIONS:
        assert page.count(f'<a id="{option.name}"></a>`--{option.name}') == 1
        assert f"`{option.variable}`" in page
        assert option.in_file is (f"`{option.name} = " in page)


def test_the_example_of_a_configuration_file_is_good(tmp_path: Path) -> None:
    [example] = re.findall(r"```toml\n(.*?)```", PAGES["options.md"](), re.DOTALL)
    path = tmp_path / "chat.toml"
    path.write_text(example, encoding="utf-8")
    settings = read_settings(SERVE_OPTIONS, {"config": [str(path)]}, {})
    assert settings.values["unix_mode"] == 0o660
    assert limits_of(settings).max_connections == 5000


def test_options_of_the_client_commands_are_listed() -> None:
    page = PAGES["options.md"]().partition("## `chatproto chat`")[2]
    commands = subcommands()
    for name in ("chat", "listen", "send"):
        for param in commands[name].params:
            for option in param.opts:
                assert f"`{option}" in page or option.upper() in page, (name, option)


@pytest.mark.parametrize(
    ("name", "things"),
    [
        ("error-codes.md", [*ErrorCode]),
        ("close-reasons.md", [*CloseReason]),
        ("log-events.md", [*EventKind]),
    ],
)
def test_each_thing_has_a_row(name: str, things: list[str]) -> None:
    page = PAGES[name]()
    for each in things:
        assert f"| {each} |" in page or f"</a>{each} |" in page or f"</a>`{each}` |" in page


def test_words_without_a_thing_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGES["error-codes.md"]
    monkeypatch.setitem(page.__globals__["AFTER_AN_ERROR"], "NO_SUCH_CODE", "do nothing")
    with pytest.raises(ValueError, match="NO_SUCH_CODE"):
        page()


def test_lines_of_the_log_are_found_with_their_levels() -> None:
    lines = dict(SCRIPT["lines_of_log"]())
    assert lines["listening on …"] == "info"
    assert lines["not listening on …: this machine has no …"] == "warning"
