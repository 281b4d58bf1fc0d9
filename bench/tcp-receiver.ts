/**
 * The far end of a raw TCP stream: takes bytes as fast as they come and says when the announced number of them is here.
 */

import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { answer } from './child.ts'

export interface TcpReceiverCalls {
  /** Listens on loopback and tells the port. */
  listen: { asks: undefined; answers: { port: number } }
  /** Answers one byte to every `bytes` received, from now on. */
  expect: { asks: { bytes: number }; answers: undefined }
}

let expected = 0
let received = 0

const server = createServer((socket) => {
  socket.setNoDelay(true)
  socket.on('data', (chunk) => {
    received += chunk.length
    if (received < expected) return
    received -= expected
    socket.write(Uint8Array.of(1))
  })
})

answer<TcpReceiverCalls>({
  listen: async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return { port: (server.address() as AddressInfo).port }
  },
  expect: async ({ bytes }) => {
    expected = bytes
    received = 0
    return undefined
  },
})
