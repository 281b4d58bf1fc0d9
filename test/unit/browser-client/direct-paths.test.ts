/** How two tabs that met over a relay come to a direct path: who dials, and when the relayed connection is closed. */

import type { Connection, PeerId } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { type Paths, preferDirectPaths } from '../../../browser-client/peer/direct-paths.ts'
import { VirtualTime } from '../coordinator/virtual-time.ts'

const relay = '/ip4/127.0.0.1/tcp/1/ws/p2p/12D3KooWG3TgNskxMKB3VPsAg5gXNC2Cxh4jYdT83XQymhGk44B9/p2p-circuit'
const directAddress = `${relay}/webrtc`

/** One side of the path between `self` and `other`, whose connections the test opens. */
class Side {
  readonly time = new VirtualTime()
  /** When it dialled, ms. */
  readonly dials: number[] = []
  readonly #events = new EventTarget()
  readonly #connections: Connection[] = []
  readonly #other: PeerId
  readonly stop: () => void

  constructor(self: string, other: string, role: 'tab' | 'node' = 'tab') {
    this.#other = { toString: () => other } as PeerId
    const paths = {
      self,
      libp2p: {
        getConnections: () => this.#connections,
        dial: async () => {
          this.dials.push(this.time.clock.now())
          throw new Error('no way')
        },
        addEventListener: this.#events.addEventListener.bind(this.#events),
        removeEventListener: this.#events.removeEventListener.bind(this.#events),
      },
      services: { discovery: { peers: () => [{ peer: other, role, addresses: [relay, directAddress] }] } },
    }
    this.stop = preferDirectPaths(paths as unknown as Paths, this.time.clock)
  }

  open(address: string, direction: Connection['direction']): void {
    const connection = {
      remotePeer: this.#other,
      remoteAddr: multiaddr(address),
      direction,
      close: async () => void this.#connections.splice(this.#connections.indexOf(connection), 1),
    } as unknown as Connection
    this.#connections.push(connection)
    this.#events.dispatchEvent(new CustomEvent('connection:open', { detail: connection }))
  }

  get addresses(): string[] {
    return this.#connections.map(({ remoteAddr }) => remoteAddr.toString())
  }
}

test('of two tabs on a relay the lesser id dials, and the other only after the time of a whole dial', async () => {
  const [lesser, greater] = [new Side('a', 'b'), new Side('b', 'a')]
  lesser.open(relay, 'outbound')
  greater.open(relay, 'inbound')
  for (const { time } of [lesser, greater]) await time.pass(14_000)
  expect(lesser.dials).toEqual([3_000, 7_000])
  expect(greater.dials).toEqual([13_000])
})

test('a tab does not wait for a node, which cannot dial it', async () => {
  const tab = new Side('b', 'a', 'node')
  tab.open(relay, 'inbound')
  await tab.time.pass(4_000)
  expect(tab.dials).toEqual([3_000])
})

test('the relayed connection stays until the other side has its end of the direct one', async () => {
  const sides = { outbound: new Side('a', 'b'), inbound: new Side('b', 'a') } as const
  for (const direction of ['outbound', 'inbound'] as const) {
    const side = sides[direction]
    side.open(relay, direction)
    side.open(directAddress, direction)
    await side.time.pass(2_900)
    expect(side.addresses).toEqual([relay, directAddress])
  }
  await sides.outbound.time.pass(200)
  expect(sides.outbound.addresses).toEqual([directAddress])
  await sides.inbound.time.pass(10_000) // 12.9 s: a dial may take ten, and is over
  expect(sides.inbound.addresses).toEqual([relay, directAddress])
  await sides.inbound.time.pass(200)
  expect(sides.inbound.addresses).toEqual([directAddress])
  expect([...sides.outbound.dials, ...sides.inbound.dials]).toEqual([])
})

test('a stopped tab dials nobody any more', async () => {
  const tab = new Side('a', 'b')
  tab.open(relay, 'outbound')
  tab.stop()
  await tab.time.pass(60_000)
  expect(tab.dials).toEqual([])
})
