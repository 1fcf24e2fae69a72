// Speaks with a server that websockets.rs has started, and says that all is well.
const assert = require('assert')
const { once } = require('events')
const WebSocket = require('ws')

const watch = setTimeout(() => process.exit(2), 20000)

async function main () {
  const socket = new WebSocket(`ws://127.0.0.1:${process.argv[1]}/chat`)
  // Whatever comes while nobody waits for it is kept.
  const heard = []
  let wake = () => {}
  socket.on('message', (message, isBinary) => {
    heard.push(isBinary ? message : message.toString())
    wake()
  })
  const hear = async () => {
    while (!heard.length) await new Promise(resolve => { wake = resolve })
    return heard.shift()
  }
  await once(socket, 'open')
  assert.strictEqual(await hear(), 'welcome')
  for (const message of ['hello', '', Buffer.from('\0\xff\r\n\r\n'), Buffer.alloc(1000000, 'some text ')]) {
    socket.send(message)
    assert.deepStrictEqual(await hear(), message)
  }
  // In pieces.
  socket.send('one, ', { fin: false })
  socket.send('two, ', { fin: false })
  socket.send('three', { fin: true })
  assert.strictEqual(await hear(), 'one, two, three')
  socket.ping('are you there?')
  const [pong] = await once(socket, 'pong')
  assert.strictEqual(pong.toString(), 'are you there?')
  socket.send('close 4003')
  const [code, reason] = await once(socket, 'close')
  assert.deepStrictEqual([code, reason.toString()], [4003, 'as told'])
  console.log('all is well')
}

main().then(() => clearTimeout(watch), error => { console.error(error); process.exit(1) })
