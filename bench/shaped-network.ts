/**
 * Links like those of homes, without privileges: every connection between two peers goes through a proxy here, which
 * lets its bytes pass at the pace of the sender's uplink and the receiver's downlink, and half a round trip later.
 *
 *     peer i ──▶ port (i, j) ──▶ [uplink i] ──▶ [downlink j] ──▶ rtt / 2 ──▶ peer j, and back the same way
 *
 * All connections of a peer share its two links. A link that is `bufferMs` behind takes no more: the sender's socket
 * waits, as it would for a modem. TCP itself runs over loopback on either side, so its slow start and losses are not in
 * here.
 */

import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { answer } from './child.ts'

export interface ShapedNetworkCalls {
  /** `ports`: where each peer listens. Answers `[i][j]`: the port at which peer `i` reaches peer `j`. */
  open: {
    asks: { ports: number[]; bytesPerSecond: number; rttMs: number }
    answers: { ports: number[][] }
  }
}

/** How far behind a link may be: less than a modem's buffer, more than the timers' grain. */
const bufferMs = 20

/** One direction of one peer's link: bytes pass one after another. */
class Link {
  freeMs = 0
  readonly #msPerByte: number

  constructor(bytesPerSecond: number) {
    this.#msPerByte = 1000 / bytesPerSecond
  }

  /** The moment at which `bytes` that come at `atMs` have passed. */
  pass(bytes: number, atMs: number): number {
    this.freeMs = Math.max(atMs, this.freeMs) + bytes * this.#msPerByte
    return this.freeMs
  }
}

answer<ShapedNetworkCalls>({
  open: async ({ ports, bytesPerSecond, rttMs }) => {
    const ups = ports.map(() => new Link(bytesPerSecond))
    const downs = ports.map(() => new Link(bytesPerSecond))
    const proxy = async (from: number, to: number): Promise<number> => {
      const server = createServer((near) => {
        const far = connect(ports[to]!, '127.0.0.1')
        shape(near, far, ups[from]!, downs[to]!, rttMs / 2)
        shape(far, near, ups[to]!, downs[from]!, rttMs / 2)
      })
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      return (server.address() as AddressInfo).port
    }
    return {
      ports: await Promise.all(
        ports.map((_, from) =>
          Promise.all(ports.map((_, to) => (from === to ? Promise.resolve(0) : proxy(from, to)))),
        ),
      ),
    }
  },
})

/** What `source` says reaches `target` at the pace of the two links, in the order in which it was said. */
function shape(source: Socket, target: Socket, up: Link, down: Link, delayMs: number): void {
  const underWay: { chunk: Buffer; dueMs: number }[] = []
  const deliver = () => {
    const nowMs = performance.now()
    while (underWay.length > 0 && underWay[0]!.dueMs <= nowMs) target.write(underWay.shift()!.chunk)
    if (underWay.length > 0) setTimeout(deliver, underWay[0]!.dueMs - nowMs)
  }
  source.setNoDelay(true)
  source.on('data', (chunk) => {
    const nowMs = performance.now()
    // the downlink takes the bytes as they come out of the uplink, so a free one adds nothing
    const sentMs = up.pass(chunk.length, nowMs)
    const passedMs = Math.max(sentMs, down.pass(chunk.length, nowMs))
    underWay.push({ chunk, dueMs: passedMs + delayMs })
    if (underWay.length === 1) setTimeout(deliver, passedMs + delayMs - nowMs)
    if (passedMs - nowMs <= bufferMs) return
    source.pause()
    setTimeout(() => source.resume(), passedMs - nowMs - bufferMs / 2)
  })
  source.on('close', () => target.destroy())
  source.on('error', () => target.destroy())
}
