/**
 * Gradient cases with their values: inputs, and what the mean squared error compares the result with, from the case's
 * name.
 */
import { type Random, seededRandom, seedFrom } from '../../../protocols/core/random.ts'
import type { GradientCase, Input } from './gradient-case.ts'
import { evaluate } from './reference.ts'
import { type Nd, type Plain, sizeOf } from './reference-array.ts'

export interface DrawnCase {
  /** Undefined where the node leaves one out. */
  readonly inputs: readonly (Nd | undefined)[]
  /** The attributes as the reference takes them. */
  readonly reference: Plain
  /** The operator's result. */
  readonly y: Nd
  /** Of `y`'s shape. */
  readonly target: Nd
}

/** The values of `given`, the same whenever it is asked for. */
export function drawn(given: GradientCase): DrawnCase {
  const random = seededRandom(seedFrom(given.name))
  const inputs = given.inputs.map((input) => valuesOf(input, random))
  const reference = { ...given.attributes, read: given.read }
  const y = evaluate(given.op, inputs, reference)
  const target = { shape: y.shape, data: y.data.map(() => Math.fround(random.normal())) }
  return { inputs, reference, y, target }
}

/**
 * Values of a parameter keep a distance from each other: differences across a maximum's tie would be half of the
 * gradient.
 */
function valuesOf(input: Input, random: Random): Nd | undefined {
  if (input.kind === 'none') return undefined
  const { shape } = input
  if ('data' in input) return { shape, data: Float64Array.from(input.data, Math.fround) }
  const step = (input.high - input.low) / sizeOf(shape)
  const values = Array.from({ length: sizeOf(shape) }, (_, place) => place + 0.25 + 0.5 * random.next())
  for (let last = values.length - 1; last > 0; last--) {
    const other = random.integer(last + 1)
    ;[values[last], values[other]] = [values[other]!, values[last]!]
  }
  return { shape, data: Float64Array.from(values, (value) => Math.fround(input.low + step * value)) }
}
