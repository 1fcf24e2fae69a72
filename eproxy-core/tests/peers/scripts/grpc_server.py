# A service with each kind of call, and that for health checking, whose messages are bytes.
import sys
import threading
import time
from concurrent import futures

import grpc

cancelled = threading.Event()
SERVING = b'\x08\x01'


def unary(request, context):
    metadata = dict(context.invocation_metadata())
    context.send_initial_metadata((('x-initial', metadata.get('x-asked', 'nothing')), ('x-bytes-bin', b'\0\xff\n')))
    context.set_trailing_metadata((('x-final', metadata.get('x-asked', 'nothing')), ('x-bytes-bin', b'\xfe\0\r')))
    return request


def server_stream(request, context):
    for number in range(int(request)):
        yield b'%d' % number


def client_stream(requests, context):
    return b','.join(requests)


def both(requests, context):
    for request in requests:
        yield request


# The code and the details are those of the request.
def fail(request, context):
    code, details = request.decode().split(' ', 1)
    context.set_trailing_metadata((('x-final', 'of a failure'),))
    code = next(known for known in grpc.StatusCode if known.value[0] == int(code))
    context.abort(code, details)


# Answers a few times, and fails then.
def break_off(request, context):
    yield b'one'
    yield b'two'
    context.abort(grpc.StatusCode.DATA_LOSS, 'it broke off')


# How much time the client gives.
def time_left(request, context):
    left = context.time_remaining()
    # Without a deadline, some versions say that it is ages.
    return b'none' if left is None or left > 1e6 else b'%f' % left


# Never ends by itself.
def wait(request, context):
    context.add_callback(cancelled.set)
    while context.is_active():
        yield b'still here'
        time.sleep(0.02)


def was_cancelled(request, context):
    is_so = cancelled.wait(10)
    cancelled.clear()
    return b'yes' if is_so else b'no'


def check(request, context):
    if request == b'\x0a\x07nowhere':
        context.abort(grpc.StatusCode.NOT_FOUND, 'no such service')
    return SERVING


def watch(request, context):
    yield SERVING
    while context.is_active():
        time.sleep(0.02)


kinds = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
test = grpc.method_handlers_generic_handler('test.Test', {
    'Unary': kinds[0](unary),
    'ServerStream': kinds[1](server_stream),
    'ClientStream': grpc.stream_unary_rpc_method_handler(client_stream),
    'Both': grpc.stream_stream_rpc_method_handler(both),
    'Fail': kinds[0](fail),
    'BreakOff': kinds[1](break_off),
    'TimeLeft': kinds[0](time_left),
    'Wait': kinds[1](wait),
    'WasCancelled': kinds[0](was_cancelled),
})
health = grpc.method_handlers_generic_handler('grpc.health.v1.Health', {
    'Check': kinds[0](check),
    'Watch': kinds[1](watch),
})
options = ('grpc.max_receive_message_length', -1), ('grpc.max_send_message_length', -1), ('grpc.so_reuseport', 0)
server = grpc.server(futures.ThreadPoolExecutor(40), (test, health), options=options)
address = f'127.0.0.1:{sys.argv[1]}'
if sys.argv[2] == 'secure':
    files = [open(name, 'rb').read() for name in ('key.pem', 'cert.pem')]
    server.add_secure_port(address, grpc.ssl_server_credentials([tuple(files)]))
else:
    server.add_insecure_port(address)
server.start()
server.wait_for_termination()
