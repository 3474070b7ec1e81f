"""chatproto.server.log_events: what the log says."""

import pytest

from chatproto import EventKind, LogEvent, visible

PEER = "127.0.0.1:5000"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (LogEvent(EventKind.ACCEPTED, PEER, None), f"accepted from {PEER}"),
        (LogEvent(EventKind.LOGGED_IN, PEER, "lisi"), f"logged in lisi ({PEER})"),
        (LogEvent(EventKind.GROUP_MADE, PEER, "lisi", "g1"), f"group made g1 by lisi ({PEER})"),
        (LogEvent(EventKind.LEFT, PEER, "lisi", "g1"), f"left g1: lisi ({PEER})"),
        (LogEvent(EventKind.LOGGED_OUT, PEER, "lisi"), f"logged out lisi ({PEER})"),
        (LogEvent(EventKind.LOGGED_OUT, PEER, None), f"logged out {PEER}"),
        (
            LogEvent(EventKind.CLOSED, PEER, "lisi", "logged out"),
            f"closed lisi ({PEER}): logged out",
        ),
        (LogEvent(EventKind.CLOSED, PEER, None, "end of stream"), f"closed {PEER}: end of stream"),
    ],
)
def test_the_words_of_a_log_event(event: LogEvent, words: str) -> None:
    assert str(event) == words


@pytest.mark.parametrize("kind", EventKind)
def test_a_log_event_is_one_line_that_no_peer_can_spoil(kind: EventKind) -> None:
    nasty = "\x1b[2J\n\r\x85\u2028\u202e"
    words = str(LogEvent(kind, nasty, nasty, nasty))
    assert words.isprintable()
    assert words.splitlines() == [words]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("zhangsan", "zhangsan"),
        ("张三", "张三"),
        ("a\x1b[31m", "a\\x1b[31m"),
        ("a\nb", "a\\nb"),
        ("\u202e", "\\u202e"),
        ("\\", "\\\\"),
        ("it's", "it's"),
        ('"', '"'),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown
