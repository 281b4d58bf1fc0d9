/**
 * Tells tabs which address the world sees them under, so that two of them behind home routers can reach each other
 * without the relay. The coordinator answers this itself: a server of strangers would learn who donates.
 *
 * It listens on UDP, on the port number at which the coordinator takes WebSockets: whoever knows one knows the other.
 */

import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { SwarmError } from '../../protocols/core/errors.ts'
import { answerBinding } from './stun-message.ts'

export interface StunServer {
  port: number
  close(): Promise<void>
}

/**
 * Starts to answer. `host`: an address of this machine, or one that stands for all of them; `port` 0 picks a free one.
 * @throws {SwarmError} PORT_IN_USE; USAGE when `host` is no address of this machine.
 */
export async function startStunServer({ host, port }: { host: string; port: number }): Promise<StunServer> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.bind(port, host)
  try {
    await once(socket, 'listening')
  } catch (cause) {
    throw bindError(host, port, cause)
  }
  socket.on('message', (datagram, { family, address, port }) => {
    const answer = answerBinding(datagram, { family, address, port })
    // An answer that cannot be sent is one that got lost: whoever asks asks again (RFC 8489, section 6.2.1).
    if (answer) socket.send(answer, port, address, () => {})
  })
  socket.on('error', () => {}) // of single datagrams: the socket goes on
  return {
    port: socket.address().port,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  }
}

function bindError(host: string, port: number, cause: unknown): SwarmError {
  if (cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE') {
    return new SwarmError('PORT_IN_USE', `UDP port ${port} is in use by another program`, {
      cause,
      hint: 'Tabs behind home routers now meet over the relay only. Free the port, or listen on another with --listen.',
    })
  }
  return new SwarmError('USAGE', `listening on UDP at ${host}, port ${port}, is not possible`, { cause })
}
