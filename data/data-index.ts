/**
 * The index of a data set: the block that names all others, and from whose hash the data set has its name.
 *
 *     index block (dag-cbor)
 *     { v, kind: images | text, classes, normal?, context?, vocabulary?,
 *       train:      { count, x: array, y?: array },
 *       validation: { count, x: array, y?: array } }
 *     { v, kind: arrays, classes, ignored?,
 *       train:      { count, fields: [{ name, isPixels?, ...array }, …] },
 *       validation: { count, fields: [{ name, isPixels?, ...array }, …] } }
 *     array = { dtype, sampleShape, chunks: [CID, …] }
 *
 * A text stores its tokens, `count` of them, and `context` says how to cut windows from them. The blocks themselves are
 * read and written in shards.ts.
 */

import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as z from 'zod'
import { SwarmError } from '../protocols/core/errors.ts'
import { blockBytesMax, dataFieldsMax, jobBytesMax, vocabularyMax } from '../protocols/core/limits.ts'
import { sampleLength } from './data-set.ts'

/** Classes of labels; a model with an output for each has more than a job may carry long before. */
export const classesMax = 2 ** 24

const size = (max: number) => z.int().min(1).max(max)

const storedShape = {
  sampleShape: z.array(size(2 ** 20)).max(4),
  chunks: z.array(z.custom<CID>((value) => CID.asCID(value) !== null)).min(1),
}
const arraySchema = z.strictObject({ dtype: z.enum(['uint8', 'int32']), ...storedShape })
const count = size(2 ** 32 - 1)
/** `count`: images, or tokens. */
const splitSchema = z.strictObject({ count, x: arraySchema, y: arraySchema.optional() })
const common = { v: z.literal(1), classes: size(classesMax) }
const single = { ...common, train: splitSchema, validation: splitSchema }
/** One number for each channel of an image. */
const channels = (number: z.ZodNumber) => z.array(number).min(1).max(16)

/** What a field of an array may be called: as a tensor inside a model file. */
export const fieldName = () => z.string().regex(/^[ -~]{1,96}$/, 'must be 1 to 96 printable ASCII characters')

const fieldSchema = z.strictObject({
  name: fieldName(),
  /** Bytes that stand for 0 to 1 in steps of a 255th. */
  isPixels: z.literal(true).optional(),
  dtype: z.enum(['uint8', 'int32', 'float32']),
  ...storedShape,
})
const fieldsSchema = z.strictObject({ count, fields: z.array(fieldSchema).min(2).max(dataFieldsMax) })

const indexSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('images'),
    ...single,
    normal: z
      .strictObject({ mean: channels(z.number()), deviation: channels(z.number().gt(0)) })
      .refine(({ mean, deviation }) => mean.length === deviation.length)
      .optional(),
  }),
  z.strictObject({
    kind: z.literal('text'),
    ...single,
    context: size(2 ** 16),
    vocabulary: z.array(z.string().max(2)).max(vocabularyMax),
  }),
  z.strictObject({
    kind: z.literal('arrays'),
    ...common,
    ignored: z
      .int()
      .min(-(2 ** 31))
      .max(2 ** 31 - 1)
      .optional(),
    train: fieldsSchema,
    validation: fieldsSchema,
  }),
])

/** The content of an index block. */
export type DataIndex = z.infer<typeof indexSchema>
export type SingleInputIndex = Exclude<DataIndex, { kind: 'arrays' }>
export type SingleInputSplitIndex = z.infer<typeof splitSchema>
export type FieldsIndex = z.infer<typeof fieldsSchema>
/** Where the samples of one array are. */
export type ArrayIndex = Pick<z.infer<typeof fieldSchema>, 'dtype' | 'sampleShape' | 'chunks'>

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
  if (index.kind === 'arrays') checkFields(index)
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
 * Bytes of every block of an array but the last: whole samples, as many as fit.
 * @throws {SwarmError} LIMIT_EXCEEDED
 */
export function chunkBytes(sampleBytes: number): number {
  if (sampleBytes > blockBytesMax) {
    throw new SwarmError(
      'LIMIT_EXCEEDED',
      `one sample has ${sampleBytes} bytes, a block holds ${blockBytesMax}`,
      { hint: 'Use smaller samples, or a smaller type: pixels as bytes take a fourth of float32.' },
    )
  }
  return Math.floor(blockBytesMax / sampleBytes) * sampleBytes
}

/** Every array of `index` with its number of samples; checks that the kind has the arrays it needs. */
function arraysOf(index: DataIndex): { array: ArrayIndex; count: number }[] {
  if (index.kind === 'arrays') {
    return [index.train, index.validation].flatMap(({ count, fields }) =>
      fields.map((array) => ({ array, count })),
    )
  }
  const [trained, validated] = [index.train.x.sampleShape, index.validation.x.sampleShape]
  if (`${trained}` !== `${validated}`)
    throw new SwarmError(
      'DATA_INVALID',
      `samples that validate have the shape ${validated.join('x')}, those that train ${trained.join('x')}`,
    )
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

/** Both splits have the same fields, in the same order, and labels among them. */
function checkFields({ train, validation }: Extract<DataIndex, { kind: 'arrays' }>): void {
  const form = ({ name, isPixels, dtype, sampleShape }: z.infer<typeof fieldSchema>) =>
    JSON.stringify([name, isPixels, dtype, sampleShape])
  const names = train.fields.map(({ name }) => name)
  if (new Set(names).size !== names.length || !names.includes('y'))
    throw new SwarmError('DATA_INVALID', `the index of the arrays has the fields ${names.join(', ')}`)
  if (`${train.fields.map(form)}` !== `${validation.fields.map(form)}`)
    throw new SwarmError('DATA_INVALID', 'the arrays that validate are of another form than those that train')
  const wrong = train.fields.find(({ dtype, isPixels }) => isPixels === true && dtype !== 'uint8')
  if (wrong !== undefined)
    throw new SwarmError('DATA_INVALID', `the array ${wrong.name} has pixels of type ${wrong.dtype}`)
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
