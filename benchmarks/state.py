"""What it costs to keep groups in a file: time, memory, disk, and the time to start again.

    .venv/bin/python benchmarks/state.py [--kind sync|asyncio|trio]

A storm makes groups and leaves them, as fast as the server takes it, with a state file and without
one. Then servers start with 100,000 groups.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Final

from _server import COMMANDS, MIB, Server, misses, report, use_all_descriptors

from chatproto import GroupMade
from chatproto_sync.state.file import StateFile
from chatproto_sync.state.unwritten import Unwritten

GROUPS: Final = 100_000
MEMBERS: Final = 5
STORM: Final = 60_000
"""Groups that are made and left in one storm."""
BATCH: Final = 200
ROUNDS: Final = 5
"""Storms with a file, and as many without one, in turns."""


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Measure what a state file costs.")
    parser.add_argument("--kind", choices=COMMANDS, default="sync")
    kind = parser.parse_args().kind
    use_all_descriptors()
    with tempfile.TemporaryDirectory() as folder:
        storms(kind, Path(folder))
        starts(kind, Path(folder, "many"))
    raise SystemExit(len(misses))


def storms(kind: str, folder: Path) -> None:
    """Compare storms with a file and without."""
    for name, storm in (("GROUP and LEAVE", come_and_go), ("GROUP", come)):
        times: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for number in range(2 * ROUNDS):
            keeps = number % 2 == 1
            path = folder / f"{storm.__name__}{number}"
            options = [f"--state={path}"] if keeps else []
            options += ["--log-level=error", "--max-groups-per-connection=1000000"]
            with Server(kind, options) as server:
                before, start = server.cpu(), time.monotonic()
                storm(server)
                times[keeps].append((time.monotonic() - start, server.cpu() - before))
        seconds, cpu = ([min(each[i] for each in times[k]) for k in (False, True)] for i in (0, 1))
        print(f"  {name}, {STORM} groups of {MEMBERS}")
        report("seconds without a file, with one", f"{seconds[0]:.2f}, {seconds[1]:.2f}")
        report("CPU seconds without a file, with one", f"{cpu[0]:.2f}, {cpu[1]:.2f}")
        report("times as long with a file", f"{seconds[1] / seconds[0]:.2f}")


def come_and_go(server: Server) -> None:
    """Make groups and leave them at once."""
    _storm(server, "CHAT/1.0 GROUP g{0} alice\nCHAT/1.0 LEAVE g{0}\n")


def come(server: Server) -> None:
    """Make groups."""
    friends = " ".join(f"friend{number}" for number in range(MEMBERS - 1))
    _storm(server, f"CHAT/1.0 GROUP g{{0}} alice {friends}\n")


def _storm(server: Server, lines: str) -> None:
    with server.log_in("alice") as sock, sock.makefile("rb") as reader:
        for first in range(0, STORM, BATCH):
            storm = "".join(lines.format(number) for number in range(first, first + BATCH))
            sock.sendall(f"{storm}CHAT/1.0 SEND alice {first}\n".encode())
            answer = reader.readline()
            if not answer.startswith(b"CHAT/1.0 RECEIVE alice "):
                raise RuntimeError(f"the server has refused something: {answer!r}")


def starts(kind: str, path: Path) -> None:
    """Start servers with many groups."""
    unwritten = Unwritten()
    unwritten.note(
        GroupMade(f"group{group}", f"user{group}", tuple(_members(group)))
        for group in range(GROUPS)
    )
    file = StateFile(path)
    start = time.monotonic()
    file.write(unwritten)
    written = time.monotonic() - start
    file.close()
    print(f"  {GROUPS} groups of {MEMBERS}, of {GROUPS} users")
    report("seconds to write them at once", f"{written:.2f}")
    report("MB on the disk", f"{path.stat().st_size / 1e6:.1f}")
    with Server(kind) as server:
        startup, memory = server.startup, server.memory()
    with Server(kind, [f"--state={path}"]) as server:
        report("seconds longer to start", f"{server.startup - startup:.2f}")
        report("MiB of memory more", f"{(server.memory() - memory) / MIB:.0f}")


def _members(group: int) -> list[str]:
    return [f"user{(group * 7 + number * 1001) % GROUPS}" for number in range(MEMBERS)]


if __name__ == "__main__":
    main()
