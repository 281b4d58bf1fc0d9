/**
 * The 16-bit floats of model files as float32 and back. Widening is exact; narrowing rounds to the nearest, ties to
 * even, as PyTorch does. bfloat16 is the upper half of a float32.
 */
import { Float16Array } from '@petamoriken/float16'

/** The 16-bit element types. */
export type HalfType = 'float16' | 'bfloat16'

/** Whether `dtype` is one of them. */
export function isHalf(dtype: string): dtype is HalfType {
  return dtype === 'float16' || dtype === 'bfloat16'
}

/** The numbers that `bits` stand for. */
export function widened(bits: Uint16Array, dtype: HalfType): Float32Array {
  if (dtype === 'float16') {
    return Float32Array.from(new Float16Array(bits.buffer as ArrayBuffer, bits.byteOffset, bits.length))
  }
  return new Float32Array(Uint32Array.from(bits, (value) => value << 16).buffer)
}

/** `values` as bit patterns of `dtype`. Beyond its range they become infinite. */
export function narrowed(values: Float32Array, dtype: HalfType): Uint16Array {
  if (dtype === 'float16') return new Uint16Array(new Float16Array(values).buffer)
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length)
  return Uint16Array.from(bits, (value, index) => {
    // the addition below would carry a NaN's payload into its sign
    if (Number.isNaN(values[index])) return 0x7fc0
    const isOdd = (value >>> 16) & 1
    return (value + 0x7fff + isOdd) >>> 16
  })
}
