# Makes a call that fails, and says how.
import signal
import sys

import grpc

signal.alarm(20)
channel = grpc.insecure_channel(sys.argv[1], [('grpc.enable_http_proxy', 0)])
try:
    channel.unary_unary('/test.Test/Unary')(b'', timeout=15)
    print('it went well')
except grpc.RpcError as error:
    print(f'{error.code().name}: {error.details()}')
