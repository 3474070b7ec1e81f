"""Kills a server at random moments while it is busy with groups, and looks into its state file.

    .venv/bin/python -m fuzz.kills [--kills N] [--seed N] [--kind sync|asyncio|trio] [--file PATH]

Each kill is a SIGKILL, sometimes while the server starts, sometimes while it shuts down. Then the
file has to be whole; each group in it has to be as it was at some moment of the last second, or as
it was left before; and the next server has to start with it. The exit status is 1 otherwise.
"""

import argparse
import contextlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from math import inf
from pathlib import Path
from random import Random
from typing import Final, Self, TypeAlias

from chatproto_sync.state.errors import StateError
from chatproto_sync.state.file import StateFile

COMMANDS: Final = {
    "sync": ("chatproto_sync",),
    "asyncio": ("chatproto", "serve"),
    "trio": ("chatproto", "serve", "--backend", "trio"),
}
"""The kinds of servers, with the arguments of `python -m`."""

WINDOW: Final = 1.0
"""Seconds of changes that a kill may lose."""
LONGEST: Final = 3.0
"""Seconds after which a server is killed at the latest."""
USERS: Final = 4
"""Clients that change groups, each its own."""
GROUPS: Final = 150
"""Groups of each client."""
MEMBERS: Final = 60
"""Members of a group to which no one is added."""
NUMBERS: Final = count()
"""Makes names."""
BURST: Final = 40
"""Most changes that a client sends before it waits for the server."""
TIMEOUT: Final = 30.0
"""Seconds after which a server hangs."""

Members: TypeAlias = frozenset[str] | None
"""The members of a group; None if there is no such group."""


class Finding(Exception):  # noqa: N818 - it is no error of the program
    """Something is not as it has to be."""


@dataclass(slots=True)
class History:
    """What a group has been since the server started."""

    states: list[Members] = field(default_factory=lambda: [None])
    """First as it was at the start, then after each change that was sent."""
    handled: list[float] = field(default_factory=lambda: [-inf])
    """When it was known that the server has executed the change; infinity for not at all."""

    def judge(self, found: Members, killed: float, window: float) -> float:
        """Judge what the file has of the group.

        Args:
            found: The members in the file.
            killed: When the server was killed.
            window: Seconds of changes that may be lost.

        Returns:
            How old the oldest change was, in seconds, that is lost; 0 if none is.

        Raises:
            Finding: Older ones are lost, or the group was never so.
        """
        if found == self.states[-1]:
            return 0.0
        for number in reversed(range(len(self.states) - 1)):
            if self.states[number] == found:
                lost = killed - self.handled[number + 1]
                if lost > window:
                    raise Finding(f"a change is lost that was {lost:.2f} s old")
                return max(lost, 0.0)
        raise Finding(f"{found} in the file; it was one of {self.states}")


@dataclass(slots=True)
class Report:
    """What the kills have come to."""

    kills: int = 0
    """Servers that were killed."""
    early: int = 0
    """Those that did not listen yet."""
    late: int = 0
    """Those that shut down already."""
    changes: int = 0
    """Changes that servers have executed."""
    lost: list[float] = field(default_factory=list)
    """For each kill that has lost something, the age of the oldest change that was lost."""
    groups: int = 0
    """Groups in the file at the end."""


class User(threading.Thread):
    """A client that makes groups, joins and leaves them, until the connection breaks.

    Args:
        name: Its name.
        histories: Its groups.
        random: Decides.
    """

    def __init__(self, name: str, histories: Mapping[str, History], random: Random) -> None:
        super().__init__(name=name)
        self._histories = histories
        self._groups = list(histories)
        self._random = random
        self.address: tuple[str, int] = "", 0
        """Where the server listens."""
        self.changes = 0
        """Changes that the server has executed."""
        self.error = ""
        """What the server has not done; empty for nothing."""

    def run(self) -> None:
        """See `threading.Thread`."""
        with contextlib.suppress(OSError), socket.create_connection(self.address, TIMEOUT) as sock:
            reader = sock.makefile("rb")
            sock.sendall(f"CHAT/1.0 LOGIN {self.name}\n".encode())
            number = 0
            while not self.error:
                number += 1
                changed = [self._change() for _ in range(self._random.randint(1, BURST))]
                lines = [line for line, _ in changed]
                echo = f"CHAT/1.0 RECEIVE {self.name} {number}\n".encode()
                lines.append(f"CHAT/1.0 SEND {self.name} {number}\n")
                sock.sendall("".join(lines).encode())
                while (line := reader.readline()) != echo:
                    if b" ERR SHUTTING_DOWN " in line or not line.endswith(b"\n"):
                        return
                    if not line.startswith(b"CHAT/1.0 RECEIVE *groups* added "):
                        self.error = f"{self.name} got {line!r}"
                        return
                now = time.monotonic()
                for _, history in changed:
                    history.handled[history.handled.index(inf)] = now
                self.changes += len(changed)

    def _change(self) -> tuple[str, History]:
        """Decide on a change. Returns the lines and the group's history, which has it already."""
        random = self._random
        group = random.choice(self._groups)
        history = self._histories[group]
        members = history.states[-1]
        after: Members
        if members is None:
            friends = [self._friend() for _ in range(random.choice((1, 1, 3, 30)))]
            after = frozenset((self.name, *friends))
            lines = f"CHAT/1.0 GROUP {group} {self.name} {' '.join(friends)}\n"
        elif len(members) < MEMBERS and random.random() < 0.4:
            friend = self._friend()
            after = members | {friend}
            lines = f"CHAT/1.0 SEND *groups* add {group} {friend}\n"
        else:
            # A member has to log in to leave.
            leaver = random.choice(sorted(members))
            after = members - {leaver} or None
            lines = f"CHAT/1.0 LOGIN {leaver}\nCHAT/1.0 LEAVE {group}\nCHAT/1.0 LOGIN {self.name}\n"
        history.states.append(after)
        history.handled.append(inf)
        return lines, history

    def _friend(self) -> str:
        """A name that nobody has had, so that a group is hardly ever twice the same."""
        return f"{self.name}f{next(NUMBERS)}"


class Server:
    """A server as a process. The end of the context kills it."""

    def __init__(self, kind: str, path: Path) -> None:
        command = [sys.executable, "-m", *COMMANDS[kind], "--port", "0", "--state", str(path)]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `__exit__`
        self.popen = subprocess.Popen(  # noqa: S603
            [*command, "--log-level", "warning"], stdout=subprocess.PIPE, stderr=self._log
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.kill()
        self.popen.wait()
        if self.popen.stdout is not None:
            self.popen.stdout.close()
        self._log.close()

    def listening(self) -> tuple[str, int] | None:
        """Wait until it listens. Returns where; None if it was killed before that."""
        if self.popen.stdout is None:
            raise AssertionError("there is a pipe")
        words = self.popen.stdout.readline().decode().split()
        if not words:
            return None
        host, _, port = words[2].removesuffix(".").rpartition(":")
        return host, int(port)

    def log(self) -> str:
        """What it has logged."""
        self._log.seek(0)
        return self._log.read().decode()


def run(kills: int, seed: int, kind: str, path: Path, window: float = WINDOW) -> Report:
    """Kill servers, and judge the file after each.

    Args:
        kills: How many.
        seed: Decides what happens, but not when exactly.
        kind: One of `COMMANDS`.
        path: The path of the file, which does not exist yet.
        window: Seconds of changes that each kill may lose.

    Raises:
        Finding: Something is not as it has to be.
    """
    random = Random(seed)
    report = Report()
    histories: dict[str, History] = {}
    for user in range(USERS):
        histories |= {f"user{user}-{number}": History() for number in range(GROUPS)}
    for _ in range(kills):
        killed = _kill_one(kind, path, histories, random, report)
        found = read(path)
        if strangers := found.keys() - histories.keys():
            raise Finding(f"groups in the file that nobody has made: {strangers}")
        ages = [
            history.judge(found.get(group), killed, window) for group, history in histories.items()
        ]
        if max(ages) > 0.0:
            report.lost.append(max(ages))
        for group in histories:
            histories[group] = History([found.get(group)])
        report.groups = len(found)
    return report


def _kill_one(
    kind: str,
    path: Path,
    histories: dict[str, History],
    random: Random,
    report: Report,
) -> float:
    """Run a server, and kill it. Returns when that was."""
    users = [
        User(
            f"user{number}",
            {
                group: each
                for group, each in histories.items()
                if group.startswith(f"user{number}-")
            },
            Random(random.random()),
        )
        for number in range(USERS)
    ]
    shuts_down = random.random() < 0.2
    with Server(kind, path) as server:
        killer = _Killer(server.popen, random.uniform(0.0, LONGEST), shuts_down, random.random())
        killer.start()
        address = server.listening()
        if address is not None:
            for user in users:
                user.address = address
                user.start()
            for user in users:
                user.join()
        killer.join()
        status = server.popen.wait(TIMEOUT)
        if log := server.log():
            raise Finding(f"the server has logged: {log}")
        # Before it listens, it may not handle SIGTERM yet.
        orderly = 0 if address is not None else -signal.SIGTERM
        if status != -signal.SIGKILL and not (shuts_down and status in (0, orderly)):
            raise Finding(f"the server has ended with {status}")
    for user in users:
        if user.error:
            raise Finding(user.error)
    report.kills += 1
    report.early += address is None
    report.late += shuts_down
    report.changes += sum(user.changes for user in users)
    return killer.killed


class _Killer(threading.Thread):
    """Kills a process after some time, and maybe tells it to shut down just before."""

    def __init__(
        self, popen: subprocess.Popen[bytes], after: float, shuts_down: bool, warning: float
    ) -> None:
        super().__init__()
        self._popen = popen
        self._after = after
        self._warning = 0.2 * warning if shuts_down else None
        self.killed = inf
        """When it was killed."""

    def run(self) -> None:
        time.sleep(self._after)
        if self._warning is not None:
            self._popen.terminate()
            time.sleep(self._warning)
        self.killed = time.monotonic()
        self._popen.kill()


def read(path: Path) -> dict[str, Members]:
    """The groups in a file, which has to be whole; none if there is no file.

    It reads a copy. To open the file itself would repair what the next server has to.

    Raises:
        Finding: It is not whole.
    """
    if not path.exists():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for each in (path, path.with_name(f"{path.name}-wal")):
            if each.exists():
                shutil.copy(each, folder)
        return _read(Path(folder, path.name))


def _read(path: Path) -> dict[str, Members]:
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            answers: Iterable[tuple[str]] = connection.execute("PRAGMA integrity_check")
            if [answer for (answer,) in answers] != ["ok"]:
                raise Finding(f"the file is not whole: {answers}")
        with contextlib.closing(StateFile(path)) as file:
            return {each.group: frozenset(each.members) for each in file.read()}
    except (sqlite3.Error, StateError) as error:
        raise Finding(f"the file can't be read: {error}") from error


def main() -> int:
    """Run the command. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Kill servers, and look into their state files.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kind", choices=COMMANDS, default="sync")
    parser.add_argument("--file", type=Path, help="a file that does not exist yet")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder, "groups")
        try:
            report = run(arguments.kills, arguments.seed, arguments.kind, path)
        except Finding as finding:
            print(f"FOUND: {finding}")
            return 1
        size = path.stat().st_size
    oldest = max(report.lost, default=0.0)
    print(
        f"{report.kills} kills, {report.early} before the server listened,"
        f" {report.late} while it shut down\n"
        f"{report.changes} changes, {report.groups} groups at the end, {size} bytes\n"
        f"{len(report.lost)} kills have lost changes, the oldest of which was {oldest:.2f} s old"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
