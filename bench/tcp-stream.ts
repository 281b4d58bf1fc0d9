/**
 * The yardstick for everything that moves bytes: one stream of node:net from this process to another on loopback, no
 * encryption, no framing, no hashing.
 */

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Child, sharedNowMs } from './child.ts'
import type { TcpReceiverCalls } from './tcp-receiver.ts'

/** Bytes of one write: at 64 KiB a stream is slower, above 1 MiB it is no faster. */
const chunkBytes = 1 << 20

export class TcpStream {
  readonly #receiver: Child<TcpReceiverCalls>
  readonly #socket: Socket
  readonly #chunk = new Uint8Array(chunkBytes)

  private constructor(receiver: Child<TcpReceiverCalls>, socket: Socket) {
    this.#receiver = receiver
    this.#socket = socket
  }

  /** Starts the receiving process and connects to it. */
  static async open(): Promise<TcpStream> {
    const receiver = new Child<TcpReceiverCalls>('bench-tcp-receiver')
    const { port } = await receiver.ask('listen', undefined)
    const socket = connect(port, '127.0.0.1')
    socket.setNoDelay(true)
    await once(socket, 'connect')
    return new TcpStream(receiver, socket)
  }

  /** Milliseconds from the first byte written to the receiver's word that all `bytes` are there. */
  async transferMs(bytes: number): Promise<number> {
    await this.#receiver.ask('expect', { bytes })
    const startedMs = sharedNowMs()
    const arrived = once(this.#socket, 'data')
    for (let sent = 0; sent < bytes; sent += chunkBytes) {
      const rest = Math.min(chunkBytes, bytes - sent)
      if (!this.#socket.write(this.#chunk.subarray(0, rest))) await once(this.#socket, 'drain')
    }
    await arrived
    return sharedNowMs() - startedMs
  }

  async close(): Promise<void> {
    this.#socket.destroy()
    await this.#receiver.close()
  }
}
