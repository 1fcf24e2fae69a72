# Speaks with a server that websockets.rs has started, and says that all is well.
import asyncio
import signal
import sys

import websockets

signal.alarm(20)


async def main():
    url = f'ws://127.0.0.1:{sys.argv[1]}/chat'
    async with websockets.connect(url, max_size=4 << 20, ping_interval=None) as socket:
        assert await socket.recv() == 'welcome'
        for message in 'hello', '', b'\0\xff\r\n\r\n', b'some text ' * 100_000:
            await socket.send(message)
            assert await socket.recv() == message
        # In pieces.
        await socket.send(iter(['one, ', 'two, ', 'three']))
        assert await socket.recv() == 'one, two, three'
        await asyncio.wait_for(await socket.ping(b'are you there?'), 10)
        await socket.send('close 4003')
        try:
            await socket.recv()
            raise AssertionError('it goes on')
        except websockets.ConnectionClosed as end:
            assert (end.rcvd.code, end.rcvd.reason) == (4003, 'as told'), end
    print('all is well')


asyncio.run(main())
