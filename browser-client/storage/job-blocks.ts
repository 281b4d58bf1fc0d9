/**
 * Where a tab keeps a job's blocks: an IndexedDB database for each job, so that a reload fetches nothing twice and a
 * job is evicted as a whole. The list of kept jobs (kept-jobs.ts), with their sizes as the manifests say them, bounds
 * what they take together.
 *
 * Blocks are checked against their hash when they are read (protocols/shards/store.ts), so nothing here has to be
 * trusted.
 */

import { IDBBlockstore } from 'blockstore-idb'
import { SwarmError } from '../../protocols/core/errors.ts'
import { tabStoreBytesMax } from '../../protocols/core/limits.ts'
import { type BlockStore, blockStore, memoryStore } from '../../protocols/shards/index.ts'
import { evictions } from './evictions.ts'
import { type KeptJob, keepJob, keptJobs } from './kept-jobs.ts'
import { unlessRefused } from './refusal.ts'

/** Share of what the browser still offers that blocks may take: the rest is for its own bookkeeping and other pages. */
const quotaShare = 0.8

const databaseOf = (job: string): string => `starling/blocks/${job}`

export interface JobBlocks {
  store: BlockStore
  /** False where this browser keeps nothing: blocks are then in memory, and a reload fetches them again. */
  isKept: boolean
  close(): Promise<void>
}

/** Opens what is kept of `job`. */
export async function openJobBlocks(job: string): Promise<JobBlocks> {
  const blocks = new IDBBlockstore(databaseOf(job))
  try {
    await blocks.open()
    return { store: blockStore(blocks), isKept: true, close: () => blocks.close() }
  } catch {
    return { store: memoryStore(), isKept: false, close: async () => {} }
  }
}

/**
 * Makes room for `bytes` of `job`, and notes that they are used now, and the `envelope` that its owner signed.
 * @returns the jobs whose blocks were deleted for it.
 * @throws {SwarmError} STORAGE_FAILED when this browser does not give a tab so much.
 */
export async function makeRoom(job: string, bytes: number, envelope: Uint8Array): Promise<string[]> {
  const kept = await keptJobs()
  const mine = kept.find((known) => known.job === job)
  const bytesMax = Math.min(tabStoreBytesMax, await bytesOffered(kept))
  const gone = evictions(kept, { job, bytes }, Math.max(bytesMax, mine?.bytes ?? 0))
  if (gone === undefined) {
    throw new SwarmError('STORAGE_FAILED', `the job takes ${bytes} bytes, this browser offers ${bytesMax}`, {
      hint: 'Free some disk space, or leave private browsing.',
    })
  }
  for (const other of gone) await deleteDatabase(databaseOf(other))
  await keepJob({ job, bytes, usedMs: Date.now(), envelope }, gone)
  return gone
}

/** What all jobs together may take: what they have, and a share of what is free. */
async function bytesOffered(kept: readonly KeptJob[]): Promise<number> {
  const estimate = await unlessRefused(() => navigator.storage.estimate())
  const { quota = Number.POSITIVE_INFINITY, usage = 0 } = estimate ?? {}
  const used = kept.reduce((sum, { bytes }) => sum + bytes, 0)
  return Math.floor(used + quotaShare * Math.max(0, quota - usage))
}

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(name)
    // one that another tab has open goes when that tab closes it
    for (const event of ['success', 'error', 'blocked']) request.addEventListener(event, () => resolve())
  })
}
