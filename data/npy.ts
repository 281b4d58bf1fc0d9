/**
 * One array of NumPy in a file (NEP 1, "A simple file format for NumPy arrays"; numpy.lib.format).
 *
 *     93 "NUMPY" | major u8 | minor u8 | length u16 (major 1) or u32, little-endian | header | values, row-major
 *     header: a Python dictionary in text, { 'descr': '<f4', 'fortran_order': False, 'shape': (1000, 28, 28), }
 *
 * Read are the types that a training step takes, or that become one of them without loss: float32, int32, uint8, and
 * bool, float16 and int64 as these. What arrays make a data set is array-folder.ts's business.
 */

import { Float16Array } from '@petamoriken/float16'
import { SwarmError } from '../protocols/core/errors.ts'
import type { Dtype } from '../protocols/core/tensor.ts'

/** The content of one file. */
export interface NpyArray {
  dtype: Dtype
  shape: number[]
  /**
   * Row-major; shares memory with the file's bytes where neither type nor place had to change. Never a Buffer, whose
   * slices are views.
   */
  data: Uint8Array | Int32Array | Float32Array
}

/** Dimensions of an array: the samples, and four of each, as many as an index of data has. */
const rankMax = 5

/** A header of plain types and five sizes has about a hundred bytes, and is padded to a multiple of 64. */
const headerBytesMax = 1024

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]

const readers: Readonly<Record<string, (bytes: Uint8Array) => Pick<NpyArray, 'dtype' | 'data'>>> = {
  '<f4': (bytes) => ({ dtype: 'float32', data: finite(aligned(Float32Array, bytes)) }),
  '<f2': (bytes) => ({ dtype: 'float32', data: finite(widened(aligned(Uint16Array, bytes))) }),
  '<i4': (bytes) => ({ dtype: 'int32', data: aligned(Int32Array, bytes) }),
  '<i8': (bytes) => ({ dtype: 'int32', data: narrowed(aligned(BigInt64Array, bytes)) }),
  '|u1': (bytes) => ({ dtype: 'uint8', data: bytes }),
  '|b1': (bytes) => ({ dtype: 'uint8', data: bytes }),
}

/** Names of types that are not read, and what to write instead of them. */
const remedies: Readonly<Record<string, string>> = {
  '<f8': "float64 is NumPy's default, and no model is fed with it: save array.astype('float32').",
  '|i1': "Save array.astype('int32').",
  '<u2': "Save array.astype('int32').",
}

/**
 * Reads the file `bytes`, which are kept.
 * @throws {SwarmError} DATA_INVALID when it is no such file, has another length than its header says, a type that is
 * not read, or a value that no step can take: NaN, an infinity, an integer beyond 32 bits.
 */
export function readNpy(bytes: Uint8Array): NpyArray {
  const { header, end } = headerOf(bytes)
  const type = /'descr': *'([^']{1,16})'/.exec(header)?.[1]
  const order = /'fortran_order': *(True|False)/.exec(header)?.[1]
  const sizes = /'shape': *\(([\d, ]*)\)/.exec(header)?.[1]
  if (type === undefined || order === undefined || sizes === undefined)
    throw invalid('has a header that names no plain type, order and shape')
  if (order === 'True') throw invalid('is stored column by column', 'Save numpy.ascontiguousarray(array).')
  const shape = sizes.split(',').flatMap((size) => (size.trim() === '' ? [] : [Number(size)]))
  if (shape.length === 0 || shape.length > rankMax || shape.includes(0))
    throw invalid(
      `has the shape [${shape}]`,
      `Samples are counted by the first of 1 to ${rankMax} dimensions.`,
    )
  const read = Object.hasOwn(readers, type) ? readers[type] : undefined
  if (read === undefined)
    throw invalid(
      `holds values of type ${type}`,
      remedies[type] ?? `Read are ${Object.keys(readers).join(', ')}.`,
    )
  const length = shape.reduce((product, size) => product * size, Number(type.slice(2)))
  if (bytes.length - end !== length)
    throw invalid(
      `says ${type} [${shape}], which is ${length} bytes, but holds ${bytes.length - end}`,
      'The file is cut off or damaged: save it again.',
    )
  return { shape, ...read(new Uint8Array(bytes.buffer, bytes.byteOffset + end, length)) }
}

/** The header's text, and where it ends. */
function headerOf(bytes: Uint8Array): { header: string; end: number } {
  const major = bytes[6] ?? 0
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = major === 1 ? 10 : 12
  if (bytes.length < start || magic.some((byte, index) => bytes[index] !== byte) || major < 1 || major > 3)
    throw invalid(
      'is no .npy file: its first bytes do not fit',
      "Save the array with numpy.save('name.npy', array).",
    )
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (length > headerBytesMax || bytes.length < start + length)
    throw invalid(`has a header of ${length} bytes`, 'Save an array of one plain type.')
  return {
    header: new TextDecoder('latin1').decode(bytes.subarray(start, start + length)),
    end: start + length,
  }
}

interface NumberArray<Data> {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): Data
}

/**
 * `bytes` as numbers, little-endian as every platform that runs this. They are copied only where they lie between
 * elements.
 */
function aligned<Data>(Numbers: NumberArray<Data>, bytes: Uint8Array): Data {
  const size = Numbers.BYTES_PER_ELEMENT
  const { buffer, byteOffset } = bytes.byteOffset % size === 0 ? bytes : bytes.slice()
  return new Numbers(buffer, byteOffset, bytes.length / size)
}

function widened(bits: Uint16Array): Float32Array {
  return Float32Array.from(new Float16Array(bits.buffer as ArrayBuffer, bits.byteOffset, bits.length))
}

function finite(values: Float32Array): Float32Array {
  const index = values.findIndex((value) => !Number.isFinite(value))
  if (index < 0) return values
  throw invalid(
    `holds ${values[index]} as its value ${index}`,
    'Replace it, or leave its sample out: one ends the whole run.',
  )
}

function narrowed(values: BigInt64Array): Int32Array {
  const narrow = new Int32Array(values.length)
  for (let i = 0; i < narrow.length; i++) {
    narrow[i] = Number(values[i])
    if (BigInt(narrow[i]!) !== values[i])
      throw invalid(`holds ${values[i]} as its value ${i}, which has more than 32 bits`)
  }
  return narrow
}

function invalid(problem: string, hint?: string): SwarmError {
  return new SwarmError('DATA_INVALID', `the array ${problem}`, { hint })
}
