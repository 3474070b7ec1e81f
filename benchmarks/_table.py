"""What is measured, row by row: the table that is printed, and the same as JSON."""

import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure, taken a few times.

    Args:
        part: The module that has taken it.
        name: What it is of.
        unit: Its unit, such as "messages/s".
        values: What came out, each time.
        reference: What it is compared with, taken in turns with `values`; None for nothing.
        floor: The least that `ratio` has to be; None for any.
        ceiling: The most that `median` may be, in `unit`; None for any.
        note: What `reference` is, and whatever else one has to know to read the figure.
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
        """The least and the greatest of `values`."""
        return min(self.values), max(self.values)

    @property
    def ratio(self) -> float | None:
        """The median as a multiple of the reference's; None when there is none."""
        return self.median / median(self.reference) if self.reference else None

    @property
    def verdict(self) -> str:
        """`ok`, `BELOW` the floor, `ABOVE` the ceiling, or nothing when there is neither."""
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
    """A figure with three significant digits, or with all that stand before the point."""
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
    """The rows as a table in Markdown, its columns aligned."""
    table = [_HEADS, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    # A long one does not make all lines long.
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
    """What the figures are from."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def as_json(rows: Iterable[Row]) -> str:
    """The rows, with what is derived from them, and the machine."""
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
