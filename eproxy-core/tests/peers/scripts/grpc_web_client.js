// Makes calls of gRPC-Web to grpc_server.py, with the library of the gRPC project, and says that all is well.
const assert = require('assert')

globalThis.XMLHttpRequest = require('xhr2')
const { GrpcWebClientBase, MethodDescriptor, MethodType } = require('grpc-web')

const watch = setTimeout(() => process.exit(2), 20000)
const base = process.argv[1]

function method (type, name) {
  return new MethodDescriptor(`/test.Test/${name}`, type, Uint8Array, Uint8Array, bytes => bytes, bytes => Buffer.from(bytes))
}

function unary (client, name, message) {
  return new Promise((resolve, reject) => {
    const path = `${base}/test.Test/${name}`
    let status
    const call = client.rpcCall(path, message, { 'x-asked': 'a word' }, method(MethodType.UNARY, name), (error, answer) => {
      if (error) reject(error)
      else setImmediate(() => resolve({ answer, status }))
    })
    call.on('status', it => { status = it })
  })
}

function stream (client, name, message) {
  return new Promise((resolve, reject) => {
    const call = client.serverStreaming(`${base}/test.Test/${name}`, message, {}, method(MethodType.SERVER_STREAMING, name))
    const answers = []
    let status
    call.on('data', answer => answers.push(answer.toString()))
    call.on('status', it => { status = it })
    call.on('error', error => resolve({ answers, error }))
    call.on('end', () => resolve({ answers, status }))
  })
}

async function main () {
  for (const format of ['text', 'binary']) {
    const client = new GrpcWebClientBase({ format })
    for (const message of ['', 'hello', 'x'.repeat(300000)].map(text => Buffer.from(text))) {
      const { answer, status } = await unary(client, 'Unary', message)
      assert(answer.equals(message), `${format}: ${answer.length} bytes`)
      assert.strictEqual(status.code, 0)
      assert.strictEqual(status.metadata['x-final'], 'a word')
    }
    await assert.rejects(unary(client, 'Fail', Buffer.from('5 no such thing')), { code: 5, message: 'no such thing' })
    await assert.rejects(unary(client, 'Nothing', Buffer.from('')), { code: 12 })
    if (format === 'text') {
      // The other can't be read before its end.
      const { answers, status } = await stream(client, 'ServerStream', Buffer.from('100'))
      assert.deepStrictEqual(answers, Array.from({ length: 100 }, (_, number) => String(number)))
      assert.strictEqual(status.code, 0)
      const broken = await stream(client, 'BreakOff', Buffer.from(''))
      assert.deepStrictEqual(broken.answers, ['one', 'two'])
      assert.strictEqual(broken.error.code, 15)
    }
  }
  console.log('all is well')
}

main().then(() => { clearTimeout(watch); process.exit(0) }, error => { console.error(error); process.exit(1) })
