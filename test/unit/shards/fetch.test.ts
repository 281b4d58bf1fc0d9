/**
 * What a fetch that ends early, or is given up while a block is being stored, leaves behind: nothing. No peer is
 * connected.
 */

import * as raw from 'multiformats/codecs/raw'
import { expect, test } from 'vitest'
import { type BlockStore, cidOf, memoryStore, type Shards, shards } from '../../../protocols/shards/index.ts'
import { type Cancel, WaitingBlocks } from '../../../protocols/shards/waiting.ts'

const bytes = Uint8Array.of(1, 2, 3)
const cid = await cidOf(bytes, raw.code)
const key = cid.toString()

function lonePeer(store: BlockStore): Shards {
  const components = { peerId: { toString: () => 'self' } }
  return shards({ store })(components as unknown as Parameters<ReturnType<typeof shards>>[0])
}

test('a fetch that fails at one block waits for no other, not even one that was still being looked for here', async () => {
  const looking = Promise.withResolvers<boolean>()
  const bad = await cidOf(Uint8Array.of(9), raw.code)
  const has: BlockStore['has'] = async (asked) => {
    if (asked.equals(bad)) throw new Error('the disk is gone')
    return looking.promise
  }
  const peer = lonePeer({ ...memoryStore(), has })
  await expect(peer.fetch([bad, cid])).rejects.toThrow('the disk is gone')
  looking.resolve(false)
  await new Promise(setImmediate)
  expect(peer.pending()).toBe('')
})

test('who asks for a block while it is stored for another that gives up gets it all the same', async () => {
  const storing = Promise.withResolvers<void>()
  const unwanted: string[] = []
  const waiting = new WaitingBlocks({ onUnwanted: (key) => void unwanted.push(key) })
  const cancels = new Set<Cancel>()
  const first = waiting.wait(key, { ...memoryStore(), put: () => storing.promise }, cancels)
  const delivery = waiting.deliver(cid, bytes)
  for (const cancel of cancels) cancel(new Error('not needed'))
  await expect(first).rejects.toThrow('not needed')
  const into = memoryStore()
  const second = waiting.wait(key, into, new Set())
  storing.resolve()
  await delivery
  expect(await second).toBe(3)
  expect(await into.get(cid)).toEqual(bytes)
  expect(waiting.isWanted(key)).toBe(false)
  expect(unwanted).toEqual([])
})
