# Asks on one connection what clients.rs has served, and says that all is well.
import http.client
import signal
import sys

signal.alarm(20)
connection = http.client.HTTPConnection('127.0.0.1', int(sys.argv[1]))
used = set()


def ask(method, target, body=None, **options):
    connection.request(method, target, body, **options)
    used.add(connection.sock.getsockname())
    answer = connection.getresponse()
    return answer, answer.read()


pieces = [b'some text ' * 5000] * 20
for _ in range(3):
    answer, body = ask('GET', '/hello')
    assert (answer.status, body) == (200, b'hello'), (answer.status, body)
    answer, body = ask('HEAD', '/hello')
    assert (answer.getheader('Content-Length'), body) == ('5', b''), answer.getheaders()
    answer, body = ask('GET', '/none')
    assert answer.status == 204, answer.status
    # Without a length http.client sends chunks.
    answer, body = ask('POST', '/echo', iter(pieces), encode_chunked=True, headers={'Transfer-Encoding': 'chunked'})
    assert body == b''.join(pieces), len(body)
    answer, body = ask('POST', '/echo', b''.join(pieces))
    assert body == b''.join(pieces), len(body)
    answer, body = ask('GET', '/chunked')
    assert len(body) == 1 << 20, len(body)
assert len(used) == 1, used
connection.close()
print('all is well')
