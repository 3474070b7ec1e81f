"""The conformance table of protocol.md as transcripts, and what plays them: without I/O.

`load` gives the rows and the transcripts, which are data in this package. A `Check` says which
transcript comes next, and judges each row. A `Play` plays one transcript: it says what to connect
and to write, takes what was received, and decides. Time is an argument. `chatproto_sync.check` adds
the sockets.

It imports nothing of this project, so that it can check all of it.
"""

from .check import Check, Result, RowResult, Status
from .play import Action, Close, Connect, EndWriting, Pause, Play, Reset, Verdict, Write
from .report import FORMATS, heading, json_report, junit_report, row_text, summary
from .transcript import MARK, Kind, Row, Side, Step, Suite, Transcript, load, parse_transcript

__all__ = [
    "FORMATS",
    "MARK",
    "Action",
    "Check",
    "Close",
    "Connect",
    "EndWriting",
    "Kind",
    "Pause",
    "Play",
    "Reset",
    "Result",
    "Row",
    "RowResult",
    "Side",
    "Status",
    "Step",
    "Suite",
    "Transcript",
    "Verdict",
    "Write",
    "heading",
    "json_report",
    "junit_report",
    "load",
    "parse_transcript",
    "row_text",
    "summary",
]
