"""A server in memory, for tests of bots."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from importlib.util import find_spec
from math import inf
from typing import TYPE_CHECKING, Any

from ..routing.policy import Policy
from ..server.hooks import Hooks
from ..server.limits import Limits
from ..server.log_events import LogEvent
from .world import World

if TYPE_CHECKING:
    import chatproto_anyio
    import chatproto_anyio.testing.runtime
    import chatproto_sync
    import chatproto_sync.testing.runtime


class MemoryServer:
    """A chat server without sockets and ports, with a clock that the test moves.

    The clients are the real ones, and so are the server's decisions. `connect` gives a blocking
    client, `connect_async` one for asyncio and trio. Each test goes the same way each time.

    The clock starts at 0.0, and all timeouts of clients and the server are on it. `advance` moves
    it. It also moves while everybody waits, up to the `timeout` of the call that waits; for a call
    without a timeout it stands still. So a `receive(timeout=5)` takes less than a millisecond.

    Args:
        policy: The choices that the protocol leaves open.
        limits: The bounds on one connection, and on all of them together.
        notices: Whether to tell clients why the server refuses something.
        hooks: Plain functions that are called with what clients send; see `Hook`. A function in
            place of the table is called with this server, which is not ready yet, and returns the
            table: so hooks can use `kick`. What hooks raise is in `log`.

    Raises:
        TypeError: `hooks` is no table of plain functions.
        ValueError: One of the commands can't have hooks.
    """

    def __init__(
        self,
        *,
        policy: Policy = Policy(),
        limits: Limits = Limits(),
        notices: bool = True,
        hooks: "Hooks | Callable[[MemoryServer], Hooks] | None" = None,
    ) -> None:
        table = hooks(self) if callable(hooks) else (hooks or {})
        self._world = World(policy, limits, notices=notices, hooks=table)
        self._blocking: chatproto_sync.testing.runtime.MemoryRuntime | None = None
        self._asynchronous: chatproto_anyio.testing.runtime.MemoryRuntime | None = None

    # Clients

    def connect(
        self, *where: Any, **options: Any
    ) -> "AbstractContextManager[chatproto_sync.Client]":
        """Connect a blocking client: `with server.connect(name="alice") as alice:`.

        A call of one of its methods that would wait for ever raises `NothingWillArrive`.

        Args:
            where: Has no effect.
            options: The parameters of `chatproto_sync.connect`. Those that say where the server is
                have no effect.
        """
        return self._for_threads().connect(*where, **options)

    def connect_async(
        self, *where: Any, **options: Any
    ) -> "AbstractAsyncContextManager[chatproto_anyio.Client]":
        """Connect a client on asyncio or trio.

        Args:
            where: Has no effect.
            options: The parameters of `chatproto_anyio.connect`. Those that say where the server is
                have no effect.
        """
        return self._for_tasks().connect(*where, **options)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Have all clients that are made in the block connect to this server.

        So a bot that calls `chatproto_sync.connect` or `chatproto_anyio.connect` needs no change.
        The second one only counts if AnyIO is installed.
        """
        with self._for_threads().installed():
            if find_spec("anyio") is None:
                yield
            else:
                with self._for_tasks().installed():
                    yield

    def running(
        self, function: Callable[..., object], *arguments: object
    ) -> AbstractContextManager[None]:
        """Run a blocking bot beside the test.

        The function runs on a thread of its own, but only when the test waits: in a method of a
        client, in `advance`, and at the beginning and the end of the block. So either the test or
        a bot runs, never both.

        At the end of the block, `NothingWillArrive` is raised where the bot waits. What the bot has
        raised is raised in the test.

        Args:
            function: The bot.
            arguments: What it is called with.

        Raises:
            TypeError: The function is asynchronous.
        """
        return self._for_threads().scheduler.running(function, *arguments)

    # The clock

    @property
    def now(self) -> float:
        """The time in seconds since the server was made."""
        return self._world.now

    def advance(self, seconds: float) -> None:
        """Move the clock. What is due on the way happens in order; bots of `running` run.

        A bot of `running` only waits in it. So a test can put it in the place of `time.sleep`.
        """
        self._for_threads().scheduler.advance(seconds)

    async def advance_async(self, seconds: float) -> None:
        """Move the clock, and let other tasks run until all of them wait.

        A test can put it in the place of `anyio.sleep`, `asyncio.sleep` or `trio.sleep`.

        On asyncio and trio, the clock also moves on its own when all tasks wait, and one of them
        for a client's method that has a timeout. A task that waits for something else, such as a
        real socket or a real sleep, counts as waiting too.
        """
        await self._for_tasks().clock.advance(seconds)

    # What happens to the server

    @property
    def names(self) -> list[str]:
        """The names of those who are logged in, sorted."""
        return self._world.names

    @property
    def log(self) -> list[LogEvent]:
        """What the server has logged so far."""
        return self._world.log

    def stop(self) -> None:
        """Shut the server down: tell everybody, and close all connections.

        Until `start`, connections are refused.
        """
        self._world.stop()

    def start(self) -> None:
        """Start the server again, with no connections and no groups. It may run already."""
        self._world.start()

    def restart(self) -> None:
        """Stop the server, and start it again."""
        self.stop()
        self.start()

    def kick(self, name: str, text: str = "") -> int:
        """End all connections under a name, once what is queued for them is written.

        Args:
            name: The name.
            text: The last words that they read, for people; empty for the usual words.

        Returns:
            How many end.

        Raises:
            LocalProtocolError: No line can hold the text.
        """
        return self._world.kick(name, text)

    def refuse(self, name: str) -> None:
        """Refuse each LOGIN under a name from now on, with AUTH_FAILED."""
        self._world.refused.add(name)

    def allow(self, name: str) -> None:
        """Undo `refuse`."""
        self._world.refused.discard(name)

    # What happens to connections

    def set_speed(self, name: str, bytes_per_second: float = inf) -> None:
        """Set how fast the server's lines reach a client, from now on and on this connection.

        The server sees a client that reads slowly. With 0, nothing arrives any more, as if the
        client or the network hung.

        Args:
            name: The name that the client is logged in under.
            bytes_per_second: How fast; `math.inf` for at once.

        Raises:
            LookupError: Nobody has that name.
            ValueError: The speed is negative.
        """
        if not bytes_per_second >= 0:
            raise ValueError("a speed is at least 0")
        self._world.set_speed(self._world.links_of(name), bytes_per_second)

    def lose(self, name: str | None = None) -> None:
        """Break connections, as if a cable were cut: what is on its way is lost.

        Both ends notice at once. For an end that does not notice, see `set_speed`.

        Args:
            name: The name that a client is logged in under; None for all connections.

        Raises:
            LookupError: Nobody has that name.
        """
        world = self._world
        world.lose(world.links if name is None else world.links_of(name))

    # The adapters, loaded when a test asks for a client: this package does no I/O.

    def _for_threads(self) -> "chatproto_sync.testing.runtime.MemoryRuntime":
        if self._blocking is None:
            from chatproto_sync.testing.runtime import MemoryRuntime
            from chatproto_sync.testing.scheduler import Scheduler

            self._blocking = MemoryRuntime(Scheduler(self._world))
        return self._blocking

    def _for_tasks(self) -> "chatproto_anyio.testing.runtime.MemoryRuntime":
        if self._asynchronous is None:
            from chatproto_anyio.testing.clock import TaskClock
            from chatproto_anyio.testing.runtime import MemoryRuntime

            self._asynchronous = MemoryRuntime(TaskClock(self._world))
        return self._asynchronous
