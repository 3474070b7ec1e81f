"""The command `chatproto`."""

import importlib.util
import logging
import signal

import anyio
import click
from anyio.abc import TaskStatus

from chatproto import __version__
from chatproto_sync.__main__ import LOG_FORMAT, LOG_LEVELS, POLICIES
from chatproto_sync._listeners import PORT_MAX, cannot_listen, greeting

from . import DEFAULT_PORT, Server


@click.group(context_settings={"show_default": True})
@click.version_option(__version__, prog_name="chatproto", message="%(prog)s %(version)s")
def cli() -> None:
    """Chat over CHAT/1.0.

    Every option can be set in the environment too: CHATPROTO_PORT for --port, and so on.
    """


@cli.command()
@click.option(
    "--host", default="127.0.0.1", envvar="CHATPROTO_HOST", help="Name or address to listen on."
)
@click.option(
    "--port",
    type=click.IntRange(0, PORT_MAX),
    default=DEFAULT_PORT,
    envvar="CHATPROTO_PORT",
    help="TCP port to listen on; 0 for a free one.",
)
@click.option(
    "--unix",
    metavar="PATH",
    envvar="CHATPROTO_UNIX",
    help="Unix socket to listen on instead of TCP.",
)
@click.option(
    "--backend",
    type=click.Choice(["asyncio", "trio"]),
    default="asyncio",
    envvar="CHATPROTO_BACKEND",
    help="Event loop to run on.",
)
@click.option(
    "--policy",
    type=click.Choice(list(POLICIES)),
    default="default",
    envvar="CHATPROTO_POLICY",
    help="Rule set; `reference` is that of the server CHAT/1.0 came with.",
)
@click.option(
    "--no-notices",
    is_flag=True,
    envvar="CHATPROTO_NO_NOTICES",
    help="Never tell clients why something was refused.",
)
@click.option(
    "--log-level",
    type=click.Choice(LOG_LEVELS),
    default="info",
    envvar="CHATPROTO_LOG_LEVEL",
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
            f"pip install 'chatproto-sansio[server]'"
        )
    logging.basicConfig(format=LOG_FORMAT, level=log_level.upper())
    try:
        server = Server(host, port, unix=unix, policy=POLICIES[policy], notices=not no_notices)
    except OSError as error:
        raise click.ClickException(cannot_listen(host, port, unix, error)) from None
    anyio.run(_run, server, backend=backend)


async def _run(server: Server) -> None:
    async with anyio.create_task_group() as tasks:
        await tasks.start(_cancel_on_signal, tasks.cancel_scope)
        click.echo(greeting(server.addresses))
        await server.run()


async def _cancel_on_signal(
    scope: anyio.CancelScope, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
            return
