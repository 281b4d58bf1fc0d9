/** The discovery service on a network that is not there: what it does about connections that do not last. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, test } from 'vitest'
import { type DiscoveryInit, discovery } from '../../../protocols/discovery/index.ts'
import { VirtualTime } from '../coordinator/virtual-time.ts'

const self: DiscoveryInit['self'] = { role: 'node', backend: 'wasm', threads: 2, clientOnly: false }

test('a bootstrap peer that hangs up before the dial has come back is dialled again', async () => {
  const time = new VirtualTime()
  const [own, coordinator] = await Promise.all([newPeer(), newPeer()])
  const events = new EventTarget()
  const dials: number[] = []
  const openConnection = async () => {
    dials.push(time.clock.now())
    events.dispatchEvent(new CustomEvent('peer:connect', { detail: coordinator }))
    events.dispatchEvent(new CustomEvent('peer:disconnect', { detail: coordinator }))
    return { remotePeer: coordinator, status: 'closed' }
  }
  const pubsub = Object.assign(new EventTarget(), {
    topicValidators: new Map(),
    subscribe() {},
    publish: async () => {},
  })
  const components = {
    peerId: own,
    events,
    pubsub,
    connectionManager: { openConnection, getConnections: () => [] },
    addressManager: { getAddresses: () => [] },
  }
  const bootstrap = [`/ip4/192.0.2.7/tcp/4001/p2p/${coordinator}`]
  const create = discovery({ self, bootstrap, clock: time.clock, unixMs: () => time.clock.now() })
  const service = create(components as unknown as Parameters<typeof create>[0])
  service.start()
  service.afterStart()
  await time.pass(3_000)
  await service.beforeStop()
  service.stop()
  expect(dials[0]).toBe(0)
  expect(dials.length).toBeGreaterThanOrEqual(3)
})

async function newPeer() {
  return peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
}
