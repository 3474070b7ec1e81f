"""chatproto.server.log_events: the line that each log event is."""

import pytest

from chatproto import EventKind, LogEvent

PEER = "127.0.0.1:5000"


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (LogEvent(EventKind.ACCEPTED, PEER, None), f"accepted from {PEER}"),
        (LogEvent(EventKind.LOGGED_IN, PEER, "lisi"), f"logged in lisi ({PEER})"),
        (
            LogEvent(EventKind.GROUP_MADE, PEER, "lisi", group="g1"),
            f"group made g1 by lisi ({PEER})",
        ),
        (
            LogEvent(EventKind.MEMBER_ADDED, PEER, "lisi", group="g1", member="ann"),
            f"member added ann to g1 by lisi ({PEER})",
        ),
        (LogEvent(EventKind.LEFT, PEER, "lisi", group="g1"), f"left g1: lisi ({PEER})"),
        (LogEvent(EventKind.LOGGED_OUT, PEER, "lisi"), f"logged out lisi ({PEER})"),
        (LogEvent(EventKind.LOGGED_OUT, PEER, None), f"logged out {PEER}"),
        (
            LogEvent(EventKind.CLOSED, PEER, "lisi", reason="logged out"),
            f"closed lisi ({PEER}): logged out",
        ),
        (
            LogEvent(EventKind.AUTHENTICATE_FAILED, PEER, "lisi", reason="LookupError: no table"),
            f"authenticate failed for lisi ({PEER}): LookupError: no table",
        ),
        (
            LogEvent(EventKind.BAD_PROXY_HEADER, PEER, None, reason="version 3 is not known"),
            f"bad PROXY header {PEER}: version 3 is not known",
        ),
        (LogEvent(EventKind.LEFT_OUT, "192.0.2.1", count=7), "left out 7 lines about 192.0.2.1"),
        (
            LogEvent(EventKind.CLOSED, PEER, None, reason="end of stream"),
            f"closed {PEER}: end of stream",
        ),
    ],
)
def test_the_line_of_a_log_event(event: LogEvent, line: str) -> None:
    assert str(event) == line


@pytest.mark.parametrize("kind", EventKind)
def test_text_from_peers_is_escaped(kind: EventKind) -> None:
    text = "\x1b[2J\n\r\x85\u2028\u202e"
    line = str(LogEvent(kind, text, text, reason=text, group=text, member=text))
    assert line.isprintable()
    assert line.splitlines() == [line]
