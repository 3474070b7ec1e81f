"""The transport of a connection on any byte stream, in place of a socket of the server."""

from collections.abc import Mapping
from typing import Any, Final

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute

from chatproto import Credentials
from chatproto_sync.sockets.addresses import describe, host_of
from chatproto_sync.sockets.driver import Driver
from chatproto_sync.sockets.tls import certificate_of, identities_of
from chatproto_sync.sockets.transport import READ_SIZE
from chatproto_sync.sockets.unix import credentials_of

from ..streams import GONE, close

WRITE_SIZE: Final = 16384
"""The most bytes written to a stream at once. The broker is told when all of them are written."""


class StreamTransport:
    """A connection on a byte stream: one task reads, and one task writes.

    Args:
        driver: The driver of the broker to connect to.
        stream: The stream. `run` closes it.
    """

    def __init__(self, driver: Driver, stream: ByteStream) -> None:
        self.peer: str
        self.peer, self._address = _describe(stream)
        self._driver = driver
        self._stream = stream
        self._scope = anyio.CancelScope()
        # Set, and replaced by a new one, when the broker changes what to do for this connection.
        self._changed = anyio.Event()

    @property
    def certificate(self) -> Mapping[str, Any] | None:
        """See `chatproto_sync.sockets.transport.Transport`."""
        tls = self._stream.extra(TLSAttribute.ssl_object, None)
        return None if tls is None else certificate_of(tls)

    @property
    def credentials(self) -> Credentials | None:
        """See `chatproto_sync.sockets.transport.Transport`."""
        sock = self._stream.extra(SocketAttribute.raw_socket, None)
        return None if sock is None else credentials_of(sock)

    def write(self, data: bytes) -> int:  # noqa: ARG002 - a task writes
        """See `chatproto_sync.sockets.transport.Transport`."""
        return 0

    def flush(self) -> None:
        """See `chatproto_sync.sockets.transport.Transport`."""
        if self._driver.broker.next_step(self).close:
            self._scope.cancel()
        else:
            changed, self._changed = self._changed, anyio.Event()
            changed.set()

    async def run(self) -> None:
        """Serve the connection until one side ends it, then close it."""
        driver = self._driver
        try:
            driver.tick()
            driver.broker.connect(self, self.peer, address=self._address)
            tls = self._stream.extra(TLSAttribute.ssl_object, None)
            if tls is not None:
                driver.broker.secure(self, identities_of(tls.context, self.certificate))
            driver.settle()
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._write)
                    await self._read()
        except* GONE:
            # The broker logs the reason below.
            pass
        finally:
            driver.broker.disconnect(self)
            driver.settle()
            # A drain may wait for this connection.
            driver.wake()
            await close(self._stream)

    async def _read(self) -> None:
        driver, broker = self._driver, self._driver.broker
        while True:
            if not broker.next_step(self).read:
                await self._changed.wait()
                continue
            try:
                data = await self._stream.receive(READ_SIZE)
            except anyio.EndOfStream:
                broker.receive_eof(self)
            else:
                driver.tick()
                broker.receive(self, data)
            driver.settle()

    async def _write(self) -> None:
        driver, broker = self._driver, self._driver.broker
        while not (step := broker.next_step(self)).close:
            if data := step.write[:WRITE_SIZE]:
                broker.sent(self, 0)
                await self._stream.send(data)
                broker.sent(self, len(data))
                driver.settle()
            elif step.half_close:
                try:
                    await self._stream.send_eof()
                except NotImplementedError:
                    # AnyIO's TLS streams can only close as a whole. They send a close_notify then.
                    break
                broker.half_closed(self)
            else:
                await self._changed.wait()
        self._scope.cancel()


def _describe(stream: ByteStream) -> tuple[str, str]:
    """The peer's address for people, and its IP address; an empty one if it has none."""
    try:
        address = stream.extra(SocketAttribute.remote_address)
        family = stream.extra(SocketAttribute.family)
    except (anyio.TypedAttributeLookupError, OSError):
        # Some streams have no socket, and the peer of a socket may have gone.
        return type(stream).__name__, ""
    return describe(address, family), host_of(address, family)
