# Serves what checks.rs asks for, with http.server.
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FILE = b''.join(b'%07d\n' % number for number in range(1 << 17))
TAG = '"the file"'


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        match self.path:
            case '/hello':
                self.answer(b'hello')
            case '/none':
                self.send_response(204)
                self.end_headers()
            case '/file' if self.headers['If-None-Match'] == TAG:
                self.send_response(304)
                self.send_header('ETag', TAG)
                self.end_headers()
            case '/file':
                self.answer(FILE)
            case '/chunked':
                self.send_response(200)
                self.send_header('Transfer-Encoding', 'chunked')
                self.end_headers()
                for at in range(0, len(FILE), 10007):
                    piece = FILE[at:at + 10007]
                    self.wfile.write(b'%x\r\n%b\r\n' % (len(piece), piece))
                self.wfile.write(b'0\r\n\r\n')
            case '/port':
                self.answer(b'%d' % self.client_address[1])
            case '/last':
                self.answer(b'last')
                self.close_connection = True
            case _:
                self.send_error(404)

    do_HEAD = do_GET

    def do_POST(self):
        self.answer(self.body())

    def body(self):
        if self.headers['Transfer-Encoding'] != 'chunked':
            return self.rfile.read(int(self.headers.get('Content-Length', 0)))
        body = b''
        while size := int(self.rfile.readline().split(b';')[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def answer(self, body):
        self.send_response(200)
        self.send_header('ETag', TAG)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)


ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
