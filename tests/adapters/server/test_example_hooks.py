"""The hooks in `examples/hooks`."""

import importlib
import sqlite3
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chatproto import Broadcast, Refusal, Reply, Said, Send
from chatproto.testing import MemoryServer

from ..servers import Start, clients

EXAMPLES = Path(__file__).parents[3] / "examples" / "hooks"

FLUSH = b"CHAT/1.0 RECEIVE *log* "


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports an example, as `--hooks` does in its folder."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module


def test_all_are_tested() -> None:
    assert {each.stem for each in EXAMPLES.glob("*.py")} == {
        "chat_log",
        "moderation",
        "rate_by_user",
        "word_filter",
    }


def test_word_filter(load: Any) -> None:
    server = MemoryServer(hooks=load("word_filter").HOOKS)
    with server.connect(name="alice") as alice, server.connect(name="bob") as bob:
        alice.group("tea", ["alice", "bob"])
        alice.send("bob", "Darn, what the heck")
        alice.send("bob", "darning is a craft")
        alice.broadcast("tea", "heck!")
        alice.send("alice", "darn")
        assert [bob.receive().text for _ in range(3)] == [
            "****, what the ****",
            "darning is a craft",
            "****!",
        ]
        assert alice.receive().text == "darn"


def test_rate_by_user(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    module = load("rate_by_user")
    now = [100.0]
    rate = module.Rate(2.0, 5, clock=lambda: now[0])

    def allowed(name: str | None, event: Send | Broadcast | None = None) -> int:
        """How many of ten messages pass."""
        event = event or Send("bob", b"hi")
        verdicts = [rate(Said(event, name, "peer")) for _ in range(10)]
        assert set(verdicts) <= {None, Refusal("TOO_FAST", "send at most one message in 0.5 s")}
        return verdicts.count(None)

    assert allowed("alice") == 5
    assert allowed("alice", Broadcast("tea", b"hi")) == 0
    assert allowed("alice", Send("alice", b"hi")) == allowed(None) == 10
    assert allowed("carol") == 5
    now[0] += 1.0
    assert allowed("alice") == 2
    now[0] += 100.0
    assert allowed("alice") == 5
    # Whoever has not sent for the longest time is forgotten.
    monkeypatch.setattr(module, "MAX_NAMES", 2)
    assert allowed("dave") == 5
    assert list(rate._full_at) == ["alice", "dave"]


def test_moderation(load: Any, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODERATORS", "alice")
    make_hooks = load("moderation").make_hooks
    with (
        start(port=0, hooks=make_hooks) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        bob.write(b"CHAT/1.0 SEND *mod* /kick alice\n")
        assert b"ERR NOT_MODERATOR SEND only moderators" in bob.read_line()
        alice.write(
            b"CHAT/1.0 SEND *mod* kick\nCHAT/1.0 SEND *mod* /kick bob %b\r, be nice\n" % (b"x" * 99)
        )
        assert b"*mod* /kick NAME [WHY] ends" in alice.read_line()
        assert alice.read_line() == b"CHAT/1.0 RECEIVE *mod* connections ended: 1\n"
        assert b"ERR REFUSED - %b\n" % (b"x" * 99) in bob.read_line()
        assert bob.read_line() == b""
        alice.flush("alice")


def test_chat_log(load: Any, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "chat.db"
    monkeypatch.setenv("CHAT_LOG", str(path))
    module: ModuleType = load("chat_log")
    logs: list[Any] = []

    class Noted(module.ChatLog):  # type: ignore[name-defined, misc]
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments)
            logs.append(self)

    monkeypatch.setattr(module, "ChatLog", Noted)
    with (
        start(port=0, hooks=module.make_hooks) as server,
        clients(server.addresses[0], "alice", "bob") as (alice, bob),
    ):
        alice.write(b"CHAT/1.0 GROUP tea alice\nCHAT/1.0 SEND *log* tea 20\n")
        assert alice.read_line() == FLUSH + b"nothing was said\n"
        # An answer has the newest messages that fit.
        monkeypatch.setattr(module, "MAX_ANSWER", 40)
        alice.write(b"".join(b"CHAT/1.0 BROADCAST tea %d\n" % each for each in range(3)))
        alice.write(b"CHAT/1.0 SEND bob secret\nCHAT/1.0 SEND *log* tea 9\n")
        words = alice.read_line().removeprefix(FLUSH).split(b" | ")
        assert [each[len("00:00") :] for each in words] == [b" alice: 1", b" alice: 2\n"]
        assert bob.read_line() == b"CHAT/1.0 RECEIVE alice secret\n"
        # What is cut off leaves a CR at the end.
        monkeypatch.setattr(module, "MAX_DATA", 3)
        alice.write(b"CHAT/1.0 BROADCAST tea ab\rc\nCHAT/1.0 SEND *log* tea 1\n")
        assert alice.read_line().endswith(b" alice: ab\n")
        bob.write(b"CHAT/1.0 SEND *log* tea 20\nCHAT/1.0 SEND *log* tea\n")
        assert {bob.read_line(), bob.read_line()} == {
            FLUSH + b"you are not in tea\n",
            FLUSH + b"send me the name of a group, and how many messages to read\n",
        }
    [log] = logs
    log.close()
    with sqlite3.connect(path) as database:
        rows = database.execute('SELECT sender, "group", data FROM said ORDER BY at').fetchall()
    database.close()
    assert rows == [("alice", "tea", each) for each in (b"0", b"1", b"2", b"ab\rc")]


def test_a_chat_log_that_can_not_keep_up(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that fails: it goes on."""
    module = load("chat_log")
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    asked, go_on = threading.Event(), threading.Event()
    told: list[tuple[object, ...]] = []

    class Server:
        def groups(self) -> list[Any]:
            asked.set()
            assert go_on.wait(20.0)
            raise OSError("the server has gone")

        def tell(self, *arguments: object) -> int:
            told.append(arguments)
            return 1

    log = module.ChatLog(str(tmp_path / "chat.db"), Server())
    read = Said(Send("*log*", b"tea 20"), "alice", "peer")
    write = Said(Broadcast("tea", b"hi"), "alice", "peer")
    assert log.write(write) is None
    log.read(read)
    assert asked.wait(20.0)
    assert [log.write(write) for _ in range(2)] == [None, None]
    assert isinstance(log.write(write), Refusal)
    assert isinstance(log.read(read), Reply)
    go_on.set()
    log.close()
    assert told == []
    with sqlite3.connect(tmp_path / "chat.db") as database:
        assert database.execute("SELECT count(*) FROM said").fetchone() == (3,)
    database.close()
