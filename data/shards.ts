/**
 * A data set as content-addressed blocks, so that peers can fetch it from one another and check every byte.
 *
 *     index block (dag-cbor)                                   raw blocks, at most blockBytesMax each
 *     { v, kind, classes, normal?, context?, vocabulary?,      ┌───────────────┬───────────────┬────┐
 *       train:      { count, x: array, y?: array },     ┌────▶ │ whole samples │ whole samples │ …  │
 *       validation: { count, x: array, y?: array } }    │      └───────────────┴───────────────┴────┘
 *     array = { dtype, sampleShape, chunks: [CID, …] } ─┘      i32 little-endian, or u8
 *
 * The CID of the index names the data set; equal data has an equal CID. A text stores its tokens, `count` of them, and
 * `context` says how to cut windows from them: so jobs with different contexts share the raw blocks.
 * Hashes are checked where blocks arrive (protocols/shards); here, everything else is.
 */

import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import * as z from 'zod'
import { assert } from '../protocols/core/assert.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import { blockBytesMax, jobBytesMax, vocabularyMax } from '../protocols/core/limits.ts'
import { type DataSet, imageSplit, type Split, sampleLength, textSplits } from './data-set.ts'

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

const size = (max: number) => z.int().min(1).max(max)

const arraySchema = z.strictObject({
  dtype: z.enum(['uint8', 'int32']),
  sampleShape: z.array(size(2 ** 20)).max(4),
  chunks: z.array(z.custom<CID>((value) => CID.asCID(value) !== null)).min(1),
})
/** `count`: images, or tokens. */
const splitSchema = z.strictObject({ count: size(2 ** 32 - 1), x: arraySchema, y: arraySchema.optional() })
const commonShape = {
  v: z.literal(1),
  classes: size(2 ** 24),
  train: splitSchema,
  validation: splitSchema,
}
/** One number for each channel of an image. */
const channels = (number: z.ZodNumber) => z.array(number).min(1).max(16)

const indexSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('images'),
    ...commonShape,
    normal: z
      .strictObject({ mean: channels(z.number()), deviation: channels(z.number().gt(0)) })
      .refine(({ mean, deviation }) => mean.length === deviation.length)
      .optional(),
  }),
  z.strictObject({
    kind: z.literal('text'),
    ...commonShape,
    context: size(2 ** 16),
    vocabulary: z.array(z.string().max(2)).max(vocabularyMax),
  }),
])

/** The content of an index block. */
export type DataIndex = z.infer<typeof indexSchema>
type ArrayIndex = z.infer<typeof arraySchema>
type SplitIndex = z.infer<typeof splitSchema>

/** A stored array of `count` samples of `sampleShape`. */
interface StoredArray {
  dtype: 'uint8' | 'int32'
  sampleShape: readonly number[]
  data: Uint8Array | Int32Array
}

/**
 * Encodes `dataSet`.
 * @throws {SwarmError} LIMIT_EXCEEDED when one sample does not fit a block or the whole is over `jobBytesMax`.
 */
export async function encodeDataSet(dataSet: DataSet): Promise<EncodedDataSet> {
  const chunks: Block[] = []
  const store = async (array: StoredArray): Promise<ArrayIndex> => {
    const blocks = await cut(array)
    chunks.push(...blocks)
    return { dtype: array.dtype, sampleShape: [...array.sampleShape], chunks: blocks.map(({ cid }) => cid) }
  }
  const common = {
    v: 1,
    classes: dataSet.classes,
    train: await encodeSplit(dataSet, dataSet.train, store),
    validation: await encodeSplit(dataSet, dataSet.validation, store),
  } as const
  const index: DataIndex =
    dataSet.kind === 'images'
      ? { kind: 'images', ...common, ...normalOf(dataSet.train) }
      : {
          kind: 'text',
          ...common,
          context: sampleLength(dataSet.train.fields.x),
          vocabulary: [...(dataSet.vocabulary ?? [])],
        }
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

/** What is done with an image's channels, as the index says it: dag-cbor has no `undefined`. */
function normalOf({ fields }: Split): Pick<Extract<DataIndex, { kind: 'images' }>, 'normal'> {
  const { normal } = fields.x
  return normal === undefined ? {} : { normal: { mean: [...normal.mean], deviation: [...normal.deviation] } }
}

async function encodeSplit(
  { kind }: DataSet,
  { count, fields: { x, y } }: Split,
  store: (array: StoredArray) => Promise<ArrayIndex>,
): Promise<SplitIndex> {
  assert(x.dtype !== 'float32' && y.dtype !== 'float32', 'every reader gives integers')
  const asStored = ({ dtype, sampleShape, data }: typeof x): StoredArray => {
    assert(dtype !== 'float32' && !(data instanceof Float32Array), 'checked above')
    return { dtype, sampleShape, data }
  }
  if (kind === 'text') return { count: x.data.length, x: await store({ ...asStored(x), sampleShape: [] }) }
  return { count, x: await store(asStored(x)), y: await store(asStored(y)) }
}

/** Blocks of whole samples, as many in each as fit. */
async function cut({ data, sampleShape }: StoredArray): Promise<Block[]> {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const step = chunkBytes(sampleLength({ sampleShape }) * data.BYTES_PER_ELEMENT)
  const blocks: Block[] = []
  for (let start = 0; start < bytes.length; start += step) {
    const chunk = bytes.subarray(start, start + step)
    blocks.push({ cid: CID.createV1(raw.code, await sha256.digest(chunk)), bytes: chunk })
  }
  return blocks
}

/** @throws {SwarmError} LIMIT_EXCEEDED */
function chunkBytes(sampleBytes: number): number {
  if (sampleBytes > blockBytesMax) {
    throw new SwarmError(
      'LIMIT_EXCEEDED',
      `one sample has ${sampleBytes} bytes, a block holds ${blockBytesMax}`,
    )
  }
  return Math.floor(blockBytesMax / sampleBytes) * sampleBytes
}

/**
 * Reads an index block, whose hash the caller has checked.
 * @throws {SwarmError} MESSAGE_TOO_LARGE; DATA_INVALID when it is not an index of a data set within the limits.
 */
export function readDataIndex(bytes: Uint8Array): DataIndex {
  if (bytes.length > blockBytesMax) {
    throw new SwarmError('MESSAGE_TOO_LARGE', `an index of ${bytes.length} bytes is over ${blockBytesMax}`)
  }
  let value: unknown
  try {
    value = dagCbor.decode(bytes)
  } catch (cause) {
    throw new SwarmError('DATA_INVALID', 'the index of the data set is not dag-cbor', { cause })
  }
  const parsed = indexSchema.safeParse(value)
  if (!parsed.success) {
    const where = parsed.error.issues.map(({ path }) => path.join('.') || 'keys').join(', ')
    throw new SwarmError('DATA_INVALID', `the index of the data set is malformed at ${where}`)
  }
  const index = parsed.data
  for (const { array, count } of arraysOf(index)) checkArray(array, count)
  const bytesTotal = chunkBytesOf(index)
  if (bytesTotal > jobBytesMax) {
    throw new SwarmError(
      'DATA_INVALID',
      `the data set has ${bytesTotal} bytes, a job may have ${jobBytesMax}`,
    )
  }
  return index
}

/** Bytes of the raw blocks that `index` names; the index block is not among them. */
export function chunkBytesOf(index: DataIndex): number {
  return arraysOf(index).reduce((sum, { array, count }) => sum + count * sampleBytesOf(array), 0)
}

/** The raw blocks that `index` names, in the order in which they are read. */
export function chunksOf(index: DataIndex): CID[] {
  return arraysOf(index).flatMap(({ array }) => array.chunks)
}

/**
 * Puts a data set together. `blockOf` gives the verified bytes of a chunk; they are copied.
 * @throws {SwarmError} BLOCK_NOT_FOUND naming the missing chunk; DATA_INVALID when a chunk has another length than the index
 * says, or a label or token is not below `classes`.
 */
export function decodeDataSet(index: DataIndex, blockOf: (cid: CID) => Uint8Array | undefined): DataSet {
  const read = (array: ArrayIndex, count: number, isId: boolean) => {
    const data = join(array, count, blockOf)
    if (isId) checkIds(data, index.classes)
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
  const split = ({ count, x, y }: SplitIndex): Split => {
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

/** Every array of `index` with its number of samples; checks that the kind has the arrays it needs. */
function arraysOf(index: DataIndex): { array: ArrayIndex; count: number }[] {
  return [index.train, index.validation].flatMap(({ count, x, y }) => {
    if (index.kind === 'text') {
      const isText =
        y === undefined && x.sampleShape.length === 0 && index.vocabulary.length === index.classes
      if (!isText) throw new SwarmError('DATA_INVALID', 'the index of the text names arrays that no text has')
      if (count <= index.context)
        throw new SwarmError('DATA_INVALID', `the text has ${count} tokens for windows of ${index.context}`)
      return [{ array: x, count }]
    }
    const isImages =
      y !== undefined && x.dtype === 'uint8' && y.dtype === 'uint8' && y.sampleShape.length === 0
    const channelCount = index.normal?.mean.length ?? x.sampleShape[0]
    if (x.sampleShape[0] !== channelCount)
      throw new SwarmError('DATA_INVALID', `the index of the images normalises ${channelCount} channels`)
    if (!isImages)
      throw new SwarmError('DATA_INVALID', 'the index of the images lacks u8 pixels or u8 labels')
    return [
      { array: x, count },
      { array: y, count },
    ]
  })
}

function sampleBytesOf(array: ArrayIndex): number {
  return sampleLength(array) * (array.dtype === 'uint8' ? 1 : 4)
}

/** @throws {SwarmError} DATA_INVALID, LIMIT_EXCEEDED */
function checkArray(array: ArrayIndex, count: number): void {
  const sampleBytes = sampleBytesOf(array)
  const chunkCount = Math.ceil((count * sampleBytes) / chunkBytes(sampleBytes))
  if (array.chunks.length !== chunkCount) {
    throw new SwarmError(
      'DATA_INVALID',
      `the index of the data set lists ${array.chunks.length} chunks for ${count} samples instead of ${chunkCount}`,
    )
  }
}

function join(
  array: ArrayIndex,
  count: number,
  blockOf: (cid: CID) => Uint8Array | undefined,
): Uint8Array | Int32Array {
  const length = count * sampleLength(array)
  const data = array.dtype === 'uint8' ? new Uint8Array(length) : new Int32Array(length)
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

/** A label or token beyond the classes would read outside of a tensor. */
function checkIds(ids: Uint8Array | Int32Array, classes: number): void {
  const wrong = ids.find((id) => id < 0 || id >= classes)
  if (wrong !== undefined) {
    throw new SwarmError('DATA_INVALID', `the data set has an id ${wrong}, but only ${classes} classes`)
  }
}
