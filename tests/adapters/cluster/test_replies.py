"""`replies`: what Redis answers, in words."""

import pytest

from chatproto_sync.cluster.replies import moved_to, words_of_reply


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("NOAUTH HELLO must be called with the client already authenticated", "it wants a pass"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "it has no memory left"),
        ("READONLY You can't write against a read only replica.", "it is a replica"),
        ("LOADING Redis is loading the dataset in memory", "it is still loading"),
        ("NOPERM this user has no permissions", "the user may not use a command or a key that the"),
        ("ERR unknown command 'HELLO', with args", "it lacks a command, and has to be version 6.2"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "the chat is on its way to an"),
        ("ASK 3999 127.0.0.1:6381", "the chat is on its way to another server of its own cluster"),
        ("ERR \x1b[1m", "it answers: ERR \\x1b[1m"),
    ],
)
def test_words(error: str, words: str) -> None:
    assert words_of_reply(error).startswith(words)


@pytest.mark.parametrize(
    ("error", "server"),
    [
        ("MOVED 3999 127.0.0.1:6381", ("127.0.0.1", 6381)),
        ("MOVED 3999 ::1:6381", ("::1", 6381)),
        ("MOVED 3999 :6381", ("", 6381)),
        ("ASK 3999 127.0.0.1:6381", None),
        ("MOVED 3999 127.0.0.1", None),
        ("MOVED", None),
        ("OOM", None),
        ("", None),
    ],
)
def test_where_a_key_has_moved_to(error: str, server: tuple[str, int] | None) -> None:
    assert moved_to(error) == server
