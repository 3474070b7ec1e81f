import anyio
from chatproto_anyio import connect


async def main() -> None:
    async with connect(name="pong", reconnect=True) as chat:
        async for message in chat:
            print(message)
            if message.data == b"ping":
                await chat.reply(message, "pong")


anyio.run(main)
