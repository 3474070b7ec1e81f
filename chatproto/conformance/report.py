"""What a check found, as a table for people, as JSON, and as JUnit's XML."""

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from textwrap import wrap
from typing import Final

from .check import Check, RowResult, Status
from .transcript import Side

FORMATS: Final = ("table", "json", "junit")
"""The names of the forms."""

_INDENT: Final = " " * 11


def heading(check: Check, target: str) -> str:
    """The first line of the table.

    Args:
        check: The check, after its first play.
        target: The server or the client program, as the user has named it.
    """
    if check.suite.side is Side.CLIENT:
        return f"checking the client {target}"
    if check.gone:
        return f"checking {target}"
    return f"checking {target}, which sends {'notices' if check.notices else 'no notices'}"


def row_text(result: RowResult, width: int = 80) -> str:
    """A row of the table: label, status, what it is about, and below that the reason.

    Args:
        result: The row.
        width: The length of a line in characters.
    """
    text = result.row.text
    if result.follows:
        text += f": {result.follows}"
    lines = wrap(
        text,
        max(width, 40),
        initial_indent=f"  {result.row.label}  {result.status.value}  ",
        subsequent_indent=_INDENT,
    )
    for reason in result.reasons:
        lines += wrap(
            reason,
            max(width, 40),
            initial_indent=_INDENT,
            subsequent_indent=f"{_INDENT}  ",
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def summary(check: Check, seconds: float) -> str:
    """The last line of the table: how many rows of each label have passed.

    Args:
        check: The check, after its last play.
        seconds: How long it took.
    """
    parts = []
    for label in dict.fromkeys(each.row.label for each in check.rows):
        counts = Counter(each.status for each in check.rows if each.row.label == label)
        seen = counts[Status.PASSED] + counts[Status.FAILED]
        parts.append(f"{label} {counts[Status.PASSED]} of {seen}")
    skipped = sum(each.status is Status.SKIPPED for each in check.rows)
    rest = f", {skipped} skipped" if skipped else ""
    return f"passed: {', '.join(parts)}{rest}, in {seconds:.1f} seconds"


def json_report(check: Check, target: str, seconds: float) -> str:
    """Everything as one JSON object.

    Args:
        check: The check, after its last play.
        target: The server or the client program.
        seconds: How long it took.
    """
    report = {
        "target": target,
        "side": check.suite.side.value,
        "passed": check.passed,
        "notices": None if check.suite.side is Side.CLIENT else check.notices,
        "seconds": round(seconds, 3),
        "rows": [
            {
                "label": each.row.label,
                "row": each.row.text,
                "status": each.status.value.lower(),
                "reasons": list(each.reasons),
                "follows": each.follows,
                "transcripts": [
                    {
                        "name": result.transcript.name,
                        "case": result.transcript.case,
                        "server": result.transcript.server,
                        "status": result.status.value.lower(),
                        "reason": result.reason,
                        "step": result.step,
                    }
                    for result in each.results
                ],
            }
            for each in check.rows
        ],
    }
    return json.dumps(report, indent=1)


def junit_report(check: Check, target: str, seconds: float) -> str:
    """One test case a row, in the XML that JUnit has made common.

    Args:
        check: The check, after its last play.
        target: The server or the client program.
        seconds: How long it took.
    """
    rows: Sequence[RowResult] = check.rows
    counts = Counter(each.status for each in rows)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name="CHAT/1.0: {escape(target)}" time="{seconds:.3f}" tests="{len(rows)}"',
        f' failures="{counts[Status.FAILED]}" skipped="{counts[Status.SKIPPED]}" errors="0">',
    ]
    for each in rows:
        case = f'<testcase classname="{each.row.label}" name="{escape(each.row.text)}"'
        if each.status is Status.PASSED:
            lines.append(f" {case}/>")
            continue
        word = "failure" if each.status is Status.FAILED else "skipped"
        message = escape("; ".join(each.reasons))
        lines += [f" {case}>", f'  <{word} message="{message}"/>', " </testcase>"]
    return "\n".join([*lines, "</testsuite>"])
