/** What a job is made of, from the swarm: its model and its data set, fetched block by block and checked. */

import { CID } from 'multiformats/cid'
import type { DataSet } from '../data/data-set.ts'
import { chunksOf, decodeDataSet, readDataIndex } from '../data/shards.ts'
import type { Manifest } from '../protocols/jobs/index.ts'
import type { FetchProgress, Shards } from '../protocols/shards/index.ts'

export interface MaterialInit {
  manifest: Manifest
  shards: Shards
  onProgress?: (what: 'model' | 'data', progress: FetchProgress) => void
}

export interface Material {
  /** The ONNX file. */
  model: Uint8Array
  dataSet: DataSet
}

/**
 * Model and data of a job. What the store has already is not fetched again, unless the disk has spoiled it.
 * @throws {SwarmError} BLOCK_CORRUPT, DATA_INVALID, STORAGE_FAILED; waits for blocks that nobody has until `signal` aborts.
 */
export async function fetchMaterial(
  { manifest, shards, onProgress }: MaterialInit,
  { signal }: { signal: AbortSignal },
): Promise<Material> {
  const model = await shards.fetchFile(CID.parse(manifest.model.cid), {
    signal,
    onProgress: (progress) => onProgress?.('model', progress),
  })
  const index = readDataIndex(await shards.fetchBlock(CID.parse(manifest.data.cid), { signal }))
  const chunks = chunksOf(index)
  await shards.fetch(chunks, { signal, onProgress: (progress) => onProgress?.('data', progress) })
  const blocks = new Map<string, Uint8Array>()
  for (const cid of chunks) {
    blocks.set(cid.toString(), await shards.fetchBlock(cid, { signal }))
  }
  return { model, dataSet: decodeDataSet(index, (cid) => blocks.get(cid.toString())) }
}
