// Greets, echoes, and closes with the code that it is told.
const { WebSocketServer } = require('ws')

new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[1]) }).on('connection', socket => {
  socket.send('welcome')
  socket.on('message', (message, isBinary) => {
    const text = message.toString()
    if (!isBinary && text.startsWith('close ')) socket.close(Number(text.slice(6)), 'as told')
    else socket.send(message, { binary: isBinary })
  })
  socket.on('error', () => {})
})
