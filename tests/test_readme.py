"""README.md and README.zh.md: they say the same, and their links and figures are right."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README, CHINESE, PERFORMANCE = (
    ROOT / name for name in ("README.md", "README.zh.md", "docs/performance.md")
)
both = pytest.mark.parametrize("path", [README, CHINESE], ids=lambda path: path.name)

BLOCK = re.compile(r"^(?:<!-- [^\n]+ -->\n)?```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(([^)]+)\)")
HEADING = re.compile(r"^#+ .+$", re.MULTILINE)
ROW = re.compile(r"^\|.*\|$", re.MULTILINE)
ARTICLE = "https://github.com/ZhengHe-MD/chat"


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose_of(path: Path) -> str:
    """The page without its blocks."""
    return BLOCK.sub("", text_of(path))


def figures(path: Path) -> list[list[str]]:
    """The numbers in each row of a page's tables; the rows without any are left out."""
    rows = [re.findall(r"\d+(?:\.\d+)?", row) for row in ROW.findall(prose_of(path))]
    return [row for row in rows if len(row) > 3]


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = [heading.lstrip("# ").lower() for heading in HEADING.findall(prose_of(path))]
    return {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in headings}


def test_both_have_the_same_blocks() -> None:
    blocks = BLOCK.findall(text_of(README))
    assert len(blocks) > 10
    assert BLOCK.findall(text_of(CHINESE)) == blocks


def test_both_have_the_same_links_but_for_those_to_each_other() -> None:
    links, others = (LINK.findall(prose_of(path)) for path in (README, CHINESE))
    assert links.pop(0) == CHINESE.name
    assert others.pop(0) == README.name
    assert len(links) > 15
    assert others == links


def test_both_have_the_same_sections_commands_and_figures() -> None:
    sections, others = (len(HEADING.findall(prose_of(path))) for path in (README, CHINESE))
    assert others == sections
    code, others_code = (CODE.findall(prose_of(path)) for path in (README, CHINESE))
    # Each language has its own order of words.
    assert sorted(others_code) == sorted(code)
    assert figures(CHINESE) == figures(README)


def test_figures_are_those_of_the_page_about_performance() -> None:
    rows = [row for row in ROW.findall(prose_of(README)) if len(re.findall(r"\d", row)) > 6]
    assert len(rows) == 4
    page = text_of(PERFORMANCE)
    assert "\n".join(rows) in page
    row = r"^\| {}, asyncio \| ([\d,.]+)"
    pairs = re.search(row.format("ping-pong, 100 pairs"), page, re.MULTILINE)
    pipelined = re.search(row.format("pipelined, 10 pairs"), page, re.MULTILINE)
    assert pairs
    assert f"{round(int(pairs[1].replace(',', '')), -4):,}" in prose_of(README)
    assert pipelined
    assert f"{pipelined[1]} million" in prose_of(README)


@both
def test_links_to_files_lead_to_a_page_and_its_heading(path: Path) -> None:
    for link in LINK.findall(text_of(path)):
        if link.startswith("https:"):
            continue
        target, _, anchor = link.partition("#")
        assert (ROOT / target).is_file(), target
        assert not anchor or anchor in anchors(ROOT / target), link


@both
def test_links_to_the_world_are_few_and_known(path: Path) -> None:
    pyproject = tomllib.loads(text_of(ROOT / "pyproject.toml"))
    known = {ARTICLE, *pyproject["project"].get("urls", {}).values()}
    links = {link for link in LINK.findall(text_of(path)) if link.startswith("https:")}
    assert ARTICLE in links
    assert links <= known
