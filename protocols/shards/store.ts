/**
 * Where blocks are kept and served from. A *source* can be asked; a *store* also takes blocks in. Blocks in a store
 * have been checked on their way in; a disk may spoil them later, so those that come from one are checked again.
 */

import type { Blockstore } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import { SwarmError } from '../core/errors.ts'
import { isBlock } from './block.ts'

export interface BlockSource {
  has(cid: CID): boolean | Promise<boolean>
  /** The block, borrowed: nobody changes it. `undefined` when the source does not have it. */
  get(cid: CID): Promise<Uint8Array | undefined>
}

export interface BlockStore extends BlockSource {
  put(cid: CID, bytes: Uint8Array): Promise<void>
  delete(cid: CID): Promise<void>
}

/**
 * A store on an IPFS blockstore: `blockstore-fs` in Node, `blockstore-idb` in a tab. A block that was spoiled there is
 * deleted when it is read, and is as good as never stored; so a bad disk does not make a liar of its owner.
 *
 * Who reads a spoiled block may be done with it only when another has fetched and put a good one, which must stay: so
 * it looks again before it deletes, and nothing is put meanwhile.
 */
export function blockStore(blockstore: Blockstore): BlockStore {
  const inTurn = turns()
  const checked = async (cid: CID): Promise<Uint8Array | 'spoiled'> => {
    const bytes = await collect(blockstore.get(cid))
    return (await isBlock(cid, bytes)) ? bytes : 'spoiled'
  }
  const withoutSpoiled = (cid: CID): Promise<Uint8Array | undefined> =>
    inTurn(cid, async () => {
      const found = await checked(cid)
      if (found !== 'spoiled') return found
      await blockstore.delete(cid)
      return undefined
    })
  return {
    has: async (cid) => blockstore.has(cid),
    async get(cid) {
      try {
        const found = await checked(cid)
        return found === 'spoiled' ? await withoutSpoiled(cid) : found
      } catch (error) {
        if (error instanceof Error && error.name === 'NotFoundError') return undefined
        throw new SwarmError('STORAGE_FAILED', `cannot read block ${cid}${because(error)}`, {
          cause: error,
          hint: 'Check the disk and its permissions.',
        })
      }
    },
    async put(cid, bytes) {
      try {
        await inTurn(cid, async () => blockstore.put(cid, bytes))
      } catch (error) {
        throw new SwarmError('STORAGE_FAILED', `cannot store block ${cid}${because(error)}`, {
          cause: error,
          retry: 'same-peer', // a person may make room meanwhile
          hint: 'Free some space, and check that the store can be written to.',
        })
      }
    },
    delete: async (cid) => blockstore.delete(cid),
  }
}

/** Runs tasks one after another that are given for one CID; what one of them throws is its caller's alone. */
function turns(): <Result>(cid: CID, task: () => Promise<Result>) => Promise<Result> {
  const last = new Map<string, Promise<unknown>>()
  return async (cid, task) => {
    const key = cid.toString()
    const own = (last.get(key) ?? Promise.resolve()).then(task, task)
    last.set(key, own)
    try {
      return await own
    } finally {
      if (last.get(key) === own) last.delete(key)
    }
  }
}

/** A store in memory, for blocks that live as long as the process: the states of a run. */
export function memoryStore(): BlockStore {
  const blocks = new Map<string, Uint8Array>()
  return {
    has: (cid) => blocks.has(cid.toString()),
    get: async (cid) => blocks.get(cid.toString()),
    put: async (cid, bytes) => void blocks.set(cid.toString(), bytes),
    delete: async (cid) => void blocks.delete(cid.toString()),
  }
}

/** What the disk said, which names the folder: `: ENOSPC: no space left on device, open '…'`. */
function because(error: unknown): string {
  if (!(error instanceof Error)) return ''
  const { message } = error.cause instanceof Error ? error.cause : error
  return `: ${message}`
}

async function collect(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of chunks) parts.push(part)
  const [only] = parts
  if (parts.length === 1 && only !== undefined)
    return new Uint8Array(only.buffer, only.byteOffset, only.byteLength)
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0))
  let offset = 0
  for (const part of parts) {
    bytes.set(part, offset)
    offset += part.byteLength
  }
  return bytes
}
