/**
 * Operators that WebGPU has no kernel for, in the form that they are spelled out there: forward values against the
 * float64 reference, gradients against its differences. All cases stand in one model, which native runs too, where a
 * wrong formula is told from a wrong kernel.
 */
import { expect, test } from 'vitest'
import { opsetTarget } from '../../engine/onnx/opsets.ts'
import { caseGraph } from '../unit/engine/fuzz/case-graph.ts'
import { derivativeError, modelOf, referenceDerivative } from '../unit/engine/fuzz/graph-model.ts'
import type { GradientCase } from '../unit/engine/gradient-case.ts'
import { gradientCases } from '../unit/engine/gradient-cases.ts'
import { backends } from './backends.ts'

const tolerance = 1e-4

/**
 * Convolutions over three axes that stride, have groups or are transposed, and poolings, whose gradients are such
 * convolutions.
 */
function isVolume({ op, inputs: [x] }: GradientCase): boolean {
  return (
    ['Conv', 'ConvTranspose', 'MaxPool', 'AveragePool'].includes(op) &&
    x?.kind === 'parameter' &&
    x.shape.length === 5
  )
}

const cases = gradientCases.filter(
  (given) => ['Mod', 'ReverseSequence', 'MaxUnpool', 'Det'].includes(given.op) || isVolume(given),
)

test.each(backends.filter(({ title }) => title !== 'wasm'))('on $title', async ({ open }) => {
  const backend = await open()
  const { model, feeds, placed } = modelOf(cases.map(caseGraph), opsetTarget, 'gpu')
  const executable = await backend.compile(model)
  const values = await executable.run(feeds)
  await executable.release()
  for (const [index, one] of placed.entries()) {
    const { name } = cases[index]!
    const { shape, data } = one.graph.output
    expect(values[one.output]!.shape, name).toEqual(shape)
    for (const [place, value] of data.entries()) {
      expect(Math.abs(values[one.output]!.data[place]! - value), name).toBeLessThan(tolerance)
    }
    const derivative = referenceDerivative(one)!
    expect(derivativeError(one, values, derivative), name).toBeLessThan(tolerance)
  }
})
