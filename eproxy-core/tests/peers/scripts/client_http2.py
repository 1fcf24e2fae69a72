# Asks on one connection what clients_http2.rs has served, and says that all is well.
import asyncio
import signal
import ssl
import sys

import httpx

signal.alarm(20)
url = sys.argv[1]
pieces = [b'some text ' * 5000] * 20


async def body():
    for piece in pieces:
        yield piece


async def main():
    verify = ssl.create_default_context(cafile='root.pem')
    # Without TLS, HTTP/2 is spoken because it is known to be.
    http1 = url.startswith('https')
    async with httpx.AsyncClient(http1=http1, http2=True, verify=verify, trust_env=False, base_url=url) as client:
        for _ in range(3):
            answer = await client.get('/hello')
            assert (answer.status_code, answer.http_version, answer.text) == (200, 'HTTP/2', 'hello'), answer
            answer = await client.head('/hello')
            assert (answer.headers['content-length'], answer.content) == ('5', b''), answer.headers
            answer = await client.get('/none')
            assert answer.status_code == 204, answer
            answer = await client.post('/echo', content=body())
            assert answer.content == b''.join(pieces), len(answer.content)
            answer = await client.post('/echo', content=b''.join(pieces))
            assert answer.content == b''.join(pieces), len(answer.content)
            answers = await asyncio.gather(*(client.get('/chunked') for _ in range(5)))
            assert all(len(answer.content) == 1 << 20 for answer in answers)


asyncio.run(main())
print('all is well')
