"""Draw the table of speeds beside other servers, in `performance.md`, as `plots/servers.svg`."""

import re
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

DOCS: Final = Path(__file__).parent
PAGE: Final = DOCS / "performance.md"
SVG: Final = DOCS / "plots" / "servers.svg"
"""The drawing in the repository."""

HEADING: Final = "## Beside other servers\n"

WIDTH: Final = 440
LEFT, RIGHT = 118, 350
"""Where a bar begins, and where one ends whose speed is 1."""
BAR, ROW, GROUP = 12, 18, 30
"""The heights of a bar, of its row, and of the heading of a group."""

STYLE: Final = """\
.chat-bars{--ink:#1f2328;--ours:#0b5cad;--others:#8c959f;--grid:#8c959f;
font:12px system-ui,-apple-system,"Segoe UI",sans-serif;max-width:100%;height:auto}
@media(prefers-color-scheme:dark){.chat-bars{--ink:#e6edf3;--ours:#79b8ff;--others:#6e7681;
--grid:#848d97}}
[data-md-color-scheme=default] .chat-bars{--ink:#1f2328;--ours:#0b5cad;--others:#8c959f;
--grid:#8c959f}
[data-md-color-scheme=slate] .chat-bars{--ink:#e6edf3;--ours:#79b8ff;--others:#6e7681;
--grid:#848d97}
.chat-bars text{fill:var(--ink)}
.chat-bars .group{font-weight:600}
.chat-bars .name{text-anchor:end}
.chat-bars .limit{text-anchor:middle}
.chat-bars rect{fill:var(--others)}
.chat-bars .ours{fill:var(--ours)}
.chat-bars .range{fill-opacity:0.45}
.chat-bars path{stroke:var(--grid);stroke-dasharray:4 3}"""
"""The page's own choice of light or dark overrides the system's."""


def speeds() -> tuple[list[str], dict[str, list[str]]]:
    """Read the table.

    Returns:
        The names of the servers, and for each load the speed of each of them.
    """
    _, found, rest = PAGE.read_text(encoding="utf-8").partition(HEADING)
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in rest.partition("\n## ")[0].splitlines()
        if line.startswith("|")
    ]
    if not found or not rows:
        raise ValueError(f"no table after {HEADING!r} in {PAGE.name}")
    head, _rule, *loads = rows
    return head[1:], {load: values for load, *values in loads if not load.startswith("memory")}


def drawing() -> str:
    """The whole drawing."""
    names, loads = speeds()
    parts: list[str] = []
    y = 20
    for load, values in loads.items():
        y += GROUP
        parts.append(f'<text class="group" x="0" y="{y - 8}">{escape(load)}</text>')
        for name, value in zip(names, values, strict=True):
            ours = "ours" if name == names[0] else ""
            parts += bar(name, value, y, ours)
            y += ROW
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chat-bars" role="img" '
        f'viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">'
    )
    return "\n".join(
        [
            head,
            f"<title>Speeds of {', '.join(names)}</title>",
            f"<style>\n{STYLE}\n</style>",
            f'<path d="M{RIGHT} 24V{y}"/>',
            '<text x="0" y="16">messages a second</text>',
            f'<text class="limit" x="{RIGHT}" y="16">minimal server in C = 1</text>',
            *parts,
            "</svg>\n",
        ]
    )


def bar(name: str, value: str, y: int, kind: str) -> list[str]:
    """A bar with its name and value.

    Args:
        name: The server.
        value: Its speed, or a range.
        y: The top of the row.
        kind: The class of the bar.
    """
    ends = [LEFT + round(float(each) * (RIGHT - LEFT)) for each in re.findall(r"[\d.]+", value)]
    top, base = y + (ROW - BAR) // 2, y + 13
    low, high = ends[0], ends[-1]
    parts = [
        f'<text class="name" x="{LEFT - 8}" y="{base}">{escape(name)}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{low - LEFT}" height="{BAR}"/>',
    ]
    if high > low:
        parts.append(
            f'<rect class="{kind} range" x="{low}" y="{top}" width="{high - low}" height="{BAR}"/>'
        )
    parts.append(f'<text x="{RIGHT + 8}" y="{base}">{escape(value)}</text>')
    return parts


if __name__ == "__main__":
    SVG.write_text(drawing(), encoding="utf-8")
