// Serves what checks.rs asks for, with Node's own HTTP/2 server, over TLS if that is wanted.
const fs = require('fs')
const http2 = require('http2')

const file = Array.from({ length: 1 << 17 }, (_, number) => String(number).padStart(7, '0') + '\n').join('')

const routes = {
  '/hello': (req, res) => res.writeHead(200, { 'content-length': 5 }).end('hello'),
  // As the body comes.
  '/echo': (req, res) => req.pipe(res),
  '/none': (req, res) => res.writeHead(204).end(),
  '/file': (req, res) => {
    res.setHeader('etag', '"the file"')
    if (req.headers['if-none-match'] === '"the file"') res.writeHead(304).end()
    else res.end(file)
  },
  '/chunked': (req, res) => {
    for (let at = 0; at < file.length; at += 10007) res.write(file.slice(at, at + 10007))
    res.end()
  },
  '/port': (req, res) => res.end(String(req.socket.remotePort)),
  // No further stream of this connection is taken.
  '/last': (req, res) => { res.end('last'); req.stream.session.close() },
}

function serve (req, res) {
  const route = routes[req.url]
  if (route) route(req, res)
  else res.writeHead(404).end()
}

const server = process.argv[2] === 'secure'
  ? http2.createSecureServer({ cert: fs.readFileSync('cert.pem'), key: fs.readFileSync('key.pem') }, serve)
  : http2.createServer(serve)
// Whoever goes away leaves errors behind.
server.on('sessionError', () => {})
server.on('stream', stream => stream.on('error', () => {}))
server.listen(Number(process.argv[1]), '127.0.0.1')
