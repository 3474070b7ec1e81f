"""The rows of figures, as a table in Markdown and as JSON."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure, measured several times.

    Args:
        part: The module that has measured it.
        name: What it is a figure of.
        unit: Its unit, such as "messages/s".
        values: The results.
        reference: The results to compare with, measured in turns with `values`; None for none.
        floor: The lower bound for `ratio`; None for none.
        ceiling: The upper bound for `median`, in `unit`; None for none.
        note: What `reference` is, and what else a reader has to know.
    """

    part: str
    name: str
    unit: str
    values: Sequence[float]
    reference: Sequence[float] | None = None
    floor: float | None = None
    ceiling: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        """The median of `values`."""
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest of `values`."""
        return min(self.values), max(self.values)

    @property
    def ratio(self) -> float | None:
        """The median divided by that of the reference; None without a reference."""
        return self.median / median(self.reference) if self.reference else None

    @property
    def verdict(self) -> str:
        """`ok`, `BELOW` the floor, or `ABOVE` the ceiling; empty without these."""
        if self.ceiling is not None and self.median > self.ceiling:
            return "ABOVE"
        if self.floor is None:
            return "" if self.ceiling is None else "ok"
        return "ok" if self.ratio is not None and self.ratio >= self.floor else "BELOW"


_HEADS: Final = (
    "part",
    "what",
    "unit",
    "median",
    "min to max",
    "reference",
    "ratio",
    "target",
    "",
    "note",
)
_NUMBERS: Final = range(3, 8)
_NOTES: Final = len(_HEADS) - 1


def _shown(figure: float | None) -> str:
    """A figure with three significant digits, or all digits before the point."""
    if figure is None:
        return ""
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:#.3g}"


def _target(row: Row) -> str:
    if row.ceiling is not None:
        return f"≤ {row.ceiling:g}"
    return "" if row.floor is None else f"≥ {row.floor:g} times"


def _cells(row: Row) -> tuple[str, ...]:
    least, most = row.spread
    return (
        row.part,
        row.name,
        row.unit,
        _shown(row.median),
        f"{_shown(least)} to {_shown(most)}",
        _shown(median(row.reference) if row.reference else None),
        "" if row.ratio is None else f"{row.ratio:.2f}",
        _target(row),
        row.verdict,
        row.note,
    )


def show(rows: Iterable[Row]) -> str:
    """The rows as a table in Markdown with aligned columns."""
    table = [_HEADS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    # One long note does not make all lines long.
    widths[_NOTES] = len(_HEADS[_NOTES])
    rule = [
        "-" * (width - 1) + ":" if at in _NUMBERS else "-" * width
        for at, width in enumerate(widths)
    ]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if at in _NUMBERS else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(aligned)} |"

    return "\n".join([line(table[0]), line(rule), *map(line, table[1:])])


def machine() -> dict[str, str | int | None]:
    """The machine that the figures are from."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def as_json(rows: Iterable[Row]) -> str:
    """The rows with what is derived from them, and the machine."""
    listed = [
        {
            "part": row.part,
            "name": row.name,
            "unit": row.unit,
            "values": list(row.values),
            "reference": None if row.reference is None else list(row.reference),
            "floor": row.floor,
            "ceiling": row.ceiling,
            "note": row.note,
            "median": row.median,
            "spread": list(row.spread),
            "ratio": row.ratio,
            "verdict": row.verdict,
        }
        for row in rows
    ]
    return json.dumps({"machine": machine(), "rows": listed}, indent=2, ensure_ascii=False) + "\n"
