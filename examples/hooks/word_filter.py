"""A word filter: puts stars in the place of words.

    cd examples/hooks
    chatproto serve --hooks word_filter:HOOKS

Messages that clients send to themselves pass: clients use them to see how far the server is.
"""

import re

from chatproto import Broadcast, Hooks, HookVerdict, Said, Send

WORDS = re.compile(rb"\b(?:darn|heck)\b", re.IGNORECASE)
"""What nobody may say. In bytes, `\\b` only knows ASCII letters."""


def filter_words(said: Said) -> HookVerdict | None:
    """Replace the words in messages to others."""
    match said.event:
        case Send(to, data) if to != said.name and WORDS.search(data):
            return Send(to, WORDS.sub(_stars, data))
        case Broadcast(group, data) if WORDS.search(data):
            return Broadcast(group, WORDS.sub(_stars, data))
    return None


def _stars(found: re.Match[bytes]) -> bytes:
    return b"*" * len(found[0])


HOOKS: Hooks = {Send: [filter_words], Broadcast: [filter_words]}
