/**
 * The reference interpreter: one operator at a time in float64, by the letter of the ONNX specification, so that
 * central differences of it are an oracle for gradients which shares no code and no formula with the engine.
 */
import type { Nd, Plain } from './reference-array.ts'
import { deformed } from './reference-deformed.ts'
import { elementwise } from './reference-elementwise.ts'
import { losses } from './reference-loss.ts'
import { samplings } from './reference-sampling.ts'
import { scatters } from './reference-scatter.ts'
import { sequences } from './reference-sequence.ts'
import { shapes } from './reference-shape.ts'
import { spectra } from './reference-spectra.ts'
import { windows } from './reference-windows.ts'

const operators = {
  ...elementwise,
  ...windows,
  ...shapes,
  ...samplings,
  ...scatters,
  ...sequences,
  ...losses,
  ...spectra,
  ...deformed,
}

/** Inputs of a node; undefined is one that was left out. */
export type Inputs = readonly (Nd | undefined)[]

/** The first output of `opType`. */
export function evaluate(opType: string, inputs: Inputs, attributes: Plain): Nd {
  const operator = operators[opType]
  if (operator === undefined) throw new Error(`the reference has no ${opType}`)
  return operator(inputs as readonly Nd[], attributes) // an operator knows which of its inputs are optional
}

/**
 * The gradient of Σ (y - target)² / n by every element of `inputs[index]`, by central differences. With h = 1e-5 in
 * float64 truncation and rounding both stay below 1e-8 of the gradient's scale.
 */
export function differences(
  opType: string,
  inputs: Inputs,
  attributes: Plain,
  target: Nd,
  index: number,
): Float64Array {
  const h = 1e-5
  const input = inputs[index]!
  const lossWith = (position: number, value: number) => {
    const data = input.data.slice()
    data[position] = value
    const y = evaluate(opType, inputs.with(index, { ...input, data }), attributes)
    return y.data.reduce((sum, element, flat) => sum + (element - target.data[flat]!) ** 2, 0) / y.data.length
  }
  return input.data.map(
    (value, position) => (lossWith(position, value + h) - lossWith(position, value - h)) / (2 * h),
  )
}
