// Serves what checks.rs asks for, with Node's own HTTP server.
const http = require('http')

const file = Array.from({ length: 1 << 17 }, (_, number) => String(number).padStart(7, '0') + '\n').join('')

const routes = {
  // Its length is said beforehand: to a HEAD Node would not say it.
  '/hello': (req, res) => res.writeHead(200, { 'Content-Length': 5 }).end('hello'),
  // As the body comes.
  '/echo': (req, res) => req.pipe(res),
  '/none': (req, res) => res.writeHead(204).end(),
  '/file': (req, res) => {
    res.setHeader('ETag', '"the file"')
    if (req.headers['if-none-match'] === '"the file"') res.writeHead(304).end()
    else res.end(file)
  },
  '/chunked': (req, res) => {
    for (let at = 0; at < file.length; at += 10007) res.write(file.slice(at, at + 10007))
    res.end()
  },
  '/port': (req, res) => res.end(String(req.socket.remotePort)),
  '/last': (req, res) => res.end('last', () => req.socket.destroySoon()),
}

const server = http.createServer((req, res) => {
  const route = routes[req.url]
  if (route) route(req, res)
  else res.writeHead(404).end()
})
server.keepAliveTimeout = 60000
server.listen(Number(process.argv[1]), '127.0.0.1')
