/**
 * A folder of `.npy` files, one array for each input of a model and `y.npy` with the labels; the first dimension of
 * each counts the samples. With folders `train` and `test` (or `val`, `validation`) those are the splits; without, a
 * seeded share validates.
 *
 *     train/dense.npy  <f4 [1000, 4]        train/y.npy  <f4 [1000, 1]
 *     train/sparse.npy <i8 [1000, 3, 2]     test/…       the same arrays of other samples
 *
 * Values are taken as they are; bytes that are named as pixels are divided by 255. This reader knows no file system.
 */

import { SwarmError } from '../protocols/core/errors.ts'
import { dataFieldsMax } from '../protocols/core/limits.ts'
import { seededRandom, seedFrom } from '../protocols/core/random.ts'
import { classesMax, fieldName } from './data-index.ts'
import { type DataSet, type Field, type Split, sampleLength } from './data-set.ts'
import { type FolderFile, trainName, validationNames } from './folder.ts'
import { type NpyArray, readNpy } from './npy.ts'

export interface ArrayFolderOptions {
  /** Arrays of bytes that are pixels: 0 to 255 stand for 0 to 1. */
  pixels?: readonly string[]
  /** Share of the samples that validates where the folder has no splits; above 0 and below 1. */
  validation: number
  /** Decides which. Any 32-bit integer. */
  seed: number
  /** The label of what does not count: no class, and any 32-bit integer. */
  ignored?: number | undefined
}

/** The array of labels; an input of that name takes another one by `model.inputs` of the job. */
const labelsName = 'y'

/**
 * The data set of `files`; others than `.npy` are passed over. Fields share memory with them where they can. Labels of
 * an integer type are classes from 0 up, but for the one that is ignored; of float32 they are values.
 * @throws {SwarmError} DATA_INVALID naming the file that cannot be read or does not go with the others.
 */
export function arrayFolder(files: readonly FolderFile[], options: ArrayFolderOptions): DataSet {
  const arrays = files
    .filter(({ path }) => path.endsWith('.npy'))
    .map((file) => ({ folders: file.path.split('/').slice(0, -1), name: nameOf(file.path), file }))
  const inSplit = (names: readonly string[]): FolderFile[] =>
    arrays.flatMap(({ folders: [split], file }) =>
      split !== undefined && names.includes(split) ? [file] : [],
    )
  const [train, validation] = [inSplit([trainName]), inSplit(validationNames)]
  const [stray] = train.length === 0 ? validation : []
  if (stray !== undefined)
    throw invalid(
      `there is ${stray.path}, and no array in ${trainName}/`,
      `Put what trains into ${trainName}/, or all samples into the folder itself.`,
    )
  const atTop = arrays.flatMap(({ folders, file }) => (folders.length === 0 ? [file] : []))
  const splits =
    train.length === 0
      ? divided(splitOf(atTop, 'the folder', options), options)
      : { train: splitOf(train, 'train', options), validation: splitOf(validation, 'test', options) }
  requireSameForm(splits.train, splits.validation)
  const { ignored } = options
  const classes = Math.max(classesOf(splits.train, ignored), classesOf(splits.validation, ignored))
  return { kind: 'arrays', classes, ...(ignored !== undefined && { ignored }), ...splits }
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1, -'.npy'.length)
}

/** The arrays of `files` as one split. `where`: what the person called it. */
function splitOf(files: readonly FolderFile[], where: string, { pixels = [] }: ArrayFolderOptions): Split {
  if (files.length > dataFieldsMax)
    throw invalid(`${where} has ${files.length} arrays, at most ${dataFieldsMax} make a sample`)
  const read = files.map((file) => ({ path: file.path, name: nameOf(file.path), ...reading(file) }))
  const byName: Record<string, Field> = Object.fromEntries(
    read.map(({ name, path, ...array }) => [name, fieldOf(array, path, pixels.includes(name))]),
  )
  const { [labelsName]: y } = byName
  const [first] = read
  if (y === undefined || first === undefined || read.length < 2)
    throw invalid(
      `${where} has ${read.length === 0 ? 'no .npy files' : `only ${read.map(({ path }) => path).join(', ')}`}`,
      `Save an array for each input of the model, named after it, and ${labelsName}.npy with the labels; in train/ and test/, or in the folder itself.`,
    )
  const twice = read.find(({ name }, index) => read.findIndex((array) => array.name === name) < index)
  if (twice !== undefined) throw invalid(`${where} has the array ${twice.name} twice, once as ${twice.path}`)
  const unnamed = read.find(({ name }) => !fieldName().safeParse(name).success)
  if (unnamed !== undefined)
    throw invalid(
      `${unnamed.path} has a name that no input can have`,
      'Name it in 1 to 96 printable ASCII characters; model.inputs says which input takes it.',
    )
  const count = first.shape[0]!
  const other = read.find(({ shape }) => shape[0] !== count)
  if (other !== undefined)
    throw invalid(`${first.path} has ${count} samples and ${other.path} ${other.shape[0]}`)
  const missing = pixels.find((name) => !Object.hasOwn(byName, name))
  if (missing !== undefined) throw invalid(`${where} has no array ${missing}, which is named as pixels`)
  return { count, fields: { ...byName, y } }
}

/** @throws {SwarmError} DATA_INVALID naming the file. */
function reading({ path, bytes }: FolderFile): NpyArray {
  try {
    return readNpy(bytes)
  } catch (error) {
    if (!(error instanceof SwarmError)) throw error
    throw new SwarmError(error.code, `${path}: ${error.message}`, { hint: error.hint, cause: error })
  }
}

function fieldOf({ dtype, shape, data }: NpyArray, path: string, isPixels: boolean): Field {
  if (isPixels && dtype !== 'uint8') throw invalid(`${path} is named as pixels, but holds ${dtype}`)
  const sampleShape = shape.slice(1)
  return { dtype, sampleShape, stride: sampleLength({ sampleShape }), divisor: isPixels ? 255 : 1, data }
}

/** A share of the samples of `whole` validates; both parts keep their order. */
function divided(
  whole: Split,
  { validation, seed }: ArrayFolderOptions,
): { train: Split; validation: Split } {
  const { count } = whole
  const held = Math.max(1, Math.round(validation * count))
  if (held >= count) throw invalid(`the folder has ${count} samples, too few to train and to validate with`)
  const random = seededRandom(seedFrom('array folder', seed))
  const order = Uint32Array.from({ length: count }, (_, index) => index)
  // the first steps of a shuffle (Fisher and Yates) draw those that validate
  for (let i = 0; i < held; i++) {
    const j = i + random.integer(count - i)
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  const part = (indices: Uint32Array) => taken(whole, indices.sort())
  return { train: part(order.subarray(held)), validation: part(order.subarray(0, held)) }
}

/** A copy of the samples `indices` of `split`. */
function taken({ fields }: Split, indices: Uint32Array): Split {
  const of = (field: Field): Field => {
    const { data, stride } = field
    const copy = data.slice(0, indices.length * stride)
    for (const [row, index] of indices.entries())
      copy.set(data.subarray(index * stride, (index + 1) * stride), row * stride)
    return { ...field, data: copy }
  }
  const copies: Record<string, Field> = Object.fromEntries(
    Object.entries(fields).map(([name, field]) => [name, of(field)]),
  )
  return { count: indices.length, fields: { ...copies, y: of(fields.y) } }
}

function requireSameForm(train: Split, validation: Split): void {
  const form = ({ fields }: Split) =>
    Object.entries(fields)
      .map(([name, { dtype, sampleShape }]) => `${name} ${dtype} [${sampleShape}]`)
      .sort()
      .join(', ')
  if (form(train) !== form(validation))
    throw invalid(`a sample that trains is ${form(train)}; one that validates is ${form(validation)}`)
}

/** One more than the largest class, 1 where labels are values. */
function classesOf({ fields: { y } }: Split, ignored: number | undefined): number {
  if (y.dtype === 'float32' || y.divisor === 255) return 1
  let largest = 0
  for (const label of y.data) {
    if (label === ignored) continue
    if (label < 0)
      throw invalid(
        `${labelsName}.npy holds the class ${label}`,
        `Classes count from 0. If ${label} stands for what shall not count, name it as model.ignore_index.`,
      )
    largest = Math.max(largest, label)
  }
  if (largest >= classesMax)
    throw invalid(
      `${labelsName}.npy holds the class ${largest}, at most ${classesMax} are possible`,
      'Number the classes from 0 up. Save labels that are values as float32.',
    )
  return largest + 1
}

function invalid(message: string, hint?: string): SwarmError {
  return new SwarmError('DATA_INVALID', message, { hint })
}
