// Asks on one connection what clients_http2.rs has served, all at once, and says that all is well.
const assert = require('assert')
const fs = require('fs')
const http2 = require('http2')

const watch = setTimeout(() => process.exit(2), 20000)
const session = http2.connect(process.argv[1], { ca: fs.readFileSync('root.pem'), family: 4 })

function ask (method, path, pieces, headers = {}) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: !pieces })
    const parts = []
    let head
    stream.on('response', headers => { head = headers })
    stream.on('data', part => parts.push(part))
    stream.on('end', () => resolve({ status: head[':status'], headers: head, body: Buffer.concat(parts) }))
    stream.on('error', reject)
    for (const piece of pieces || []) stream.write(piece)
    if (pieces) stream.end()
  })
}

// Goes away before the answer has come.
function cancel (path) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': path })
    stream.on('error', reject)
    stream.on('close', resolve)
    stream.write('the beginning')
    setImmediate(() => stream.close(http2.constants.NGHTTP2_CANCEL))
  })
}

async function main () {
  const piece = Buffer.alloc(50000, 'some text ')
  const pieces = Array(20).fill(piece)
  for (let round = 0; round < 3; round++) {
    const [hello, head, none, echo, chunked, file] = await Promise.all([
      ask('GET', '/hello'), ask('HEAD', '/hello'), ask('GET', '/none'), ask('POST', '/echo', pieces),
      ask('GET', '/chunked'), ask('GET', '/file'), cancel('/echo')
    ])
    assert.strictEqual(hello.body.toString(), 'hello')
    assert.strictEqual(head.headers['content-length'], '5')
    assert.strictEqual(none.status, 204)
    assert(echo.body.equals(Buffer.concat(pieces)), `${echo.body.length} bytes`)
    assert.strictEqual(chunked.body.length, 1 << 20)
    assert(file.body.equals(chunked.body))
    const known = await ask('GET', '/file', null, { 'if-none-match': file.headers.etag })
    assert.strictEqual(known.status, 304)
  }
  // As many as are allowed at once, and more.
  const many = await Promise.all(Array.from({ length: 150 }, (_, number) => ask('POST', '/echo', [String(number)])))
  many.forEach((answer, number) => assert.strictEqual(answer.body.toString(), String(number)))
  await new Promise((resolve, reject) => session.ping((error) => error ? reject(error) : resolve()))
  await new Promise(resolve => session.close(resolve))
  console.log('all is well')
}

main().then(() => clearTimeout(watch), error => { console.error(error); process.exit(1) })
