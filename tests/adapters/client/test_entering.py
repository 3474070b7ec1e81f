"""What `connect` returns (`connect` in both packages): entered again, twice, or in a wrong way."""

import inspect
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

import chatproto_anyio
import chatproto_sync
from chatproto import ConnectionLostError, LocalProtocolError, LoginRefusedError

from ..clients import each_backend, where
from ..servers import TIMEOUT, run_sync
from .scripted import Player, ScriptedServer, refuse


class AsAsync:
    """A blocking context manager, for `async with`."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aenter__(self) -> Any:
        return self._inner.__enter__()

    async def __aexit__(self, *error: object) -> Any:
        return self._inner.__exit__(*error)


CONNECTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "sync": ("asyncio", lambda **options: AsAsync(chatproto_sync.connect(**options))),
    "asyncio": ("asyncio", chatproto_anyio.connect),
    "trio": ("trio", chatproto_anyio.connect),
}

each_connect = pytest.mark.parametrize("kind", CONNECTS)


async def result(method: Callable[[], Any]) -> Any:
    """Call a method of either client."""
    returned = method()
    return await returned if inspect.isawaitable(returned) else returned


def run(kind: str, test: Callable[[Callable[..., Any]], Any]) -> None:
    backend, connect = CONNECTS[kind]
    anyio.run(test, connect, backend=backend)


@each_connect
def test_it_can_be_entered_until_a_server_is_there(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "chat"

    async def test(connect: Callable[..., Any]) -> None:
        connecting = connect(unix=path, name="alice")
        for _ in range(2):
            with pytest.raises(ConnectionLostError, match="No such file"):
                async with connecting:
                    pytest.fail("there is no server")
        with run_sync(unix=path):
            for _ in range(2):
                async with connecting as chat:
                    assert chat.name == "alice"

    run(kind, test)


@each_connect
def test_each_time_it_makes_a_new_client(kind: str) -> None:
    async def test(connect: Callable[..., Any]) -> None:
        with run_sync(port=0) as server:
            connecting = connect(name="alice", **where(server))
            clients: list[Any] = []
            for _ in range(2):
                async with connecting as chat:
                    clients.append(chat)
        assert len(set(clients)) == 2
        for client in clients:
            with pytest.raises(LocalProtocolError, match="has logged out"):
                await result(client.receive)

    run(kind, test)


@each_connect
def test_a_refused_login_may_be_tried_again(kind: str) -> None:
    async def test(connect: Callable[..., Any]) -> None:
        with ScriptedServer([refuse("NAME_IN_USE")], [Player.login, Player.serve]) as server:
            connecting = connect(name="alice", **where(server))
            with pytest.raises(LoginRefusedError):
                async with connecting:
                    pytest.fail("it was refused")
            async with connecting as chat:
                assert chat.name == "alice"

    run(kind, test)


@each_connect
def test_not_while_it_is_entered(kind: str) -> None:
    async def test(connect: Callable[..., Any]) -> None:
        with run_sync(port=0) as server:
            connecting = connect(name="alice", **where(server))
            async with connecting as chat:
                with pytest.raises(RuntimeError, match="call connect again for a second one"):
                    async with connecting:
                        pytest.fail("it is in use")
                # The first client is as usable as before.
                assert chat.name == "alice"
            async with connecting:
                pass

    run(kind, test)


@each_connect
def test_a_transport_is_used_once(kind: str) -> None:
    async def test(connect: Callable[..., Any]) -> None:
        with run_sync(port=0) as server:
            sock = socket.create_connection(tuple(where(server).values()), TIMEOUT)
            connecting = connect(name="alice", transport=sock)
            async with connecting:
                pass
            with pytest.raises(RuntimeError, match="call connect again with a new one"):
                async with connecting:
                    pytest.fail("the socket is closed")

    run(kind, test)


# Wrong uses say what to do


@pytest.mark.parametrize("package", [chatproto_sync, chatproto_anyio])
def test_there_is_no_client_before_it_is_entered(package: Any) -> None:
    connecting = package.connect(name="alice")
    word = "with" if package is chatproto_sync else "async with"
    usage = re.escape(f"`{word} connect(...) as chat`")
    with pytest.raises(AttributeError, match=f"there is no send, because .*{usage}"):
        connecting.send("bob", "hi")
    with pytest.raises(TypeError, match=usage):
        iter(connecting) if package is chatproto_sync else aiter(connecting)


def test_a_blocking_client_has_no_async_with() -> None:
    async def main() -> None:
        connecting: Any = chatproto_sync.connect(name="alice")
        async with connecting:
            pytest.fail("it is for `with`")

    with pytest.raises(TypeError, match="use `with`, not `async with`"):
        anyio.run(main)


def test_an_async_client_has_no_with() -> None:
    connecting: Any = chatproto_anyio.connect(name="alice")
    with pytest.raises(TypeError, match="use `async with`, not `with`"), connecting:
        pytest.fail("it is for `async with`")


def test_it_cannot_be_left_before_it_is_entered() -> None:
    with pytest.raises(RuntimeError, match="was not entered"):
        chatproto_sync.connect(name="alice").__exit__(None, None, None)


@each_backend
async def test_an_async_one_cannot_be_left_before_it_is_entered() -> None:
    with pytest.raises(RuntimeError, match="was not entered"):
        await chatproto_anyio.connect(name="alice").__aexit__(None, None, None)
