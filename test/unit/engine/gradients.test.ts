/**
 * Every gradient rule against PyTorch's gradients and central differences of a float64 interpreter: the model
 * h(parameters) + x with a mean squared error is compiled, run, and compared parameter by parameter.
 */
import { readFileSync } from 'node:fs'
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { rules } from '../../../engine/gradients/rules.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { Tensor } from '../../../protocols/core/tensor.ts'
import { caseNode } from './case-node.ts'
import { drawn } from './drawn-case.ts'
import type { GradientCase } from './gradient-case.ts'
import { gradientCases } from './gradient-cases.ts'
import { kinkCases } from './gradient-cases-kink.ts'
import { relativeError } from './pytorch-models.ts'
import { differences } from './reference.ts'
import type { Nd } from './reference-array.ts'

/** float32 against float64; relative to the largest element of the gradient. */
const tolerance = 1e-4

/**
 * PyTorch's gradients of the cases that it has functions for (test/fixtures/operator_gradients.py), by name and
 * parameter.
 */
const pytorch = (
  JSON.parse(readFileSync(new URL('../../fixtures/operator-gradients.json', import.meta.url), 'utf8')) as {
    gradients: Record<string, number[][]>
  }
).gradients

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

test.each(gradientCases)(
  'the gradient of $name agrees with PyTorch and central differences',
  async (given) => {
    const { inputs, reference, target } = drawn(given)
    const gradients = await gradientsOf(given)
    for (const [position, index] of parametersOf(given).entries()) {
      const expected = differences(given.op, inputs, reference, target, index)
      const actual = gradients[position]!
      expect(relativeError(actual, [...expected]), `input ${index}`).toBeLessThan(tolerance)
      const theirs = pytorch[given.name]?.[position]
      if (theirs !== undefined) expect(relativeError(actual, theirs), 'PyTorch').toBeLessThan(tolerance)
    }
  },
)

test.each(kinkCases)("the gradient of $name is PyTorch's", async (given) => {
  const gradients = await gradientsOf(given)
  for (const [position, index] of parametersOf(given).entries()) {
    const theirs = pytorch[given.name]![position]!
    expect(relativeError(gradients[position]!, theirs), `input ${index}`).toBeLessThan(tolerance)
  }
})

test('PyTorch has a word on four cases out of five', () => {
  const known = gradientCases.filter(({ name }) => pytorch[name] !== undefined)
  expect(known.length / gradientCases.length).toBeGreaterThan(0.8)
})

test('every rule of the table has a case', () => {
  const covered = new Set(gradientCases.map(({ op }) => op))
  const written = Object.entries(rules).filter(([, { kind }]) =>
    ['gradient', 'variadic', 'spelled'].includes(kind),
  )
  const uncovered = written.filter(([op]) => !covered.has(op)).map(([op]) => op)
  expect(uncovered).toEqual([])
})

/** Which inputs of `given` are parameters. */
function parametersOf(given: GradientCase): number[] {
  return given.inputs.flatMap(({ kind }, index) => (kind === 'parameter' ? [index] : []))
}

/** The engine's gradients of the parameters of `given`, in their order. */
async function gradientsOf(given: GradientCase): Promise<Tensor['data'][]> {
  const { inputs, y, target } = drawn(given)
  const shape = y.shape.length === 0 ? [1] : y.shape
  const program = await compileProgram(
    modelOf(given, inputs, shape),
    { batch: shape[0]!, loss: 'mse', optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 } },
    backend,
  )
  const feeds: Record<string, Tensor> = {
    x: { dtype: 'float32', shape, data: new Float32Array(y.data.length) },
    labels: { dtype: 'float32', shape, data: Float32Array.from(target.data) },
  }
  for (const { name, shape: of, offset, length } of program.parameters) {
    feeds[name] = { dtype: 'float32', shape: of, data: program.initial.slice(offset, offset + length) }
  }
  const graph = await backend.compile(program.gradientModel)
  const { gradient } = await graph.run(feeds)
  await graph.release()
  const weights = program.parameters.filter(({ kind }) => kind === 'weight')
  expect(weights.map(({ name }) => name)).toEqual(parametersOf(given).map((index) => `p${index}`))
  return weights.map(({ offset, length }) => gradient!.data.subarray(offset, offset + length))
}

/** h + x, where h is what the case says. `shape`: of the result. */
function modelOf(given: GradientCase, values: readonly (Nd | undefined)[], shape: readonly number[]) {
  const { node, constants, read } = caseNode(given, values)
  const sum = { domain: '', attributes: {}, opType: 'Add', name: 'sum', inputs: [read, 'x'], outputs: ['y'] }
  return writeModel({
    opset: given.opset,
    nodes: [node, sum],
    constants,
    inputs: new Map([['x', { dtype: 'float32', shape }]]),
    outputs: new Map([['y', null]]),
  })
}
