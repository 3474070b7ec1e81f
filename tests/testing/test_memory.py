"""`MemoryServer` with blocking clients: the real ones, on a clock that the test moves."""

import threading
import time
from collections.abc import Callable

import pytest

import chatproto_sync
from chatproto import (
    Backoff,
    ChatTimeoutError,
    CloseReason,
    ConnectionLostError,
    DuplicateLogin,
    ErrorCode,
    EventKind,
    Hooks,
    HookVerdict,
    Limits,
    LoginRefusedError,
    Message,
    Policy,
    Reconnected,
    Reply,
    Said,
    Send,
)
from chatproto.testing import MemoryServer, NothingWillArrive
from chatproto_sync import Client


def echo(chat: Client) -> None:
    """A bot."""
    for message in chat:
        if message.sender != chat.name:
            chat.reply(message, message.data)


def fill(chat: Client) -> None:
    """Send more to bob than all buffers hold."""
    for _ in range(100):
        chat.send("bob", "x" * 3000)


def test_clients_chat() -> None:
    server = MemoryServer()
    with server.connect(name="alice") as alice, server.connect(name="bob") as bob:
        assert server.names == ["alice", "bob"]
        alice.group("tea", ["alice", "bob"])
        alice.broadcast("tea", "hi")
        assert bob.receive() == Message("alice", b"hi", group="tea")
        alice.send("nobody", "hi")
        assert alice.receive_notice().code == ErrorCode.NO_SUCH_USER
        assert alice.ping() == 0.0
        bob.login("bobby")
        assert server.names == ["alice", "bobby"]
    assert server.names == []
    assert [event.name for event in server.log if event.kind is EventKind.LOGGED_OUT] == [
        "bobby",
        "alice",
    ]
    assert server.now == 0.0


def test_a_server_of_the_old_kind() -> None:
    server = MemoryServer(policy=Policy.reference(), notices=False)
    with server.connect(name="alice") as alice:
        alice.send("nobody", "hi")
        alice.flush()
        assert (alice.take_notices(), alice.labels) == ([], False)


def test_a_timeout_takes_no_time() -> None:
    server = MemoryServer()
    with server.connect(name="alice") as alice:
        for seconds in (0.0, 7.3, 300.0):
            before = server.now
            with pytest.raises(ChatTimeoutError, match=rf"^it took longer than {seconds:g} s$"):
                alice.receive(timeout=seconds)
            assert server.now == before + seconds
        alice.send("alice", "hi")
        assert alice.receive(timeout=5).text == "hi"
        assert server.now == before + seconds


def test_what_would_wait_for_ever_raises() -> None:
    server = MemoryServer()
    # The clock would go on for ever if heartbeats moved it.
    with server.connect(name="alice", heartbeat=10) as alice:
        with pytest.raises(NothingWillArrive, match=r"^nothing will arrive unless another client"):
            alice.receive()
        assert server.now == 0.0
        # The client is as good as before.
        alice.send("alice", "hi")
        assert alice.receive().text == "hi"
        with pytest.raises(NothingWillArrive):
            echo(alice)
    assert not isinstance(NothingWillArrive(), Exception)


def test_clients_have_their_heartbeats() -> None:
    server = MemoryServer()
    with server.connect(name="alice", heartbeat=10) as alice:
        with pytest.raises(ChatTimeoutError):
            alice.receive(timeout=95)
        server.set_speed("alice", 0)
        with pytest.raises(ConnectionLostError, match="the server does not answer: nothing has"):
            alice.receive(timeout=100)
        # After ten seconds of silence it has asked, and then it has waited ten more.
        assert server.now == 110.0


def test_a_slow_client_gets_everything_late() -> None:
    server = MemoryServer()
    with server.connect(name="alice") as alice, server.connect(name="bob") as bob:
        server.set_speed("bob", 100)
        alice.send("bob", "x" * 972)  # a thousand bytes, with all that is around them
        alice.flush()
        assert bob.receive(timeout=60).text == "x" * 972
        assert 9.9 < server.now < 10.2
        server.set_speed("bob", 0)
        alice.send("bob", "late")
        alice.flush()
        with pytest.raises(ChatTimeoutError):
            bob.receive(timeout=5)
        server.set_speed("bob")
        assert bob.receive().text == "late"
        with pytest.raises(ValueError, match="at least 0"):
            server.set_speed("bob", -1)


@pytest.mark.parametrize("busy", [True, False], ids=["a client that is busy", "a slow network"])
def test_a_client_that_does_not_read_is_closed(*, busy: bool) -> None:
    server = MemoryServer(limits=Limits(high_water=4096))
    with server.connect(name="alice") as alice, server.connect(name="bob") as bob:
        if not busy:
            server.set_speed("bob", 0)
        for _ in range(60):
            alice.send("bob", "x" * 3000)
        server.advance(25)
        assert server.names == ["alice"]
        assert server.log[-1].reason == CloseReason.SLOW_CONSUMER
        if busy:
            assert bob.receive().text == "x" * 3000
            with pytest.raises(ConnectionLostError):
                bob.flush()


def test_a_slow_client_holds_those_who_write_to_it() -> None:
    server = MemoryServer(limits=Limits(high_water=4096))
    with server.connect(name="alice", timeout=2) as alice, server.connect(name="bob"):
        server.set_speed("bob", 20_000)
        with pytest.raises(ChatTimeoutError):
            fill(alice)
        assert 2 <= server.now < 10
        # The client has closed the connection in the middle of a line. What came before arrives.
        server.advance(10)
        assert server.names == ["bob"]


def test_a_name_is_refused() -> None:
    server = MemoryServer()
    server.refuse("alice")
    with pytest.raises(LoginRefusedError) as caught, server.connect(name="alice"):
        pass
    assert caught.value.code == ErrorCode.AUTH_FAILED
    with server.connect(name="bob") as bob:
        with pytest.raises(LoginRefusedError):
            bob.login("alice")
        assert server.names == ["bob"]
        server.allow("alice")
        bob.login("alice")
    server = MemoryServer(policy=Policy(duplicate_login=DuplicateLogin.REJECT))
    with (
        server.connect(name="bob"),
        pytest.raises(LoginRefusedError) as caught,
        server.connect(name="bob"),
    ):
        pass
    assert caught.value.code == ErrorCode.NAME_IN_USE


def test_a_server_stops_and_starts() -> None:
    server = MemoryServer()
    with server.connect(name="alice", reconnect=True) as alice:
        alice.group("tea", ["alice"])
        server.stop()
        assert server.names == []
        server.stop()
        with pytest.raises(ConnectionLostError) as caught, server.connect(name="bob"):
            pass
        assert str(caught.value) == "can't connect to 127.0.0.1:3333: Connection refused"
        with pytest.raises(ChatTimeoutError):
            alice.receive(timeout=20)
        assert alice.take_notices()[0].code == ErrorCode.SHUTTING_DOWN
        server.start()
        server.start()
        alice.send("alice", "again")
        assert alice.groups() == []
        while not isinstance(alice.receive_item(), Reconnected):
            pass
        assert alice.receive().text == "again"
    assert 20 < server.now < 60


def test_a_connection_is_lost() -> None:
    server = MemoryServer()
    with server.connect(name="alice") as alice, server.connect(name="bob") as bob:
        alice.send("bob", "this is lost too")
        server.lose("bob")
        with pytest.raises(
            ConnectionLostError, match=r"^the connection is lost: Connection reset by peer$"
        ):
            bob.receive()
        assert server.names == ["alice"]
        with pytest.raises(LookupError, match=r"^nobody is logged in as bob; online: alice$"):
            server.lose("bob")
        alice.flush()
        server.lose()
        with pytest.raises(ConnectionLostError):
            alice.flush()
        with pytest.raises(LookupError, match=r"online: nobody$"):
            server.set_speed("bob", 0)
    server.stop()
    server.lose()


def test_a_connection_is_lost_while_the_server_is_down() -> None:
    server = MemoryServer()
    with server.connect(name="alice"):
        server.stop()
        server.lose()
        server.advance(1)
    assert (server.now, server.names) == (1.0, [])


def test_a_bot_runs_beside_the_test() -> None:
    server = MemoryServer()
    ends = []

    def main() -> None:
        try:
            with chatproto_sync.connect("chat.example", name="echo", reconnect=True) as chat:
                echo(chat)
        finally:
            ends.append(server.now)

    with server.installed(), server.running(main):
        assert server.names == ["echo"]
        with server.connect(name="alice") as alice:
            alice.send("echo", "one")
            assert alice.receive().text == "one"
        server.restart()
        server.advance(1)
        with server.connect(name="alice") as alice:
            alice.send("echo", "two")
            assert alice.receive().text == "two"
        assert ends == []
    assert (ends, server.now) == ([1.0], 1.0)
    assert server.names == []


def test_bots_and_the_test_take_turns() -> None:
    """Bots that talk to each other, on clocks of their own, do the same in each run."""

    def remind(chat: Client) -> None:
        while True:
            try:
                chat.reply(chat.receive(timeout=60), "soon")
            except ChatTimeoutError:
                chat.send("alice", f"{chat.name}: it is {server.now:g}")

    def heard() -> list[str]:
        with (
            server.connect(name="alice") as alice,
            server.connect(name="bob") as bob,
            server.connect(name="carol") as carol,
            server.running(remind, bob),
        ):
            server.advance(10)
            with server.running(remind, carol):
                server.advance(180)
                alice.send("carol", "when?")
                return [alice.receive(timeout=1).text for _ in range(7)]

    runs = []
    for _ in range(2):
        server = MemoryServer()
        runs.append(heard())
    assert runs[0] == [
        "bob: it is 60",
        "carol: it is 70",
        "bob: it is 120",
        "carol: it is 130",
        "bob: it is 180",
        "carol: it is 190",
        "soon",
    ]
    assert runs[1] == runs[0]


def test_the_test_gets_what_a_bot_raises() -> None:
    server = MemoryServer()

    def main() -> None:
        with server.connect(name="bot") as bot:
            raise ValueError(bot.receive().text)

    with server.connect(name="alice") as alice:
        with server.running(main):
            alice.send("bot", "now")
            with pytest.raises(ValueError, match=r"^now$"):
                alice.receive(timeout=5)
            assert server.names == ["alice"]
        with pytest.raises(ValueError, match=r"^later$"), server.running(main):
            alice.send("bot", "later")


def test_a_bot_may_end_before_the_test() -> None:
    server = MemoryServer()
    answers: list[str] = []

    def ask() -> None:
        with server.connect(name="bot") as bot:
            bot.send("alice", "?")
            answers.append(bot.receive().text)

    with (
        server.connect(name="alice") as alice,
        server.running(echo, alice),
        server.running(ask),
    ):
        pass
    assert answers == ["?"]


def test_a_bot_that_waits_again_ends() -> None:
    server = MemoryServer()

    def main() -> None:
        with server.connect(name="bot") as bot:
            try:
                bot.receive()
            finally:
                bot.receive()

    with server.running(main):
        assert server.names == ["bot"]
    assert server.names == []


def test_threads_share_a_client() -> None:
    server = MemoryServer(limits=Limits(high_water=4096))
    with server.connect(name="bot") as bot, server.connect(name="bob") as bob:
        with server.running(echo, bot):
            # This thread reads for the other one, and the other way round.
            bot.send("bot", "to myself")
            bot.flush()
            with pytest.raises(ChatTimeoutError):
                bot.receive(timeout=1)

        with server.running(fill, bot):
            # The other thread is in the middle of a line.
            with pytest.raises(ChatTimeoutError):
                bot.receive(timeout=1)
            for _ in range(100):
                bob.receive()
            bot.flush()
        with server.running(echo, bot):
            bot.logout()


def test_installed_without_anyio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatproto.testing.memory.find_spec", lambda _: None)
    server = MemoryServer()
    with server.installed(), chatproto_sync.connect(name="alice"):
        assert server.names == ["alice"]


def test_a_bot_sleeps_on_the_clock_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    server = MemoryServer()
    monkeypatch.setattr(time, "sleep", server.advance)

    def remind(chat: Client) -> None:
        while True:
            time.sleep(60)
            chat.send("alice", f"it is {server.now:g}")

    with (
        server.connect(name="alice") as alice,
        server.connect(name="bot") as bot,
        server.running(remind, bot),
    ):
        server.advance(130)
        assert [alice.receive().text for _ in range(2)] == ["it is 60", "it is 120"]
        assert alice.receive(timeout=100).text == "it is 180"
        with pytest.raises(NothingWillArrive):
            alice.receive()
    assert server.now == 180.0


def test_running_is_for_blocking_bots() -> None:
    async def main() -> None:
        raise AssertionError

    with pytest.raises(TypeError, match="task group"), MemoryServer().running(main):
        pass


def test_other_threads_are_refused() -> None:
    server = MemoryServer()
    errors: list[str] = []

    def use(function: Callable[[], object]) -> None:
        try:
            function()
        except RuntimeError as error:
            errors.append(str(error))

    with server.connect(name="alice") as alice:
        for function in (alice.receive, lambda: alice.send("alice", "hi")):
            thread = threading.Thread(target=use, args=(function,))
            thread.start()
            thread.join()
    assert len(errors) == 2
    for error in errors:
        assert error.startswith("a MemoryServer belongs to one thread")


def test_attempts_to_connect_are_the_same_in_each_run() -> None:
    times = []
    for _ in range(2):
        server = MemoryServer()
        with server.connect(name="alice", reconnect=Backoff(first=2)) as alice:
            for _ in range(3):
                server.lose()
                alice.send("alice", "hi")
        times.append(server.now)
    assert times[0] > 3
    assert times[1] == times[0]


def test_installed_ends() -> None:
    server = MemoryServer()
    with server.installed():
        here = chatproto_sync.connect("chat.example", name="alice")
        unix = chatproto_sync.connect(unix="/nowhere", name="bob")
    with here, unix:
        assert server.names == ["alice", "bob"]
    with pytest.raises(ConnectionLostError), chatproto_sync.connect(unix="/nowhere", name="bob"):
        pass


def test_kick() -> None:
    server = MemoryServer()
    with server.connect(name="alice") as alice:
        assert server.kick("alice", "be nice") == 1
        assert server.kick("alice") == 0
        with pytest.raises(ConnectionLostError, match="be nice"):
            alice.receive()
    server.stop()
    assert server.kick("alice") == 0


def test_hooks() -> None:
    """Among them one that uses the server in the middle of its work."""

    def table(server: MemoryServer) -> Hooks:
        def rule(said: Said) -> HookVerdict | None:
            event = said.event
            assert isinstance(event, Send)
            if event.to == "*mod*":
                return Reply(b"ended %d" % server.kick(event.data.decode(), "be nice"), "*mod*")
            # Clients send messages to themselves to see how far the server is.
            return None if event.to == said.name else Send(event.to, event.data.upper())

        return {Send: [rule]}

    server = MemoryServer(hooks=table)
    with server.connect(name="alice") as alice, server.connect(name="bob") as bob:
        alice.send("bob", "hi")
        assert bob.receive().data == b"HI"
        alice.send("*mod*", "bob")
        assert alice.receive() == Message("*mod*", b"ended 1")
        with pytest.raises(ConnectionLostError, match="be nice"):
            bob.receive()
