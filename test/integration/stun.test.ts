/** The coordinator's answer to tabs that ask under which address they are seen, over real sockets. */

import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { startStunServer } from '../../node/network/stun-server.ts'

async function startServer(port = 0) {
  const server = await startStunServer({ host: '127.0.0.1', port })
  onTestFinished(() => server.close())
  return server
}

async function openSocket(): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  onTestFinished(() => void socket.close())
  return socket
}

test('who asks is told its own address, and noise before it is passed over in silence', async () => {
  const { port } = await startServer()
  const socket = await openSocket()
  const question = Buffer.from('000100002112a4420102030405060708090a0b0c', 'hex')
  const heard = once(socket, 'message')
  socket.send('noise', port, '127.0.0.1')
  socket.send(question, port, '127.0.0.1')

  const [answer] = (await heard) as [Buffer]
  expect(answer.subarray(8, 20)).toEqual(question.subarray(8, 20))
  expect(answer.readUInt16BE(26) ^ 0x2112).toBe(socket.address().port)
  expect((answer.readUInt32BE(28) ^ 0x2112a442) >>> 0).toBe(0x7f000001)
})

test('a port that another program has is named', async () => {
  const { port } = await startServer()
  await expect(startServer(port)).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    message: `UDP port ${port} is in use by another program`,
  })
})
