/** Peers that cannot be dialled: reached over a relay, and over WebSockets. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, test } from 'vitest'
import { createNode } from '../../node/libp2p.ts'
import { memoryStore, putFile, shards } from '../../protocols/shards/index.ts'
import { fileBytes } from './peers/file.ts'

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
  const root = await putFile(hidden.store, file)

  const wanting = await startPeer([])
  const connection = await wanting.node.dial(hidden.node.getMultiaddrs()[0]!)
  expect(connection.remoteAddr.toString()).toContain('/p2p-circuit')
  const bytes = await wanting.shards.fetchFile(root, { signal: AbortSignal.timeout(30_000) })
  expect(Buffer.from(bytes).equals(file)).toBe(true)
  expect(relay.shards.stats.blocksUp).toBe(0) // it carried the bytes, and did not serve them
})

test('a file crosses a WebSocket', async () => {
  const provider = await startPeer(['/ip4/127.0.0.1/tcp/0/ws'])
  const file = fileBytes(2, (2 << 20) + 1)
  const root = await putFile(provider.store, file)
  const wanting = await startPeer([])
  const address = provider.node.getMultiaddrs()[0]!
  expect(address.toString()).toContain('/ws')
  await wanting.node.dial(multiaddr(address.toString()))
  const bytes = await wanting.shards.fetchFile(root, { signal: AbortSignal.timeout(30_000) })
  expect(Buffer.from(bytes).equals(file)).toBe(true)
})
