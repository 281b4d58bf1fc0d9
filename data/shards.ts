/**
 * Data sets as blocks, so that peers can fetch them from one another and check every byte.
 *
 *     index block (data-index.ts)                              raw blocks, at most blockBytesMax each
 *     { …, chunks: [CID, …], … } ───────────────────────────▶ ┌───────────────┬───────────────┬────┐
 *                                                              │ whole samples │ whole samples │ …  │
 *                                                              └───────────────┴───────────────┴────┘
 *                                                              f32 or i32 little-endian, or u8
 *
 * The CID of the index names the data set; equal data has an equal CID. A text stores its tokens without their windows:
 * so jobs with different contexts share the raw blocks. Hashes are checked where blocks arrive (protocols/shards);
 * here, everything else is.
 */

import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { assert } from '../protocols/core/assert.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import { blockBytesMax, jobBytesMax } from '../protocols/core/limits.ts'
import {
  type ArrayIndex,
  chunkBytes,
  type DataIndex,
  type FieldsIndex,
  type SingleInputIndex,
  type SingleInputSplitIndex,
} from './data-index.ts'
import {
  type DataSet,
  type Field,
  imageSplit,
  type SingleInputDataSet,
  type SingleInputSplit,
  type Split,
  sampleLength,
  textSplits,
} from './data-set.ts'

export interface Block {
  cid: CID
  bytes: Uint8Array
}

/** A data set as blocks; the first one is the index. Chunks share memory with the data set. */
export interface EncodedDataSet {
  /** CID of the index block. */
  root: CID
  /** Of all blocks together. */
  bytes: number
  blocks: Block[]
}

/** A stored array: samples of `sampleShape`, one after the other. */
type StoredArray = Pick<Field, 'dtype' | 'sampleShape' | 'data'>
type StoreArray = (array: StoredArray) => Promise<ArrayIndex>

/**
 * Encodes `dataSet`.
 * @throws {SwarmError} LIMIT_EXCEEDED when one sample does not fit a block or the whole is over `jobBytesMax`.
 */
export async function encodeDataSet(dataSet: DataSet): Promise<EncodedDataSet> {
  const chunks: Block[] = []
  const store: StoreArray = async ({ dtype, sampleShape, data }) => {
    const blocks = await cut({ sampleShape, data })
    chunks.push(...blocks)
    return { dtype, sampleShape: [...sampleShape], chunks: blocks.map(({ cid }) => cid) }
  }
  const index = isSingleInput(dataSet)
    ? await singleInputIndex(dataSet, store)
    : await arraysIndex(dataSet, store)
  const indexBytes = dagCbor.encode(index)
  const bytes = chunks.reduce((sum, block) => sum + block.bytes.length, indexBytes.length)
  if (bytes > jobBytesMax || indexBytes.length > blockBytesMax) {
    throw new SwarmError('LIMIT_EXCEEDED', `the data set has ${bytes} bytes, a job may have ${jobBytesMax}`, {
      hint: 'Use a part of it.',
    })
  }
  const root = CID.createV1(dagCbor.code, await sha256.digest(indexBytes))
  return { root, bytes, blocks: [{ cid: root, bytes: indexBytes }, ...chunks] }
}

function isSingleInput(dataSet: DataSet): dataSet is SingleInputDataSet {
  return dataSet.kind !== 'arrays'
}

async function singleInputIndex(dataSet: SingleInputDataSet, store: StoreArray): Promise<SingleInputIndex> {
  const { kind, classes, vocabulary = [], train, validation } = dataSet
  const common = {
    v: 1,
    classes,
    train: await encodeSplit(kind, train, store),
    validation: await encodeSplit(kind, validation, store),
  } as const
  if (kind === 'text')
    return { kind, ...common, context: sampleLength(train.fields.x), vocabulary: [...vocabulary] }
  const { normal } = train.fields.x
  // dag-cbor has no `undefined`
  return normal === undefined
    ? { kind, ...common }
    : { kind, ...common, normal: { mean: [...normal.mean], deviation: [...normal.deviation] } }
}

async function encodeSplit(
  kind: SingleInputDataSet['kind'],
  { count, fields: { x, y } }: SingleInputSplit,
  store: StoreArray,
): Promise<SingleInputSplitIndex> {
  const storeIds = async (array: StoredArray) => {
    const { dtype, ...stored } = await store(array)
    assert(dtype !== 'float32', 'pixels, classes and tokens are integers')
    return { dtype, ...stored }
  }
  if (kind === 'text') return { count: x.data.length, x: await storeIds({ ...x, sampleShape: [] }) }
  return { count, x: await storeIds(x), y: await storeIds(y) }
}

async function arraysIndex(
  { classes, ignored, train, validation }: DataSet,
  store: StoreArray,
): Promise<DataIndex> {
  const encode = async ({ count, fields }: Split): Promise<FieldsIndex> => {
    const stored: FieldsIndex['fields'] = []
    // in the order of their names, so that equal data has an equal name
    for (const name of Object.keys(fields).sort()) {
      const field = fields[name]!
      const isPixels = field.divisor === 255 ? ({ isPixels: true } as const) : {}
      stored.push({ name, ...isPixels, ...(await store(field)) })
    }
    return { count, fields: stored }
  }
  return {
    kind: 'arrays',
    v: 1,
    classes,
    ...(ignored !== undefined && { ignored }),
    train: await encode(train),
    validation: await encode(validation),
  }
}

/** Blocks of whole samples, as many in each as fit. */
async function cut({ data, sampleShape }: Omit<StoredArray, 'dtype'>): Promise<Block[]> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const step = chunkBytes(sampleLength({ sampleShape }) * data.BYTES_PER_ELEMENT)
  const blocks: Block[] = []
  for (let start = 0; start < bytes.length; start += step) {
    const chunk = bytes.subarray(start, start + step)
    blocks.push({ cid: CID.createV1(raw.code, await sha256.digest(chunk)), bytes: chunk })
  }
  return blocks
}

/** Gives the verified bytes of a chunk; they are copied. */
type BlockOf = (cid: CID) => Uint8Array | undefined

/**
 * Puts a data set together.
 * @throws {SwarmError} BLOCK_NOT_FOUND naming the missing chunk; DATA_INVALID when a chunk has another length than the
 * index says, or a label or token is not below `classes`.
 */
export function decodeDataSet(index: DataIndex, blockOf: BlockOf): DataSet {
  if (index.kind === 'arrays') {
    const { kind, classes, ignored, train, validation } = index
    return {
      kind,
      classes,
      ...(ignored !== undefined && { ignored }),
      train: decodeFields(train, index, blockOf),
      validation: decodeFields(validation, index, blockOf),
    }
  }
  const read = (array: ArrayIndex, count: number, isId: boolean) => {
    const data = join(array, count, blockOf)
    assert(!(data instanceof Float32Array), 'the schema has integers only')
    if (isId) checkIds(data, index)
    return data
  }
  if (index.kind === 'text') {
    const { kind, classes, vocabulary, context, train, validation } = index
    const tokens = {
      train: read(train.x, train.count, true),
      validation: read(validation.x, validation.count, true),
    }
    return { kind, classes, vocabulary, ...textSplits(tokens, context) }
  }
  const split = ({ count, x, y }: SingleInputSplitIndex): SingleInputSplit => {
    assert(y !== undefined, 'readDataIndex() has checked it')
    const [pixels, labels] = [read(x, count, false), read(y, count, true)]
    assert(pixels instanceof Uint8Array && labels instanceof Uint8Array, 'readDataIndex() has checked it')
    return imageSplit(pixels, labels, x.sampleShape, index.normal)
  }
  return {
    kind: 'images',
    classes: index.classes,
    train: split(index.train),
    validation: split(index.validation),
  }
}

function decodeFields(
  { count, fields }: FieldsIndex,
  labels: Pick<DataSet, 'classes' | 'ignored'>,
  blockOf: BlockOf,
): Split {
  const decoded = fields.map((array): [string, Field] => {
    const { name, isPixels, dtype, sampleShape } = array
    const data = join(array, count, blockOf)
    const divisor = isPixels === true ? 255 : 1
    const isClass = name === 'y' && divisor === 1 && !(data instanceof Float32Array)
    if (isClass) checkIds(data, labels)
    return [name, { dtype, sampleShape, stride: sampleLength(array), divisor, data }]
  })
  const byName: Record<string, Field> = Object.fromEntries(decoded)
  const { y } = byName
  assert(y !== undefined, 'readDataIndex() has checked it')
  return { count, fields: { ...byName, y } }
}

const arrayTypes = { uint8: Uint8Array, int32: Int32Array, float32: Float32Array } as const

function join(array: ArrayIndex, count: number, blockOf: BlockOf): Uint8Array | Int32Array | Float32Array {
  const data = new arrayTypes[array.dtype](count * sampleLength(array))
  const bytes = new Uint8Array(data.buffer)
  const step = chunkBytes(sampleLength(array) * data.BYTES_PER_ELEMENT)
  for (const [i, cid] of array.chunks.entries()) {
    const chunk = blockOf(cid)
    if (chunk === undefined)
      throw new SwarmError('BLOCK_NOT_FOUND', `block ${cid} of the data set is not here`)
    const expected = Math.min(step, bytes.length - i * step)
    if (chunk.length !== expected) {
      throw new SwarmError('DATA_INVALID', `block ${cid} has ${chunk.length} bytes instead of ${expected}`)
    }
    bytes.set(chunk, i * step)
  }
  return data
}

/** A label or token beyond the classes would read outside of a tensor, but for the label that the loss passes over. */
function checkIds(
  ids: Uint8Array | Int32Array,
  { classes, ignored }: Pick<DataSet, 'classes' | 'ignored'>,
): void {
  const wrong = ids.find((id) => (id < 0 || id >= classes) && id !== ignored)
  if (wrong !== undefined) {
    throw new SwarmError('DATA_INVALID', `the data set has an id ${wrong}, but only ${classes} classes`)
  }
}
