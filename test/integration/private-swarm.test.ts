/** A private swarm: who has its key is in, over every way there is to a peer, and nobody else. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, test } from 'vitest'
import { waitForJob } from '../../browser-client/peer/wait-for-job.ts'
import { dialFailure } from '../../node/network/dial-failure.ts'
import { createNode } from '../../node/network/libp2p.ts'
import { openSwarmNode, passingHome } from '../../node/network/swarm-node.ts'
import { hurried } from './peers/clock.ts'

const keyOfSwarm = 'k'.repeat(43)
const otherKey = 'o'.repeat(43)

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startPeer(swarmKey: string | undefined, listen: string[], relay = false) {
  const node = await createNode({
    identity: await generateKeyPair('Ed25519'),
    listen,
    relay,
    swarmKey,
    services: {},
  })
  cleanups.push(() => node.stop())
  return node
}

/** A member that takes connections over TCP and WebSockets, and one behind its relay: an address of each kind. */
async function startSwarm(swarmKey: string | undefined) {
  const relay = await startPeer(swarmKey, ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'], true)
  const [tcp, webSocket] = relay.getMultiaddrs()
  const hidden = await startPeer(swarmKey, [`${tcp}/p2p-circuit`])
  await expect.poll(() => hidden.getMultiaddrs().length).toBeGreaterThan(0)
  return { relay, hidden, addresses: [tcp!, webSocket!, hidden.getMultiaddrs()[0]!] }
}

test('whoever has the key connects over TCP, WebSockets and a relay', async () => {
  const { addresses } = await startSwarm(keyOfSwarm)
  for (const address of addresses) {
    const member = await startPeer(keyOfSwarm, [])
    const connection = await member.dial(address)
    expect(connection.remoteAddr.toString()).toBe(address.toString())
  }
})

test.each([
  ['without a key, into a private swarm', keyOfSwarm, undefined, 'is private, and no key was given'],
  ['with another key', keyOfSwarm, otherKey, 'has another key, or none'],
  ['with a key, into an open swarm', undefined, keyOfSwarm, 'has another key, or none'],
])('nobody connects %s, and is told so', async (_, swarmKey, key, why) => {
  const { relay, hidden, addresses } = await startSwarm(swarmKey)
  const stranger = await startPeer(key, [])
  for (const address of addresses) {
    const refused = await stranger.dial(address).then(
      () => undefined,
      (cause) => dialFailure({ addresses: [address.toString()], hasKey: key !== undefined, cause }),
    )
    expect(refused).toMatchObject({ code: 'REFUSED', message: `the swarm at ${address} ${why}` })
  }
  expect(relay.getPeers()).toEqual([hidden.peerId])
  expect(hidden.getPeers()).toEqual([relay.peerId])
})

test('an address behind which another peer is now is not taken for another key', async () => {
  const { addresses } = await startSwarm(keyOfSwarm)
  const member = await startPeer(keyOfSwarm, [])
  const address = `${addresses[0]!.toString().replace(/\/p2p\/.*/, '')}/p2p/${member.peerId}`
  const stranger = await startPeer(keyOfSwarm, [])
  const cause = await stranger.dial(multiaddr(address)).catch((error) => error)
  expect(dialFailure({ addresses: [address], hasKey: true, cause }).code).toBe('NO_COORDINATOR')
})

test('a tab whose link has the key of another day is told so, and does not look for its swarm for ever', async () => {
  const { addresses } = await startSwarm(keyOfSwarm)
  const address = addresses[1]!.toString()
  const tab = await openSwarmNode({
    ...(await passingHome()),
    listen: [],
    bootstrap: [address],
    swarmKey: otherKey,
    self: { role: 'tab', backend: 'none', threads: 0, clientOnly: true },
    clock: hurried,
  })
  cleanups.push(() => tab.close())
  const waiting = waitForJob(tab, 'bafyjob', { clock: hurried, signal: AbortSignal.timeout(60_000) })
  await expect(waiting).rejects.toMatchObject({
    code: 'REFUSED',
    message: `the swarm at ${address} has another key than this link`,
  })
})
