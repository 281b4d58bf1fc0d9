/**
 * The blocks that a process keeps on its disk, `<home>/blocks`, and what they may take: models and data sets of past
 * jobs stay for a job that needs them again, until newer ones need the room. Before a job is taken up the blocks that
 * were used longest ago go, until what it takes fits; never those that the caller says are needed. What a run's states
 * take is not kept here, but for the one that a coordinator keeps (kept-state.ts).
 *
 * When a block was last used is the time of its file, which is set anew for all blocks that are needed.
 */

import { readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { FsBlockstore } from 'blockstore-fs'
import { NextToLast } from 'blockstore-fs/sharding'
import { CID } from 'multiformats/cid'
import { chunksOf, readDataIndex } from '../../data/data-index.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { nodeStoreBytesMax } from '../../protocols/core/limits.ts'
import type { Manifest } from '../../protocols/jobs/index.ts'
import { type BlockStore, blockStore, decodeFileIndex } from '../../protocols/shards/index.ts'

/** What was put in or used since then is left alone: it may belong to something that is being brought in just now. */
const sparedMs = 3_600_000

/** Where each block has its file: the library's own choice, which is asked here too. */
const sharding = new NextToLast()

interface KeptFile {
  path: string
  bytes: number
  /** Milliseconds since 1970. */
  usedMs: number
}

export class KeptBlocks {
  readonly store: BlockStore
  readonly #files: FsBlockstore
  readonly #bytesMax: number

  private constructor(files: FsBlockstore, bytesMax: number) {
    this.#files = files
    this.#bytesMax = bytesMax
    this.store = blockStore(files)
  }

  /**
   * Opens `folder`, making it when missing. `bytesMax`: what all blocks together may take. @throws {Error} what the
   * disk says.
   */
  static async open(folder: string, bytesMax = nodeStoreBytesMax): Promise<KeptBlocks> {
    const files = new FsBlockstore(folder, { shardingStrategy: sharding })
    await files.open()
    return new KeptBlocks(files, bytesMax)
  }

  /**
   * Makes room for `bytes`, which the blocks `needed` take when all of them are here: removes others, the one that was
   * used longest ago first. Where the needed ones alone pass the limit, all others go. A file that cannot be removed
   * stays: that is no reason not to take up a job. @returns the bytes that were removed. @throws {SwarmError}
   * STORAGE_FAILED.
   */
  async makeRoom(bytes: number, needed: Iterable<CID>): Promise<number> {
    const nowMs = Date.now()
    const isNeeded = new Set(Array.from(needed, (cid) => this.#pathOf(cid)))
    const others: KeptFile[] = []
    let neededBytes = 0
    let othersBytes = 0
    for (const file of await this.#list()) {
      if (isNeeded.has(file.path)) {
        neededBytes += file.bytes
        await utimes(file.path, nowMs / 1000, nowMs / 1000).catch(() => {}) // it looks older than it is
      } else {
        othersBytes += file.bytes
        // one from a time to come was made when the clock was wrong, and would be spared for as long
        if (file.usedMs < nowMs - sparedMs || file.usedMs > nowMs + sparedMs) others.push(file)
      }
    }
    const room = Math.max(0, this.#bytesMax - Math.max(bytes, neededBytes))
    let removed = 0
    for (const file of others.sort((a, b) => a.usedMs - b.usedMs)) {
      if (othersBytes - removed <= room) break
      if (await isRemoved(file.path)) removed += file.bytes
    }
    return removed
  }

  #pathOf(cid: CID): string {
    const { dir, file } = sharding.encode(cid)
    return join(this.#files.path, dir, file)
  }

  /** All files, those too that a write left half done. */
  async #list(): Promise<KeptFile[]> {
    const folder = this.#files.path
    const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((cause) => {
      throw new SwarmError('STORAGE_FAILED', `cannot read the folder ${folder}`, {
        cause,
        hint: 'Check the disk and its permissions.',
      })
    })
    const files: KeptFile[] = []
    for (const entry of entries) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const found = await stat(path).catch(() => undefined) // gone meanwhile
      if (found !== undefined) files.push({ path, bytes: found.size, usedMs: found.mtimeMs })
    }
    return files
  }
}

/**
 * The blocks of a job that `store` can name: of its model and, unless `isModelOnly`, of its data. An index that is not
 * there names nothing but itself. @throws {SwarmError} STORAGE_FAILED.
 */
export async function blocksOfJob(
  store: BlockStore,
  { model, data }: Pick<Manifest, 'model' | 'data'>,
  { isModelOnly = false } = {},
): Promise<CID[]> {
  const modelRoot = CID.parse(model.cid)
  const modelChunks = await named(store, modelRoot, (index) => decodeFileIndex(index).chunks)
  if (isModelOnly) return [modelRoot, ...modelChunks]
  const dataRoot = CID.parse(data.cid)
  const dataChunks = await named(store, dataRoot, (index) => chunksOf(readDataIndex(index)))
  return [modelRoot, ...modelChunks, dataRoot, ...dataChunks]
}

async function named(store: BlockStore, root: CID, read: (index: Uint8Array) => CID[]): Promise<CID[]> {
  const index = await store.get(root)
  try {
    return index === undefined ? [] : read(index)
  } catch (error) {
    if (error instanceof SwarmError) return [] // whoever takes the job up says what is wrong with it
    throw error
  }
}

async function isRemoved(path: string): Promise<boolean> {
  return rm(path).then(
    () => true,
    () => false,
  )
}
