"""What hooks cost: microseconds of a message through the broker, alone and in a run of a hundred.

    .venv/bin/python benchmarks/hooks.py
    .venv/bin/python benchmarks/hooks.py --before /path/of/another/checkout

The second one also measures the broker of another checkout, in the same process and in turns, to
see whether a server without hooks is as fast there. The cases run in turns, and each figure is the
best of many.
"""

import argparse
import importlib
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from _timing import in_turns

RUN: Final = 100
"""Lines in one chunk."""
REPEAT: Final = 25
"""Results for each case; the best counts."""
LINE: Final = b"CHAT/1.0 SEND bob this is the text of one message.\n"
BAD: Final = re.compile(rb"\b(?:darn|heck)\b", re.IGNORECASE)


def passes(_: Any) -> None:
    """A hook that lets everything pass."""


def filters(said: Any) -> None:
    """A word filter that finds nothing."""
    assert not BAD.search(said.event.data)


def new_broker(chatproto: Any, **options: Any) -> Any:
    """A broker with alice and bob."""
    broker = chatproto.ChatBroker(**options)
    broker.tick(0.0)
    for cid, name in enumerate(("alice", "bob")):
        broker.connect(cid, "peer")
        broker.receive(cid, f"CHAT/1.0 LOGIN {name}\n".encode())
    broker.take_log_events()
    return broker


def chat(broker: Any, lines: int, chunk: int) -> None:
    """Send lines from alice to bob."""
    received = [(0, LINE * chunk)]
    for _ in range(lines // chunk):
        broker.receive_all(received)
        for cid, data in broker.take_outgoing():
            broker.sent_all([(cid, len(data))])
        if broker.busy:
            broker.tick(0.0)


def package_in(folder: str) -> Any:
    """The package `chatproto` of another checkout."""
    ours = {name: module for name, module in sys.modules.items() if _is_ours(name)}
    for name in ours:
        del sys.modules[name]
    sys.path.insert(0, folder)
    try:
        package = importlib.import_module("chatproto")
        # Its modules are loaded when they are first asked for.
        package.ChatBroker  # noqa: B018
    finally:
        sys.path.remove(folder)
    for name in [name for name in sys.modules if _is_ours(name)]:
        del sys.modules[name]
    sys.modules.update(ours)
    return package


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == "chatproto"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", metavar="FOLDER", help="another checkout to compare with")
    arguments = parser.parse_args()
    import chatproto

    group, send = chatproto.Group, chatproto.Send
    cases: dict[str, Any] = {
        "no hooks": new_broker(chatproto),
        "a hook on GROUP": new_broker(chatproto, hooks={group: [passes]}),
        "no hooks and no fast path": new_broker(chatproto, fast_path=False),
        "a hook on SEND that lets pass": new_broker(chatproto, hooks={send: [passes]}),
        "three of these": new_broker(chatproto, hooks={send: [passes] * 3}),
        "a word filter without a hit": new_broker(chatproto, hooks={send: [filters]}),
    }
    if arguments.before:
        before = package_in(arguments.before)
        assert before.__file__ != chatproto.__file__
        cases = {"no hooks, the other checkout": new_broker(before), **cases}
    works: list[Callable[[], None]] = []
    for broker in cases.values():
        works += [partial(chat, broker, RUN, 1), partial(chat, broker, RUN, RUN)]
    taken = iter(in_turns(REPEAT, *works))
    print(f"{'microseconds of a message':32} alone  in a run")
    for name, alone, together in zip(cases, taken, taken, strict=True):
        print(f"{name:32} {min(alone) / RUN * 1e6:5.2f} {min(together) / RUN * 1e6:9.3f}")


if __name__ == "__main__":
    main()
