"""The signals of a command that runs a server, and what they do."""

import contextlib
import signal
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

from .systemd import Notifier

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """The signals that have arrived and are not handled yet.

    Python interrupts whatever runs to call the handler of a signal, even a write to the log. So the
    handler only notes the signal, and the loop that serves handles it.
    """

    def __init__(self) -> None:
        self._arrived: deque[int] = deque()

    def note(self, number: int, _frame: FrameType | None = None) -> None:
        """Note a signal; the handler."""
        self._arrived.append(number)

    def take(self) -> Iterator[int]:
        """The numbers of the signals that have arrived, each once."""
        while self._arrived:
            yield self._arrived.popleft()


@contextlib.contextmanager
def noting_signals() -> Iterator[Signals]:
    """Note SIGINT, SIGTERM and SIGHUP for the rest of the process.

    After the context, they are ignored. The process has only its exit left then, and a signal must
    not turn that into a failure.
    """
    signals = Signals()
    for number in _NUMBERS:
        signal.signal(number, signals.note)
    try:
        yield signals
    finally:
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_IGN)


def attend(
    signals: Signals,
    notifier: Notifier,
    stop: Callable[[], None],
    reload: Callable[[], str],
    *,
    draining: bool,
) -> None:
    """Handle the signals that have arrived, and tell systemd that the loop runs.

    The loop that serves calls this several times a second.

    Args:
        signals: The signals.
        notifier: What tells systemd.
        stop: Called at SIGINT and SIGTERM.
        reload: Called at SIGHUP.
        draining: Whether the server shuts down, because of a signal or for another reason.
    """
    if draining:
        notifier.stopping()
    for number in signals.take():
        if number != signal.SIGHUP:
            notifier.stopping()
            stop()
        else:
            reload_once(notifier, reload)
    notifier.alive()


def reload_once(notifier: Notifier, reload: Callable[[], str]) -> str:
    """Read the configuration again, and tell systemd, unless the server shuts down.

    Returns:
        What is wrong, in words for people; empty for nothing.
    """
    if notifier.is_stopping:
        return "the server shuts down"
    notifier.reloading()
    wrong = reload()
    notifier.ready()
    return wrong
