/**
 * The estimate of a step's memory, by hand on a small graph and on a model. What it decides is tested with
 * recomputation.
 */
import { expect, it } from 'vitest'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder } from '../../../engine/graph/graph-builder.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import { constantBytes, peakBytes } from '../../../engine/program/memory.ts'
import { exampleModel, sgdSpec } from '../engine-run/example-models.ts'

const model = exampleModel('glyphs/cnn.onnx')

it('adds up what is alive at one time, views counted once, and what nobody needs not at all', () => {
  const f = new Formulas(new GraphBuilder(18))
  const x = f.builder.input('x', { dtype: 'float32', shape: [10] })
  const a = f.exp(x) // 40 bytes, until the last product
  const b = f.exp(a) // 40 more, until c
  f.sqrt(b)
  const c = f.reshape(f.log(b), [2, 5]) // 40 more while b is read: 120
  const d = f.reduceSum(f.mul(f.reshape(a, [2, 5]), c), [1]) // a, c and their product: 120; then 8
  expect(peakBytes(f.builder.nodes, [d])).toBe(120)
  expect(peakBytes(f.builder.nodes, [d, b])).toBe(160)
})

it('counts a constant that is read once, however often, and one that nobody needs not at all', () => {
  const f = new Formulas(new GraphBuilder(18))
  const x = f.builder.input('x', { dtype: 'float32', shape: [100] })
  const mask = f.tensor(new Float32Array(100).fill(1), [100])
  f.mul(x, f.tensor(new Float32Array(100).fill(2), [100]))
  const y = f.mul(f.mul(x, mask), mask)
  expect(constantBytes(f.builder.nodes, [y], f.constantOf.bind(f))).toBe(400)
})

it('counts weights that are frozen', async () => {
  const native = await openNativeBackend({ threads: 1 })
  const { memory, parameters } = await compileProgram(model, sgdSpec, native)
  const { name, length } = parameters.reduce((most, other) => (other.length > most.length ? other : most))
  const frozen = await compileProgram(model, { ...sgdSpec, freeze: [name] }, native)
  // less what its gradient and its step read: shapes, mostly
  const more = frozen.memory.constantBytes - memory.constantBytes
  expect(more / (4 * length)).toBeCloseTo(1, 2)
})

it('grows with the batch, by activations alone', async () => {
  const backend = await openNativeBackend({ threads: 1 })
  const [two, four, eight] = await Promise.all(
    [2, 4, 8].map(async (batch) => (await compileProgram(model, { ...sgdSpec, batch }, backend)).memory),
  )
  expect([four!.stateBytes, eight!.stateBytes]).toEqual([two!.stateBytes, two!.stateBytes])
  const slope = (eight!.valueBytes - four!.valueBytes) / (four!.valueBytes - two!.valueBytes)
  expect(slope).toBeCloseTo(2, 1)
})
