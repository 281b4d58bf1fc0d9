/**
 * Axes of no elements on every backend of Node: forward values against the float64 reference, gradients against its
 * differences. All cases stand in one model.
 */
import { expect, test } from 'vitest'
import { opsetWritten } from '../../engine/import/opsets.ts'
import { caseGraph } from '../unit/engine/fuzz/case-graph.ts'
import { derivativeError, modelOf, referenceDerivative } from '../unit/engine/fuzz/graph-model.ts'
import { emptyCases } from '../unit/engine/gradient-cases-empty.ts'
import { backends } from './backends.ts'

const tolerance = 1e-4

test.each(backends)('nothing in, nothing or its neutral out: $title', async ({ open }) => {
  const backend = await open()
  const graphs = emptyCases.map(caseGraph)
  const device = backend.name === 'webgpu' ? 'gpu' : 'cpu'
  const { model, feeds, placed } = modelOf(graphs, opsetWritten, device)
  const executable = await backend.compile(model)
  const values = await executable.run(feeds)
  await executable.release()
  for (const [index, one] of placed.entries()) {
    const { name } = emptyCases[index]!
    const { shape, data } = one.graph.output
    expect(values[one.output]!.shape, name).toEqual(shape)
    for (const [place, value] of data.entries()) {
      expect(Math.abs(values[one.output]!.data[place]! - value), name).toBeLessThan(tolerance)
    }
    for (const { name: parameter, shape: wanted } of one.graph.parameters) {
      expect(values[one.gradients.get(parameter)!]!.shape, `${name}, ${parameter}`).toEqual(wanted)
    }
    const derivative = referenceDerivative(one)!
    expect(derivativeError(one, values, derivative), name).toBeLessThan(tolerance)
  }
})
