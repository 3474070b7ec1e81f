"""`chatproto serve`: run a server."""

import importlib.util
import logging
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial

import anyio
import click

from chatproto_sync._addresses import PORT_MAX
from chatproto_sync._command import LOG_FORMAT, LOG_LEVELS, POLICIES, cannot_listen, greet

from . import DEFAULT_PORT, Server


@click.command()
@click.option(
    "--host",
    default="127.0.0.1",
    envvar="CHATPROTO_HOST",
    show_envvar=True,
    help="Name or address to listen on.",
)
@click.option(
    "--port",
    type=click.IntRange(0, PORT_MAX),
    default=DEFAULT_PORT,
    envvar="CHATPROTO_PORT",
    show_envvar=True,
    help="TCP port to listen on; 0 for a free one.",
)
@click.option(
    "--unix",
    type=click.Path(readable=False),
    metavar="PATH",
    envvar="CHATPROTO_UNIX",
    show_envvar=True,
    help="Unix socket to listen on instead of TCP.",
)
@click.option(
    "--backend",
    type=click.Choice(["asyncio", "trio"]),
    default="asyncio",
    envvar="CHATPROTO_BACKEND",
    show_envvar=True,
    help="Event loop to run on.",
)
@click.option(
    "--policy",
    type=click.Choice(list(POLICIES)),
    default="default",
    envvar="CHATPROTO_POLICY",
    show_envvar=True,
    help="Rule set; `reference` is that of the server CHAT/1.0 came with.",
)
@click.option(
    "--no-notices",
    is_flag=True,
    envvar="CHATPROTO_NO_NOTICES",
    show_envvar=True,
    help="Never tell clients why something was refused.",
)
@click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS, case_sensitive=False),
    default="info",
    envvar="CHATPROTO_LOG_LEVEL",
    show_envvar=True,
    help="The least serious thing to log.",
)
def serve(
    host: str,
    port: int,
    unix: str | None,
    backend: str,
    policy: str,
    no_notices: bool,
    log_level: str,
) -> None:
    """Run a chat server until SIGINT or SIGTERM."""
    if importlib.util.find_spec(backend) is None:
        raise click.ClickException(
            f"--backend {backend} needs the package {backend}: "
            "pip install 'chatproto-sansio[server]', or '.[server]' in a checkout"
        )
    logging.basicConfig(format=LOG_FORMAT, level=log_level.upper())
    make = partial(Server, host, port, unix=unix, policy=POLICIES[policy], notices=not no_notices)
    try:
        anyio.run(_run, make, backend=backend)
    except (OSError, ValueError) as error:
        raise click.ClickException(cannot_listen(host, port, unix, error)) from None


async def _run(make: Callable[[], Server]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        # Only now: whoever sees it listen may send a signal at once. It may block, as nothing else
        # runs here yet; what it raises is all that comes out of here unwrapped.
        server = make()
        greet(server.addresses)
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                tasks.start_soon(_obey_signals, signals, server, scope)
                await server.run()
            tasks.cancel_scope.cancel()


async def _obey_signals(
    signals: AsyncIterator[signal.Signals], server: Server, scope: anyio.CancelScope
) -> None:
    """The first signal ends the server in good order, the second at once."""
    await anext(signals)
    scope.cancel()
    await anext(signals)
    server.abandon()
