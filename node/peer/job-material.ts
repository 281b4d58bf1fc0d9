/**
 * What a job is made of, from the swarm: its model and its data set, fetched block by block and checked. A donor has
 * agreed to what the manifest says, so nothing that is larger is fetched, and nothing that differs is used.
 */

import { CID } from 'multiformats/cid'
import { chunkBytesOf, chunksOf, readDataIndex } from '../../data/data-index.ts'
import { type DataSet, inputShape } from '../../data/data-set.ts'
import { decodeDataSet } from '../../data/shards.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { Manifest } from '../../protocols/jobs/index.ts'
import { decodeFileIndex, type FetchProgress, type Shards } from '../../protocols/shards/index.ts'

export interface MaterialInit {
  manifest: Manifest
  shards: Pick<Shards, 'fetch' | 'fetchBlock' | 'fetchFile'>
  onProgress?: (what: 'model' | 'data', progress: FetchProgress) => void
}

export interface Material {
  /** The ONNX file. */
  model: Uint8Array
  dataSet: DataSet
}

/**
 * Model and data of a job. What the store has already is not fetched again, unless the disk has spoiled it.
 * @throws {SwarmError} LIMIT_EXCEEDED when one of them is larger than the manifest says, before more than its index is
 * fetched; DATA_INVALID when the data is not what the manifest says; BLOCK_CORRUPT, STORAGE_FAILED. Waits for blocks
 * that nobody has until `signal` aborts.
 */
export async function fetchMaterial(
  { manifest, shards, onProgress }: MaterialInit,
  { signal }: { signal: AbortSignal },
): Promise<Material> {
  const modelRoot = CID.parse(manifest.model.cid)
  const { size } = decodeFileIndex(await shards.fetchBlock(modelRoot, { signal }))
  requireWithin('model', size, manifest.model.bytes)
  const indexBlock = await shards.fetchBlock(CID.parse(manifest.data.cid), { signal })
  const index = readDataIndex(indexBlock)
  requireWithin('data', indexBlock.byteLength + chunkBytesOf(index), manifest.data.bytes)

  const model = await shards.fetchFile(modelRoot, {
    signal,
    onProgress: (progress) => onProgress?.('model', progress),
  })
  const chunks = chunksOf(index)
  await shards.fetch(chunks, { signal, onProgress: (progress) => onProgress?.('data', progress) })
  const blocks = new Map<string, Uint8Array>()
  for (const cid of chunks) {
    blocks.set(cid.toString(), await shards.fetchBlock(cid, { signal }))
  }
  const dataSet = decodeDataSet(index, (cid) => blocks.get(cid.toString()))
  requireAsPromised(dataSet, manifest.data)
  return { model, dataSet }
}

function requireWithin(what: 'model' | 'data', bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return
  throw new SwarmError(
    'LIMIT_EXCEEDED',
    `the job's ${what} has ${bytes} bytes, but its manifest promises no more than ${bytesMax}`,
  )
}

/** A model may have outputs for more classes than the data has, so the manifest's classes are a bound. */
function requireAsPromised(dataSet: DataSet, promised: Manifest['data']): void {
  const { kind, classes, train, validation } = dataSet
  const shapeText = (shape: readonly number[] | undefined) => shape?.join('x') ?? 'of its own in each array'
  const [shape, wantedShape] = [inputShape(dataSet), promised.sampleShape].map(shapeText)
  const differing = [
    ['kind', kind, promised.kind, kind === promised.kind],
    ['classes', classes, promised.classes, classes <= promised.classes],
    ['training samples', train.count, promised.trainCount, train.count === promised.trainCount],
    [
      'validation samples',
      validation.count,
      promised.validationCount,
      validation.count === promised.validationCount,
    ],
    ['shape of a sample', shape, wantedShape, shape === wantedShape],
  ] as const
  for (const [what, found, wanted, isRight] of differing) {
    if (!isRight)
      throw new SwarmError('DATA_INVALID', `the data's ${what}: ${found}; its manifest says ${wanted}`)
  }
}
