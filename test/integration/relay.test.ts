/** Peers that cannot be dialled: reached over a relay, and over WebSockets. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import { glyphs } from '../../data/glyphs.ts'
import { createNode } from '../../node/network/libp2p.ts'
import { openSwarmNode, passingHome, type SwarmNode } from '../../node/network/swarm-node.ts'
import { trainSchema } from '../../protocols/jobs/spec.ts'
import { memoryStore, putFile, shards } from '../../protocols/shards/index.ts'
import { fileBytes } from './peers/file.ts'
import { announce, hears, train } from './peers/in-process.ts'
import { root } from './peers/program.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startPeer(listen: string[], relay = false) {
  const store = memoryStore()
  const identity = await generateKeyPair('Ed25519')
  const node = await createNode({ identity, listen, relay, services: { shards: shards({ store }) } })
  cleanups.push(() => node.stop())
  return { node, store, shards: node.services.shards }
}

test('a file of 3 MiB crosses a relay: its limits of 128 KiB and 2 minutes are lifted', async () => {
  const relay = await startPeer(['/ip4/127.0.0.1/tcp/0'], true)
  const hidden = await startPeer([`${relay.node.getMultiaddrs()[0]}/p2p-circuit`])
  await expect.poll(() => hidden.node.getMultiaddrs().length, { timeout: 10_000 }).toBeGreaterThan(0)
  const file = fileBytes(1, 3 << 20)
  const name = await putFile(hidden.store, file)

  const wanting = await startPeer([])
  const connection = await wanting.node.dial(hidden.node.getMultiaddrs()[0]!)
  expect(connection.remoteAddr.toString()).toContain('/p2p-circuit')
  const bytes = await wanting.shards.fetchFile(name, { signal: AbortSignal.timeout(30_000) })
  expect(Buffer.from(bytes).equals(file)).toBe(true)
  expect(relay.shards.stats.blocksUp).toBe(0) // it carried the bytes, and did not serve them
})

/** A peer with all its protocols; without `bootstrap` it is the coordinator, and a relay. */
async function startWhole(listen: string[], bootstrap: string[]): Promise<SwarmNode> {
  const role = bootstrap.length === 0 ? 'coordinator' : 'node'
  const node = await openSwarmNode({
    ...(await passingHome()),
    listen,
    bootstrap,
    relay: role === 'coordinator',
    self: { role, backend: 'native', threads: 1, clientOnly: false },
  })
  onTestFinished(() => node.close())
  return node
}

test('two nodes behind routers train together over the relay of the coordinator', async () => {
  const coordinator = await startWhole(['/ip4/127.0.0.1/tcp/0'], [])
  const hidden = await Promise.all([0, 1].map(() => startWhole(['/p2p-circuit'], coordinator.addresses())))
  const [a, b] = hidden as [SwarmNode, SwarmNode]
  const signed = await announce(
    {
      model: await readFile(join(root, 'examples/glyphs/cnn.onnx')),
      dataSet: glyphs({ seed: 1, train: 200, validation: 20 }),
      train: trainSchema.parse({ optimizer: 'sgd', learningRate: 0.1, batchSize: 8, localSteps: 1 }),
      swarm: { minPeers: 2, codec: 'f32' },
      rounds: 3,
    },
    coordinator,
  )
  await Promise.all(hidden.map((node) => hears(node, signed.job)))
  const rounds = await Promise.all(hidden.map((node) => train(node, signed, 3)))
  expect(rounds[0]!.map(({ root }) => root)).toEqual(rounds[1]!.map(({ root }) => root))
  expect(rounds[0]!.map(({ electorate }) => electorate.length)).toEqual([2, 2, 2])
  const between = a.libp2p.getConnections(b.libp2p.peerId)
  expect(between.map(({ remoteAddr }) => remoteAddr.toString().includes('/p2p-circuit'))).toContain(true)
})

test('a file crosses a WebSocket', async () => {
  const provider = await startPeer(['/ip4/127.0.0.1/tcp/0/ws'])
  const file = fileBytes(2, (2 << 20) + 1)
  const name = await putFile(provider.store, file)
  const wanting = await startPeer([])
  const address = provider.node.getMultiaddrs()[0]!
  expect(address.toString()).toContain('/ws')
  await wanting.node.dial(multiaddr(address.toString()))
  const bytes = await wanting.shards.fetchFile(name, { signal: AbortSignal.timeout(30_000) })
  expect(Buffer.from(bytes).equals(file)).toBe(true)
})
