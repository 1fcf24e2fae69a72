# Greets, echoes, and closes with the code that it is told.
import asyncio
import sys

import websockets


async def serve(socket, *_):
    await socket.send('welcome')
    async for message in socket:
        if isinstance(message, str) and message.startswith('close '):
            await socket.close(int(message.split()[1]), 'as told')
        else:
            await socket.send(message)


async def main():
    async with websockets.serve(serve, '127.0.0.1', int(sys.argv[1]), max_size=4 << 20, ping_interval=None):
        await asyncio.Future()


asyncio.run(main())
