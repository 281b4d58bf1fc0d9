/** Blocks between real libp2p nodes on loopback: several providers, liars, deaths, resumption. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { FsBlockstore } from 'blockstore-fs'
import * as raw from 'multiformats/codecs/raw'
import { afterEach, expect, test } from 'vitest'
import { createNode } from '../../node/network/libp2p.ts'
import { type Clock, systemClock } from '../../protocols/core/clock.ts'
import {
  type BlockStore,
  blockStore,
  cidOf,
  decodeFileIndex,
  type FetchProgress,
  memoryStore,
  putFile,
  shards,
} from '../../protocols/shards/index.ts'
import { fileBytes } from './peers/file.ts'
import { spawnPeer } from './peers/spawn.ts'

const fileSize = 12 * (1 << 20) + 12_345
const file = fileBytes(1, fileSize)

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startPeer(store: BlockStore = memoryStore(), clock: Clock = systemClock) {
  const identity = await generateKeyPair('Ed25519')
  const services = { shards: shards({ store, clock }) }
  const node = await createNode({ identity, listen: ['/ip4/127.0.0.1/tcp/0'], services })
  cleanups.push(() => node.stop())
  return { node, store, shards: node.services.shards, id: node.peerId.toString() }
}

async function fileProvider() {
  const store = memoryStore()
  const root = await putFile(store, file)
  return { ...(await startPeer(store)), root }
}

/** A store that gives every block with its first byte flipped. */
function lying(store: BlockStore): BlockStore {
  return {
    ...store,
    async get(cid) {
      const bytes = (await store.get(cid))?.slice()
      if (bytes !== undefined) bytes[0]! ^= 1
      return bytes
    },
  }
}

async function freshFolder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'starling-shards-'))
  cleanups.push(() => rm(path, { recursive: true }))
  return path
}

test('a file comes whole from three providers, of which one lies and one is killed in mid-transfer', async () => {
  const victimGone = Promise.withResolvers<void>()
  const held = memoryStore()
  const root = await putFile(held, file)
  /** Serves nothing but the index until the victim is gone, so that the victim is sure to be in mid-transfer. */
  const honest = await startPeer({
    ...held,
    async get(cid) {
      if (!cid.equals(root)) await victimGone.promise
      return held.get(cid)
    },
  })
  const liar = await startPeer(lying(held))
  const victim = await spawnPeer<{ id: string; addresses: string[] }>(
    'shard-peer',
    '1',
    String(fileSize),
    '20',
  )
  cleanups.push(() => victim.kill())
  const wanting = await startPeer()
  for (const peer of [honest, liar]) await wanting.node.dial(peer.node.getMultiaddrs())
  await wanting.node.dial(multiaddr(victim.hello.addresses[0]!))

  const onProgress = ({ blocks, blocksTotal }: FetchProgress): void => {
    if (blocksTotal === 13 && blocks === 3) victim.kill().then(victimGone.resolve)
  }
  const bytes = await wanting.shards.fetchFile(root, { onProgress, signal: AbortSignal.timeout(30_000) })
  await victimGone.promise
  expect(Buffer.from(bytes).equals(file)).toBe(true)
  const { corruptBlocks } = wanting.shards.stats
  expect(corruptBlocks).toBeGreaterThanOrEqual(1) // the liar was asked
  expect(corruptBlocks).toBeLessThanOrEqual(4) // and after its first lie only what was in flight came from it
})

test('a block that only a liar has is refused and the liar named; one that nobody has is given up after the patience asked for', async () => {
  const store = memoryStore()
  const cid = await cidOf(Uint8Array.of(1, 2, 3), raw.code)
  await store.put(cid, Uint8Array.of(1, 2, 3))
  const liar = await startPeer(lying(store))
  const wanting = await startPeer()
  await wanting.node.dial(liar.node.getMultiaddrs())
  const unheardOf = await cidOf(Uint8Array.of(4), raw.code)
  const [lied, missing] = await Promise.allSettled([
    wanting.shards.fetch([cid]),
    wanting.shards.fetch([unheardOf], { patienceMs: 500 }),
  ])
  expect(lied).toMatchObject({ reason: { code: 'BLOCK_CORRUPT', peer: liar.id } })
  expect(missing).toMatchObject({ reason: { code: 'BLOCK_NOT_FOUND' } })
  expect(await wanting.store.has(cid)).toBe(false)
})

test('a name that is no peer id, among the peers to ask, is passed over', async () => {
  const provider = await fileProvider()
  const wanting = await startPeer()
  await wanting.node.dial(provider.node.getMultiaddrs())
  const block = await wanting.shards.fetchBlock(provider.root, { peers: () => ['z'.repeat(52)] })
  expect(block).toEqual(await provider.store.get(provider.root))
})

test('a fetch that was cut off resumes from the disk: only what is missing crosses the network', async () => {
  const provider = await fileProvider()
  const path = await freshFolder()
  const first = await startPeer(blockStore(new FsBlockstore(path)))
  await first.node.dial(provider.node.getMultiaddrs())
  const cut = new AbortController()
  const onProgress = ({ blocks, blocksTotal }: { blocks: number; blocksTotal?: number }): void => {
    if (blocksTotal === 13 && blocks === 5) cut.abort(new Error('cut off'))
  }
  await expect(first.shards.fetchFile(provider.root, { signal: cut.signal, onProgress })).rejects.toThrow(
    'cut off',
  )
  await first.node.stop()

  const store = blockStore(new FsBlockstore(path))
  const here = (
    await Promise.all((await chunksOf(provider.root, provider.store)).map((cid) => store.has(cid)))
  ).filter(Boolean)
  expect(here.length).toBeGreaterThanOrEqual(5)
  expect(here.length).toBeLessThan(13)
  const second = await startPeer(store)
  await second.node.dial(provider.node.getMultiaddrs())
  const bytes = await second.shards.fetchFile(provider.root)
  expect(Buffer.from(bytes).equals(file)).toBe(true)
  expect(second.shards.stats.blocksDown).toBe(13 - here.length)
})

test('what nobody has yet is waited for: it comes as soon as a peer gets it, and a third peer gets it from that one', async () => {
  // By their clocks no time passes, in which they would ask again: it comes by `have`, or not at all.
  const still: Clock = { ...systemClock, now: () => 0 }
  const source = await startPeer()
  const middle = await startPeer(memoryStore(), still)
  const last = await startPeer(memoryStore(), still)
  await middle.node.dial(source.node.getMultiaddrs())
  await last.node.dial(middle.node.getMultiaddrs())
  const block = fileBytes(2, 70_000)
  const cid = await cidOf(block, raw.code)
  const atLast = last.shards.fetchBlock(cid)
  await expect.poll(() => last.shards.pending()).toMatch(/0 requests open at [12] peers/)
  const atMiddle = middle.shards.fetchBlock(cid)
  await expect.poll(() => middle.shards.pending()).toMatch(/0 requests open at [12] peers/)
  await source.store.put(cid, block)
  source.shards.announce([cid])
  expect(await atMiddle).toEqual(block)
  expect(await atLast).toEqual(block)
  expect(source.shards.stats.blocksUp).toBe(1)
  expect(middle.shards.stats.blocksUp).toBe(1)
})

test('two fetches of one block share one transfer, and an abort of one leaves the other alone', async () => {
  const provider = await startPeer()
  const wanting = await startPeer()
  const block = fileBytes(3, 1 << 20)
  const cid = await cidOf(block, raw.code)
  const [into, other] = [memoryStore(), memoryStore()]
  const control = new AbortController()
  const aborted = wanting.shards.fetch([cid], { into, signal: control.signal })
  const kept = wanting.shards.fetchBlock(cid, { into: other })
  control.abort(new Error('not needed'))
  await expect(aborted).rejects.toThrow('not needed')
  await provider.store.put(cid, block)
  await wanting.node.dial(provider.node.getMultiaddrs())
  expect(Buffer.from(await kept).equals(block)).toBe(true)
  expect(provider.shards.stats.blocksUp).toBe(1)
  expect(await into.has(cid)).toBe(false)
})

test('a block that the disk spoiled is noticed when it is read, and fetched again', async () => {
  const provider = await fileProvider()
  const wanting = await startPeer()
  await wanting.node.dial(provider.node.getMultiaddrs())
  const [first] = await chunksOf(provider.root, provider.store)
  await wanting.store.put(first!, new Uint8Array(1 << 20))
  const bytes = await wanting.shards.fetchFile(provider.root)
  expect(Buffer.from(bytes).equals(file)).toBe(true)
})

test('a peer that sends junk instead of a want is cut off, and others are still served', async () => {
  const provider = await fileProvider()
  const rude = await startPeer()
  const stream = await rude.node.dialProtocol(provider.node.getMultiaddrs(), '/starling/shards/1')
  const closed = new Promise((resolve) => stream.addEventListener('close', resolve))
  stream.send(Uint8Array.of(3, 0xff, 0x00, 0x17))
  await closed
  expect(stream.status).toBe('reset')
  const wanting = await startPeer()
  await wanting.node.dial(provider.node.getMultiaddrs())
  expect((await wanting.shards.fetchFile(provider.root)).byteLength).toBe(fileSize)
})

async function chunksOf(root: Parameters<BlockStore['get']>[0], store: BlockStore) {
  return decodeFileIndex((await store.get(root))!).chunks
}
