# Makes each kind of call that grpc_server.py knows, and says that all is well.
import signal
import sys
import threading
import time
from concurrent import futures

import grpc

signal.alarm(50)
target, kind = sys.argv[1:3]
options = [('grpc.max_receive_message_length', -1), ('grpc.max_send_message_length', -1), ('grpc.enable_http_proxy', 0)]
if kind == 'secure':
    credentials = grpc.ssl_channel_credentials(open('root.pem', 'rb').read())
    channel = grpc.secure_channel(target, credentials, options)
else:
    channel = grpc.insecure_channel(target, options)


def method(kind, name):
    return getattr(channel, kind)(f'/test.Test/{name}')


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError('it does not fail')


unary = method('unary_unary', 'Unary')
fail = method('unary_unary', 'Fail')
time_left = method('unary_unary', 'TimeLeft')
wait = method('unary_stream', 'Wait')
was_cancelled = method('unary_unary', 'WasCancelled')

# Messages of all sizes, with metadata at both ends.
for message in b'', b'hello', bytes(range(256)) * 100, b'x' * (5 << 20):
    answer, call = unary.with_call(message, metadata=[('x-asked', 'a word')], timeout=20)
    assert answer == message, (len(answer), len(message))
    initial, final = dict(call.initial_metadata()), dict(call.trailing_metadata())
    assert (initial['x-initial'], initial['x-bytes-bin']) == ('a word', b'\0\xff\n'), initial
    assert (final['x-final'], final['x-bytes-bin']) == ('a word', b'\xfe\0\r'), final
    assert (call.code(), call.details()) == (grpc.StatusCode.OK, ''), call

# Streams.
answers = list(method('unary_stream', 'ServerStream')(b'500'))
assert answers == [b'%d' % number for number in range(500)], len(answers)
answer = method('stream_unary', 'ClientStream')(iter([b'%d' % number for number in range(500)]))
assert answer == b','.join(b'%d' % number for number in range(500)), answer
large = [bytes([number]) * 300_000 for number in range(20)]
assert list(method('stream_stream', 'Both')(iter(large))) == large

# A conversation: what is said next depends on what was heard.
heard = threading.Semaphore(0)


def talk():
    for number in range(50):
        yield b'%d' % number
        assert heard.acquire(timeout=10)


for number, answer in enumerate(method('stream_stream', 'Both')(talk())):
    assert answer == b'%d' % number
    heard.release()
assert number == 49

# How calls end. Unary calls that fail have no answer but their trailers.
for code in grpc.StatusCode:
    if code is not grpc.StatusCode.OK:
        details = f'grün & 100 % "{code.name}"'
        error = failure(lambda: fail(f'{code.value[0]} {details}'.encode()))
        assert (error.code(), error.details()) == (code, details), error
        assert dict(error.trailing_metadata())['x-final'] == 'of a failure', error
answers = method('unary_stream', 'BreakOff')(b'')
assert (next(answers), next(answers)) == (b'one', b'two')
error = failure(lambda: next(answers))
assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, 'it broke off'), error
error = failure(lambda: channel.unary_unary('/test.Test/Nothing')(b''))
assert error.code() is grpc.StatusCode.UNIMPLEMENTED, error

# Deadlines reach the server, and end what they have to.
assert time_left(b'') == b'none'
left = float(time_left(b'', timeout=5))
assert 0 < left < 6, left
error = failure(lambda: list(wait(b'', timeout=0.3)))
assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED, error
assert was_cancelled(b'') == b'yes'

# So do cancellations.
answers = wait(b'')
assert next(answers) == b'still here'
answers.cancel()
error = failure(lambda: list(answers))
assert error.code() is grpc.StatusCode.CANCELLED, error
assert was_cancelled(b'') == b'yes'

# Many at once.
with futures.ThreadPoolExecutor(30) as pool:
    messages = [b'%d' % number * 1000 for number in range(300)]
    assert list(pool.map(unary, messages)) == messages

# Health checking.
check = channel.unary_unary('/grpc.health.v1.Health/Check')
assert check(b'') == b'\x08\x01'
error = failure(lambda: check(b'\x0a\x07nowhere'))
assert error.code() is grpc.StatusCode.NOT_FOUND, error
watch = channel.unary_stream('/grpc.health.v1.Health/Watch')(b'')
assert next(watch) == b'\x08\x01'
watch.cancel()

channel.close()
print('all is well')
