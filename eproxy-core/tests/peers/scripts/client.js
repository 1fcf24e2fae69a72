// Asks on one connection what clients.rs has served, and says that all is well.
const assert = require('assert')
const http = require('http')

const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
const watch = setTimeout(() => process.exit(2), 20000)

function ask (method, path, pieces, headers = {}) {
  return new Promise((resolve, reject) => {
    const req = http.request({ host: '127.0.0.1', port: process.argv[1], agent, method, path, headers }, res => {
      const parts = []
      res.on('data', part => parts.push(part))
      res.on('end', () => resolve({
        status: res.statusCode, headers: res.headers, body: Buffer.concat(parts), isReused: req.reusedSocket
      }))
      res.on('error', reject)
    })
    req.on('error', reject)
    const send = () => { for (const piece of pieces) req.write(piece); req.end() }
    // With leave, or at once.
    if (headers.Expect) req.on('continue', send)
    else send()
  })
}

async function main () {
  const piece = Buffer.alloc(50000, 'some text ')
  const pieces = Array(20).fill(piece)
  for (let round = 0; round < 3; round++) {
    let answer = await ask('GET', '/hello', [])
    assert.strictEqual(answer.body.toString(), 'hello')
    assert.strictEqual(answer.isReused, round > 0)
    answer = await ask('HEAD', '/hello', [])
    assert.strictEqual(answer.headers['content-length'], '5')
    answer = await ask('GET', '/none', [])
    assert.strictEqual(answer.status, 204)
    // Without a length Node sends chunks.
    answer = await ask('POST', '/echo', pieces)
    assert(answer.body.equals(Buffer.concat(pieces)), `${answer.body.length} bytes`)
    answer = await ask('POST', '/echo', pieces, { 'Content-Length': 20 * piece.length })
    assert(answer.body.equals(Buffer.concat(pieces)), `${answer.body.length} bytes`)
    answer = await ask('POST', '/echo', [piece], { Expect: '100-continue' })
    assert(answer.body.equals(piece), `${answer.body.length} bytes`)
    answer = await ask('GET', '/chunked', [])
    assert.strictEqual(answer.body.length, 1 << 20)
    assert.strictEqual(answer.isReused, true)
  }
  console.log('all is well')
}

main().then(() => { clearTimeout(watch); agent.destroy() }, error => { console.error(error); process.exit(1) })
