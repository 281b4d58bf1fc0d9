/** The discovery service on a network that is not there: what it does about connections that do not last. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, test } from 'vitest'
import { type DiscoveryInit, discovery } from '../../../protocols/discovery/index.ts'
import { encodeHello, helloTopic } from '../../../protocols/discovery/messages.ts'
import { VirtualTime } from '../coordinator/virtual-time.ts'

const self: DiscoveryInit['self'] = { role: 'node', backend: 'wasm', threads: 2, clientOnly: false }

/** A peer on that network; `open` answers its dials, after whatever it lets `events` tell. */
async function startAlone(
  open: (addresses: readonly unknown[], events: EventTarget, nowMs: number) => Promise<unknown>,
  init: Partial<DiscoveryInit> = {},
) {
  const time = new VirtualTime()
  const events = new EventTarget()
  const pubsub = Object.assign(new EventTarget(), {
    topicValidators: new Map(),
    subscribe() {},
    publish: async () => {},
  })
  const components = {
    peerId: await newPeer(),
    events,
    pubsub,
    connectionManager: {
      openConnection: (addresses: unknown[]) => open(addresses, events, time.clock.now()),
      getConnections: () => [],
    },
    addressManager: { getAddresses: () => [] },
  }
  const create = discovery({ self, clock: time.clock, unixMs: () => time.clock.now(), ...init })
  const service = create(components as unknown as Parameters<typeof create>[0])
  service.start()
  service.afterStart()
  return { time, pubsub, service }
}

test('a bootstrap peer that hangs up before the dial has come back is dialled again', async () => {
  const coordinator = await newPeer()
  const dials: number[] = []
  const bootstrap = [`/ip4/192.0.2.7/tcp/4001/p2p/${coordinator}`]
  const { time, service } = await startAlone(
    async (_, events, nowMs) => {
      dials.push(nowMs)
      events.dispatchEvent(new CustomEvent('peer:connect', { detail: coordinator }))
      events.dispatchEvent(new CustomEvent('peer:disconnect', { detail: coordinator }))
      return { remotePeer: coordinator, status: 'closed' }
    },
    { bootstrap },
  )
  await time.pass(3_000)
  await service.beforeStop()
  service.stop()
  expect(dials[0]).toBe(0)
  expect(dials.length).toBeGreaterThanOrEqual(3)
})

test('of what a peer says where it is, only addresses are believed, and those are dialled', async () => {
  const other = await newPeer()
  const dialled: string[] = []
  const { time, pubsub, service } = await startAlone(async (addresses) => {
    dialled.push(...addresses.map(String))
    throw new Error('nobody answers')
  })
  service.seek('bafyjob')
  const good = `/ip4/192.0.2.7/tcp/4001/ws/p2p/${other}`
  const hello = encodeHello({
    ...self,
    kind: 1,
    issued: 1,
    expires: 60_000,
    addresses: [`/teleport/ws/p2p/${other}`, good],
    job: { job: 'bafyjob', round: 0, root: 'bafyroot', weight: 0 },
  })
  const message = { type: 'signed', topic: helloTopic, from: other, data: hello }
  pubsub.dispatchEvent(new CustomEvent('message', { detail: message }))
  await time.pass(3_000)
  await service.beforeStop()
  expect(service.peers().map(({ addresses }) => addresses)).toEqual([[good]])
  expect(new Set(dialled)).toEqual(new Set([good]))
})

async function newPeer() {
  return peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
}
