"""`signals`: what the signals of a command do, and in which order. Real ones are in
`test_commands.py`."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from chatproto_sync.service.signals import Signals, attend, noting_signals, reload_once
from chatproto_sync.service.systemd import Notifier

from ..sockets.conftest import FakeClock
from .test_systemd import Systemd

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def handlers() -> Iterator[None]:
    """Puts the handlers of signals back."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_signals_are_noted_and_then_ignored() -> None:
    with noting_signals() as signals:
        for number in NUMBERS:
            signal.raise_signal(number)
        assert list(signals.take()) == [*NUMBERS]
        assert list(signals.take()) == []
    for number in NUMBERS:
        signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    assert list(signals.take()) == []


@pytest.fixture
def told(tmp_path: Path) -> Iterator[tuple[Systemd, Notifier]]:
    path = str(tmp_path / "notify")
    manager = Systemd(path)
    environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}
    with manager.socket, contextlib.closing(Notifier(environment, FakeClock())) as notifier:
        yield manager, notifier


def test_what_signals_do(told: tuple[Systemd, Notifier]) -> None:
    manager, notifier = told
    done: list[str] = []
    signals = Signals()

    def stop() -> None:
        done.append("stop")

    def reload() -> str:
        done.extend([*(each.split("\n")[0] for each in manager.read()), "reload"])
        return ""

    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signals.note(number)
    attend(signals, notifier, stop, reload, draining=False)
    # What is loaded during the shutdown would serve nobody.
    assert done == ["RELOADING=1", "reload", "stop", "stop"]
    assert manager.read() == ["READY=1", "STOPPING=1", "WATCHDOG=1"]


def test_no_signals(told: tuple[Systemd, Notifier]) -> None:
    manager, notifier = told

    def fail() -> NoReturn:
        raise AssertionError

    attend(Signals(), notifier, fail, fail, draining=False)
    assert manager.read() == ["WATCHDOG=1"]
    # Somebody has asked for the shutdown in another way.
    attend(Signals(), notifier, fail, fail, draining=True)
    assert manager.read() == ["STOPPING=1"]
    assert reload_once(notifier, fail) == "the server shuts down"
