/**
 * The yardstick for a tab's link to a node: a WebSocket with nothing on it. Reads frames of a client (RFC 6455) and
 * throws their bytes away; answers one byte when all have come. Only what a browser's binary frames need.
 */

import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

/** RFC 6455, section 1.3. */
const handshakeKey = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

export interface ByteSink {
  url: string
  close(): Promise<void>
}

/** A server on loopback that answers each client after `bytes` bytes of payload, and begins to count again. */
export async function rawWebSocketSink(bytes: number): Promise<ByteSink> {
  const server: Server = createServer()
  const sockets = new Set<Duplex>()
  server.on('upgrade', (request, socket) => {
    sockets.add(socket)
    const key = `${request.headers['sec-websocket-key']}${handshakeKey}`
    const accept = createHash('sha1').update(key).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    count(socket, bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}

/** One byte of binary payload, unmasked as a server sends it. */
const answer = Uint8Array.of(0x82, 1, 1)

function count(socket: Duplex, bytes: number): void {
  let head: Buffer = Buffer.alloc(0)
  let left = 0
  let seen = 0
  socket.on('error', () => {}) // the page went away
  socket.on('data', (chunk: Buffer) => {
    let data = head.length === 0 ? chunk : Buffer.concat([head, chunk])
    head = Buffer.alloc(0)
    while (data.length > 0) {
      if (left === 0) {
        const header = readHeader(data)
        if (header === undefined) {
          head = data
          return
        }
        left = header.payload
        data = data.subarray(header.length)
      }
      const taken = Math.min(left, data.length)
      left -= taken
      seen += taken
      data = data.subarray(taken)
      if (seen >= bytes && left === 0) {
        seen = 0
        socket.write(answer)
      }
    }
  })
}

/** Lengths of a masked frame's header and payload; undefined while it is not whole. */
function readHeader(data: Buffer): { length: number; payload: number } | undefined {
  if (data.length < 2) return undefined
  const short = data[1]! & 0x7f
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0
  const length = 2 + extended + 4
  if (data.length < length) return undefined
  if (extended === 0) return { length, payload: short }
  return { length, payload: extended === 2 ? data.readUInt16BE(2) : Number(data.readBigUInt64BE(2)) }
}
