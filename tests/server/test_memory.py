"""chatproto.server.buffers: the process keeps no more than half as much again as it counts."""

import subprocess
import sys
from pathlib import Path

import pytest

import chatproto

ROOT = Path(chatproto.__file__).parents[1]

# A process of its own, because what others have freed before would hide what is taken.
PROGRAM = """
import sys
from pathlib import Path
from chatproto import ChatBroker, Limits

MIB = 1 << 20
PEERS = 1000


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


broker = ChatBroker(limits=Limits(total_queue_bytes=24 * MIB), ask=sys.argv[1] == "waiting")
broker.tick(0.0)
for cid in range(PEERS):
    broker.connect(cid, "somewhere")
if sys.argv[1] == "queues":
    for cid in range(PEERS):
        broker.receive(cid, b"CHAT/1.0 LOGIN u%d\\n" % cid)
    broker.take_log_events()
    before = resident()
    time = 0.0
    # Nobody reads: the shortest lines there are, to everybody in turns.
    lines = [b"CHAT/1.0 SEND u%d x\\n" % cid for cid in range(1, PEERS)]
    while broker.snapshot().queued < 20 * MIB:
        time += 0.001
        broker.tick(time)
        for at in range(0, len(lines), 250):
            broker.receive(0, b"".join(lines[at : at + 250]))
else:
    before = resident()
    for cid in range(PEERS):
        broker.receive(cid, b"CHAT/1.0 LOGIN u%d\\n" % cid + b"\\n" * 20_000)
print(resident() - before, broker.snapshot().queued)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc/self/statm")
@pytest.mark.parametrize("kind", ["queues", "waiting"])
def test_what_is_kept_takes_hardly_more_than_is_counted(kind: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    taken, counted = map(int, run.stdout.split())
    assert counted > 16 << 20
    assert taken < 1.5 * counted
