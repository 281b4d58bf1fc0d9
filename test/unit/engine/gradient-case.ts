/** What a row of the tables of gradient cases is, and the words they are written in. */
import type { Plain } from './reference-array.ts'

/** A parameter with random values between `low` and `high`, or a constant. */
export type Input =
  | { kind: 'parameter'; shape: readonly number[]; low: number; high: number }
  /** A parameter with these values. */
  | { kind: 'parameter'; shape: readonly number[]; data: readonly number[] }
  | {
      kind: 'constant'
      dtype: 'int64' | 'int32' | 'bool' | 'float32'
      shape: readonly number[]
      data: readonly number[]
    }
  /** An optional input that the node leaves out. */
  | { kind: 'none' }

export interface GradientCase {
  name: string
  op: string
  inputs: readonly Input[]
  attributes: Plain
  opset: number
  /** Outputs of the node, and which of them the loss reads. */
  outputs: number
  read: number
}

/** A parameter; values between -2 and 2 unless told. */
export const p = (shape: readonly number[], low = -2, high = 2): Input => ({
  kind: 'parameter',
  shape,
  low,
  high,
})
/** A parameter that begins at `data`. */
export const at = (shape: readonly number[], ...data: number[]): Input => ({ kind: 'parameter', shape, data })
export const positive = (...shape: number[]): Input => p(shape, 0.5, 2)
export const integers = (...data: number[]): Input => ({
  kind: 'constant',
  dtype: 'int64',
  shape: [data.length],
  data,
})
export const ids = (shape: readonly number[], ...data: number[]): Input => ({
  kind: 'constant',
  dtype: 'int32',
  shape,
  data,
})
export const flags = (shape: readonly number[], ...data: number[]): Input => ({
  kind: 'constant',
  dtype: 'bool',
  shape,
  data,
})
export const floats = (...data: number[]): Input => ({
  kind: 'constant',
  dtype: 'float32',
  shape: [data.length],
  data,
})
/** int64 indices of any shape. */
export const places = (shape: readonly number[], ...data: number[]): Input => ({
  kind: 'constant',
  dtype: 'int64',
  shape,
  data,
})
export const none: Input = { kind: 'none' }
export const scalar = (value: number): Input => ({
  kind: 'constant',
  dtype: 'float32',
  shape: [],
  data: [value],
})

export const row = (
  name: string,
  op: string,
  inputs: readonly Input[],
  attributes: Plain = {},
  opset = 18,
): GradientCase => ({
  name: `${op}: ${name}`,
  op,
  inputs,
  attributes,
  opset,
  outputs: 1,
  read: 0,
})

/** As `row`, of a node with `outputs` outputs of which the loss reads number `read`. */
export const reading = (outputs: number, read: number, given: GradientCase): GradientCase => ({
  ...given,
  outputs,
  read,
})
