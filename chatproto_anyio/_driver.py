"""What an event loop adds to the selector driver: connections that are not plain sockets."""

import anyio
from anyio.abc import ByteStream, SocketAttribute

from chatproto_sync._addresses import describe
from chatproto_sync._carrier import READ_SIZE
from chatproto_sync._driver import Driver

from ._streams import GONE, close


class StreamCarrier:
    """A connection on any byte stream: two tasks over the broker that the sockets use.

    Args:
        driver: Whose broker decides.
        stream: The connection; closed at the end.
    """

    def __init__(self, driver: Driver, stream: ByteStream) -> None:
        self._driver = driver
        self._stream = stream
        self._scope = anyio.CancelScope()
        self._more = anyio.Event()

    def carry(self) -> None:
        """See `chatproto_sync._carrier.Carrier`."""
        if self._driver.broker.finished(self):
            self._scope.cancel()
        else:
            self._more.set()

    async def run(self) -> None:
        """Carry until one side ends it. However that comes about, nothing of it is left."""
        driver = self._driver
        try:
            driver.tick()
            driver.broker.connect(self, _describe(self._stream))
            driver.settle()
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._write)
                    await self._read()
        except* GONE:
            # That the broker is told of it below says so.
            pass
        finally:
            driver.broker.disconnect(self)
            driver.settle()
            # A drain may be waiting for this one.
            driver.wake()
            await close(self._stream)

    async def _read(self) -> None:
        driver, broker = self._driver, self._driver.broker
        while broker.reading(self):
            try:
                data = await self._stream.receive(READ_SIZE)
            except anyio.EndOfStream:
                broker.receive_eof(self)
            else:
                driver.tick()
                broker.receive(self, data)
            driver.settle()

    async def _write(self) -> None:
        broker = self._driver.broker
        while not broker.finished(self):
            # A copy, because the queue grows while this waits.
            data = bytes(broker.outgoing(self)[:READ_SIZE])
            if data:
                await self._stream.send(data)
                broker.sent(self, len(data))
            elif broker.take_half_close(self):
                try:
                    await self._stream.send_eof()
                except NotImplementedError:
                    # TLS in AnyIO can only close as a whole, and says goodbye while it does.
                    break
            else:
                self._more = anyio.Event()
                await self._more.wait()
        self._scope.cancel()


def _describe(stream: ByteStream) -> str:
    try:
        address = stream.extra(SocketAttribute.remote_address)
        return describe(address, stream.extra(SocketAttribute.family))
    except (anyio.TypedAttributeLookupError, OSError):
        # Not every stream has a socket, and not every socket still has a peer.
        return type(stream).__name__
