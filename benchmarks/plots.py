"""Draws the curves of `growth.py`, and writes the table of the other parts into the documentation.

    .venv/bin/python benchmarks/run.py --json figures.json
    .venv/bin/python benchmarks/plots.py figures.json

Each curve becomes an SVG in `docs/plots`. The table in `docs/performance.md` is replaced. The same
figures make the same files. Whatever the JSON lacks stays as it is.
"""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import matplotlib as mpl
from _table import Row
from growth import CURVES, Curve
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

DOCS: Final = Path(__file__).parent.parent / "docs"
PAGE: Final = DOCS / "performance.md"
BEGIN: Final = "<!-- the table: benchmarks/plots.py writes it -->\n"
END: Final = "<!-- end of the table -->\n"

COLOURS: Final = {
    "#000000": "var(--ink)",
    "#37474f": "var(--curve)",
    "#90a4ae": "var(--spread)",
    "#cfd8dc": "var(--grid)",
    "#ffffff": "none",
}
"""The colours of a drawing, and what they are on a page. The first is Matplotlib's for text."""

STYLE: Final = """\
.chat-plot{--ink:#1f2328;--curve:#0b5cad;--spread:#6ea8dc;--grid:#d0d7de;
font:9px system-ui,-apple-system,"Segoe UI",sans-serif;max-width:100%;height:auto}
@media(prefers-color-scheme:dark){.chat-plot{--ink:#e6edf3;--curve:#79b8ff;--spread:#4a7fb5;
--grid:#3d444d}}
[data-md-color-scheme=default] .chat-plot{--ink:#1f2328;--curve:#0b5cad;--spread:#6ea8dc;
--grid:#d0d7de}
[data-md-color-scheme=slate] .chat-plot{--ink:#e6edf3;--curve:#79b8ff;--spread:#4a7fb5;
--grid:#3d444d}
.chat-plot *{stroke-linejoin:round;stroke-linecap:butt}
.chat-plot text{fill:var(--ink)}"""
"""The page's own choice of light or dark overrides the system's."""


def read(path: Path) -> tuple[str, list[Row]]:
    """The machine, and the figures."""
    content = json.loads(path.read_text(encoding="utf-8"))
    keys = [field.name for field in fields(Row)]
    rows = [Row(**{key: row[key] for key in keys}) for row in content["rows"]]
    machine = content["machine"]
    return f"{machine['cores']} cores, {machine['system']}, {machine['python']}", rows


def number(value: float, _: object = None) -> str:
    """A number for people."""
    if value >= 1e6:
        return f"{value / 1e6:.3g} M"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw(curve: Curve, rows: Sequence[Row]) -> Path | None:
    """Draw a curve.

    Returns:
        The path of the drawing; None if the curve has no points.
    """
    points = {each.name: each for each in rows if each.part == "growth"}
    sizes = [size for size in curve.sizes if curve.point(size) in points]
    if not sizes:
        return None
    found = [points[curve.point(size)] for size in sizes]
    # So that the file depends on the figures only, and is small.
    with mpl.rc_context({"svg.hashsalt": "chatproto", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(4.8, 2.9), layout="constrained")
        axes = figure.add_subplot()
        axes.fill_between(
            sizes,
            [each.spread[0] for each in found],
            [each.spread[1] for each in found],
            color="#90a4ae",
            alpha=0.4,
            linewidth=0,
        )
        axes.plot(sizes, [each.median for each in found], color="#37474f", marker="o", markersize=4)
        axes.set_xscale("log")
        if curve.proportional:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0, top=1.15 * max(each.spread[1] for each in found))
        axes.xaxis.set_major_formatter(FuncFormatter(number))
        axes.yaxis.set_major_formatter(FuncFormatter(number))
        axes.grid(color="#cfd8dc", linewidth=0.5)
        axes.set_title(curve.name, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_xlabel(curve.what)
        axes.set_ylabel(curve.unit)
        path = DOCS / "plots" / f"{curve.file}.svg"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, format="svg", metadata={"Date": None})
    title = f"{curve.name}: {curve.unit} by {curve.what}"
    path.write_text(themed(path.read_text(encoding="utf-8"), title), encoding="utf-8")
    return path


def themed(svg: str, title: str) -> str:
    """Turn a drawing of Matplotlib into one for pages, light or dark, that contain it.

    Args:
        svg: What Matplotlib has written.
        title: What it shows, for readers who do not see it.
    """
    _, _, body = svg.partition("</defs>")
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        raise ValueError("a drawing without a size")
    # Several drawings share a page. The ids that are left say what they stand for.
    body = re.sub(r' id="(?![mp][0-9a-f]{10}")[^"]*"', "", body)
    body = re.sub(r" font-family: [^;]*;", "", body)
    for colour, variable in COLOURS.items():
        body = body.replace(colour, variable)
    # Points of Matplotlib, of which an inch has 72, in those of pages, which have 96.
    width, height = (round(float(each) * 96 / 72) for each in box.groups())
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'class="chat-plot" role="img" viewBox="0 0 {box[1]} {box[2]}" '
        f'width="{width}" height="{height}">'
    )
    text = f"{head}\n<title>{escape(title)}</title>\n<style>\n{STYLE}\n</style>{body}"
    # Matplotlib leaves spaces at the ends of lines.
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


ELSEWHERE: Final = ("growth", "stages", "latency", "cores")
"""Parts that have curves, or a text of their own on the page."""


def table(origin: str, rows: Sequence[Row]) -> str:
    """The table of all other parts, as Markdown."""
    lines = [
        f"{origin}. Medians, with the smallest and the largest in brackets.",
        "",
        "| what | figure | ratio | of what | target |",
        "| --- | --: | --: | --- | --- |",
    ]
    for each in rows:
        if each.part in ELSEWHERE:
            continue
        least, most = map(number, each.spread)
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
        target = ""
        if each.floor is not None:
            target = f"ratio at least {each.floor:g}"
        elif each.ceiling is not None:
            target = f"at most {each.ceiling:g}"
        if each.verdict in ("BELOW", "ABOVE"):
            target += ": missed"
        lines.append(
            f"| {each.name} | {number(each.median)} {each.unit} ({least} to {most})"
            f" | {ratio} | {each.note} | {target} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Draw the figures that the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("figures", type=Path, help="the file that run.py has written with --json")
    origin, rows = read(parser.parse_args().figures)
    for curve in CURVES:
        path = draw(curve, rows)
        if path is not None:
            print(path)
    if any(each.part not in ELSEWHERE for each in rows):
        before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        _, _, after = rest.partition(END)
        PAGE.write_text(f"{before}{BEGIN}\n{table(origin, rows)}\n{END}{after}", encoding="utf-8")
        print(PAGE)


if __name__ == "__main__":
    main()
