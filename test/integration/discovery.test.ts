/** Discovery between real libp2p nodes on loopback: meeting, changing, leaving, and a coordinator that comes back. */

import { networkInterfaces } from 'node:os'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { afterEach, expect, test } from 'vitest'
import { createNode } from '../../node/network/libp2p.ts'
import { gossipBytesMax, helloIntervalMs } from '../../protocols/core/limits.ts'
import { type DiscoveryEffect, discovery, type SelfDescription } from '../../protocols/discovery/index.ts'
import { helloTopic } from '../../protocols/discovery/messages.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const trainer: SelfDescription = { role: 'node', backend: 'wasm', threads: 2, clientOnly: false }
const watcher: SelfDescription = { role: 'coordinator', backend: 'none', threads: 0, clientOnly: false }
const job = { job: 'bafyjob', round: 3, root: 'bafyroot', weight: 960 }

interface Options {
  self?: SelfDescription
  bootstrap?: string[]
  port?: number
  identity?: PrivateKey
  mdns?: boolean
}

async function startPeer({ self = trainer, bootstrap, port = 0, identity, mdns }: Options = {}) {
  const node = await createNode({
    identity: identity ?? (await generateKeyPair('Ed25519')),
    listen: [`/ip4/127.0.0.1/tcp/${port}`],
    mdns,
    services: { discovery: discovery({ self, bootstrap }) },
  })
  cleanups.push(() => node.stop())
  const events: DiscoveryEffect[] = []
  node.services.discovery.on((event) => events.push(event))
  return {
    node,
    events,
    discovery: node.services.discovery,
    id: node.peerId.toString(),
    address: String(node.getMultiaddrs()[0]),
  }
}

const isConnected = (peer: Awaited<ReturnType<typeof startPeer>>, other: string): boolean =>
  peer.node.getPeers().some((id) => id.toString() === other)

test('peers of one job that know only the coordinator meet and connect; a peer of another job is known, not dialled', async () => {
  const coordinator = await startPeer({ self: watcher })
  const bootstrap = [coordinator.address]
  const a = await startPeer({ self: { ...trainer, job }, bootstrap })
  const b = await startPeer({ self: { ...trainer, job }, bootstrap })
  const other = await startPeer({ self: { ...trainer, job: { ...job, job: 'bafyother' } }, bootstrap })
  const { poll } = expect
  await poll(() => a.discovery.peers().map(({ peer }) => peer), { timeout: 10_000 }).toEqual(
    [coordinator.id, b.id, other.id].sort(),
  )
  await poll(() => isConnected(a, b.id), { timeout: 10_000 }).toBe(true)
  expect(a.discovery.peers().find(({ peer }) => peer === b.id)).toEqual({
    ...trainer,
    peer: b.id,
    job,
    addresses: [b.address],
    isConnected: true,
  })
  expect(isConnected(a, other.id)).toBe(false)
  expect(isConnected(b, other.id)).toBe(false)
})

test('a change of round is heard long before the next HELLO is due, and so is a goodbye', async () => {
  const a = await startPeer({ self: { ...trainer, job } })
  const b = await startPeer({ self: { ...trainer, job }, bootstrap: [a.address] })
  await expect.poll(() => a.discovery.peers().length, { timeout: 10_000 }).toBe(1)
  const timeout = helloIntervalMs / 2
  b.discovery.setSelf({ job: { ...job, round: 4, root: 'bafynext' } })
  await expect.poll(() => a.discovery.peers()[0]?.job?.root, { timeout }).toBe('bafynext')
  await b.node.stop()
  await expect
    .poll(() => a.events.at(-1), { timeout })
    .toEqual({ kind: 'PeerGone', peer: b.id, reason: 'left' })
  expect(a.discovery.peers()).toEqual([])
})

test('a coordinator that was stopped and started again is found within ten seconds', async () => {
  const identity = await generateKeyPair('Ed25519')
  const first = await startPeer({ self: watcher, identity })
  const peer = await startPeer({ self: { ...trainer, job }, bootstrap: [first.address] })
  const news: string[] = []
  peer.discovery.onFirstAddress(({ kind, address }) => news.push(`${kind} ${address}`))
  await expect.poll(() => peer.discovery.peers().length, { timeout: 10_000 }).toBe(1)
  await first.node.stop()
  await expect.poll(() => peer.discovery.peers().length).toBe(0)
  await expect.poll(() => news.length).toBe(1)
  const port = Number(first.address.split('/')[4])
  const second = await startPeer({ self: watcher, identity, port })
  await expect
    .poll(() => second.discovery.peers().map((record) => record.peer), { timeout: 10_000 })
    .toEqual([peer.id])
  await expect
    .poll(() => peer.discovery.peers().map((record) => record.peer), { timeout: 10_000 })
    .toEqual([second.id])
  // told once each, however often it was dialled in between
  expect(news).toEqual([`missed ${first.address}`, `reached ${first.address}`])
})

test('junk on the topic is dropped, and its sender is still heard', async () => {
  const a = await startPeer()
  const rude = await startPeer({ bootstrap: [a.address] })
  await expect.poll(() => a.discovery.peers().length, { timeout: 10_000 }).toBe(1)
  await rude.node.services.pubsub.publish(helloTopic, Uint8Array.of(1, 2, 3))
  rude.discovery.setSelf({ threads: 3 }) // follows the junk on the same stream
  await expect.poll(() => a.discovery.peers()[0]?.threads, { timeout: 5_000 }).toBe(3)
  expect(a.events.every(({ kind }) => kind !== 'Refused')).toBe(true)
})

/** A machine with nothing but loopback cannot send to a multicast group. */
const hasNetwork = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ internal }) => !internal),
)

test.skipIf(!hasNetwork)('peers on one local network find each other without any address', async () => {
  const a = await startPeer({ mdns: true })
  const b = await startPeer({ mdns: true })
  await expect.poll(() => isConnected(a, b.id) && isConnected(b, a.id), { timeout: 15_000 }).toBe(true)
  await expect.poll(() => a.discovery.peers().map(({ peer }) => peer), { timeout: 10_000 }).toContain(b.id)
})

test('a peer that left a run and is back at once, three times over, still hears the run and is heard', async () => {
  const { node: resident } = await startPeer({ self: watcher })
  const scores = resident.services.pubsub as unknown as { getScore(peer: string): number }
  const identity = await generateKeyPair('Ed25519')
  const topics = ['run', 'progress', 'verdicts']
  const words = new TextEncoder()
  const heard: string[] = []
  const hear = ({ detail }: { detail: { data: Uint8Array } }) =>
    heard.push(new TextDecoder().decode(detail.data))
  for (const topic of topics) resident.services.pubsub.subscribe(topic)
  resident.services.pubsub.addEventListener('message', hear)
  for (const visit of [1, 2, 3, 4]) {
    const { node } = await startPeer({ identity })
    const { pubsub } = node.services
    pubsub.addEventListener('message', hear)
    for (const topic of topics) pubsub.subscribe(topic)
    await node.dial(resident.getMultiaddrs()[0]!)
    await expect
      .poll(() => resident.services.pubsub.getSubscribers('run').map(String), { timeout: 5_000 })
      .toEqual([node.peerId.toString()])
    await expect.poll(() => pubsub.getSubscribers('run').length, { timeout: 5_000 }).toBe(1)
    await resident.services.pubsub.publish('run', words.encode(`to visitor ${visit}`))
    await pubsub.publish('run', words.encode(`from visitor ${visit}`))
    await expect.poll(() => heard, { timeout: 10_000 }).toContain(`to visitor ${visit}`)
    await expect.poll(() => heard, { timeout: 10_000 }).toContain(`from visitor ${visit}`)
    // whoever has less than this is told nothing, and is not listened to
    expect(scores.getScore(node.peerId.toString())).toBeGreaterThanOrEqual(0)
    for (const topic of topics) pubsub.unsubscribe(topic)
    await node.stop()
  }
})

test('a frame of gossip that is longer than one message of ours comes through', async () => {
  const speaker = await startPeer({ self: watcher })
  const listener = await startPeer({ bootstrap: [speaker.address] })
  const heard: number[] = []
  listener.node.services.pubsub.addEventListener('message', ({ detail: { topic, data } }) => {
    if (topic === 'run') heard.push(data.length)
  })
  listener.node.services.pubsub.subscribe('run')
  await expect
    .poll(() => speaker.node.services.pubsub.getSubscribers('run').map(String))
    .toEqual([listener.id])
  const bytes = new Uint8Array(4 * gossipBytesMax) // as the many messages of an answer are
  await speaker.node.services.pubsub.publish('run', bytes)
  await expect.poll(() => heard, { timeout: 10_000 }).toEqual([bytes.length])
})

test('a bootstrap address that is none is refused with an example', async () => {
  await expect(startPeer({ bootstrap: ['localhost:4001'] })).rejects.toMatchObject({
    code: 'USAGE',
    message: '"localhost:4001" is no peer address',
    hint: expect.stringContaining('/ip4/'),
  })
})
