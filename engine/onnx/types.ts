/**
 * Element types and values of ONNX tensors. One table ties ONNX's numbers, onnxruntime's names and JavaScript's arrays
 * together (TensorProto.DataType of the ONNX specification).
 *
 * float16 and bfloat16 stand as their bit patterns: they can be read and written, not computed with.
 */

/** Every element type a model file can hold that this engine can carry. */
export const elementTypes = {
  float32: { code: 1, array: Float32Array },
  uint8: { code: 2, array: Uint8Array },
  int8: { code: 3, array: Int8Array },
  uint16: { code: 4, array: Uint16Array },
  int16: { code: 5, array: Int16Array },
  int32: { code: 6, array: Int32Array },
  int64: { code: 7, array: BigInt64Array },
  bool: { code: 9, array: Uint8Array },
  float16: { code: 10, array: Uint16Array },
  float64: { code: 11, array: Float64Array },
  uint32: { code: 12, array: Uint32Array },
  uint64: { code: 13, array: BigUint64Array },
  bfloat16: { code: 16, array: Uint16Array },
} as const

export type ElementType = keyof typeof elementTypes

/** The array that holds a constant's elements, row-major. */
export type ElementArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array

/** A tensor's type with every dimension known. */
export interface TensorType {
  readonly dtype: ElementType
  readonly shape: readonly number[]
}

/** A tensor whose value is part of the graph. `data` is shared: nobody writes to it. */
export interface Constant extends TensorType {
  readonly data: ElementArray
}

/**
 * The element type with ONNX's number `code`, or null when this engine does not carry it (strings, complex, 8-bit
 * floats).
 */
export function elementTypeOf(code: number): ElementType | null {
  for (const [name, { code: known }] of Object.entries(elementTypes)) {
    if (known === code) return name as ElementType
  }
  return null
}

/** Whether elements of `dtype` can change by as little as one likes, up to rounding. */
export function isReal(dtype: ElementType): boolean {
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16' || dtype === 'bfloat16'
}

/** Whether `name` (as onnxruntime spells it) is an element type this engine carries. */
export function isElementType(name: string): name is ElementType {
  return Object.hasOwn(elementTypes, name)
}

/** The number of elements of `shape`: 1 for a scalar. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

/** A new zero-filled array for `length` elements of `dtype`. */
export function newElements(dtype: ElementType, length: number): ElementArray {
  return new elementTypes[dtype].array(length)
}

/**
 * The elements of `constant` as numbers; int64 beyond 2^53 saturates, as Slice's "to the end" does in exported models.
 */
export function numbersOf(constant: Constant): number[] {
  return Array.from(constant.data as ArrayLike<number | bigint>, Number)
}

/** A float32 constant; `data` is taken over. */
export function float32Constant(data: Float32Array, shape: readonly number[]): Constant {
  return { dtype: 'float32', shape, data }
}

/** An int64 constant of one dimension, as axes, shapes and pads are. */
export function int64Constant(values: readonly number[]): Constant {
  return { dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, toInt64) }
}

/**
 * `value` as int64. Saturates: the largest int64, which exporters write for "to the end", is not a JavaScript number.
 */
export function toInt64(value: number): bigint {
  const bits = BigInt(value)
  if (BigInt.asIntN(64, bits) === bits) return bits
  return value > 0 ? (1n << 63n) - 1n : -(1n << 63n)
}
