/**
 * Every optimizer, in a graph on both CPU backends and over a flat array, against PyTorch's (or, for Lion, its paper's)
 * on four tensors of one to three dimensions: eight steps with given gradients and changing learning rates.
 */
import { readFileSync } from 'node:fs'
import * as onnxruntimeWeb from 'onnxruntime-web'
import { describe, expect, it } from 'vitest'
import { openNativeBackend } from '../../engine/backends/native.ts'
import { openWasmBackend } from '../../engine/backends/wasm.ts'
import { Formulas } from '../../engine/graph/formulas.ts'
import { GraphBuilder } from '../../engine/graph/graph-builder.ts'
import { writeModel } from '../../engine/onnx/write.ts'
import { flatOptimizer } from '../../engine/optimizers/choose.ts'
import type { FlatOptimizer } from '../../engine/optimizers/flat.ts'
import { addStep } from '../../engine/optimizers/graph-step.ts'
import { nesterov, plain } from '../../engine/optimizers/outer.ts'
import type { OptimizerSpec } from '../../engine/optimizers/spec.ts'
import type { ParameterSpec, Tensor } from '../../protocols/core/tensor.ts'

interface Trajectory {
  start: number[]
  gradients: number[][]
  parameters: number[][]
}

const fixture = JSON.parse(readFileSync(new URL('../fixtures/optimizers.json', import.meta.url), 'utf8')) as {
  shapes: number[][]
  learning_rates: number[]
  trajectories: Record<string, Trajectory>
}

const weights: ParameterSpec[] = []
for (const shape of fixture.shapes) {
  const last = weights.at(-1)
  const length = shape.reduce((product, size) => product * size, 1)
  const offset = last ? last.offset + last.length : 0
  weights.push({ name: `p${weights.length}`, kind: 'weight', shape, offset, length })
}
const length = weights.reduce((sum, weight) => sum + weight.length, 0)

const adam = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 }
const specs: Record<string, OptimizerSpec> = {
  sgd: { kind: 'sgd', momentum: 0.9, weightDecay: 0.05 },
  sgd_nesterov: { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0.05 },
  sgd_clipped: { kind: 'sgd', momentum: 0.5, weightDecay: 0, gradClip: 1.5 },
  adamw: { kind: 'adamw', ...adam },
  adamw_clipped: { kind: 'adamw', ...adam, gradClip: 1.5 },
  adafactor: { kind: 'adafactor', weightDecay: 0.1 },
  adafactor_clipped: { kind: 'adafactor', weightDecay: 0.1, gradClip: 1.5 },
  lion: { kind: 'lion', beta1: 0.9, beta2: 0.99, weightDecay: 0.1 },
  lion_clipped: { kind: 'lion', beta1: 0.9, beta2: 0.99, weightDecay: 0.1, gradClip: 1.5 },
  muon: { kind: 'muon', momentum: 0.95, ...adam },
  muon_clipped: { kind: 'muon', momentum: 0.95, ...adam, gradClip: 1.5 },
}
const flatOnly: Record<string, FlatOptimizer> = { plain: plain(), nesterov: nesterov({ momentum: 0.6 }) }
const graphOnly = new Set(['adafactor', 'muon'])

/**
 * The largest error of an element after any of the eight steps; parameters are of size 1. Measured: 2.4e-7, Lion none.
 */
const tolerance = 1e-6

/** Parameters after the step with the given gradient, which the stepper may not change. */
type Stepper = (gradient: Float32Array, learningRate: number, stepNumber: number) => Promise<Float32Array>

function overFlat(optimizer: FlatOptimizer, start: readonly number[]): Stepper {
  const parameters = Float32Array.from(start)
  const state = new Float32Array(optimizer.stateLength(parameters.length))
  return async (gradient, learningRate, stepNumber) => {
    optimizer.step(parameters, state, gradient, { learningRate, stepNumber })
    return parameters
  }
}

const backends = {
  native: () => openNativeBackend({ threads: 1 }),
  wasm: async () => openWasmBackend(onnxruntimeWeb, { threads: 1 }),
}

async function inGraph(
  spec: OptimizerSpec,
  start: readonly number[],
  open: (typeof backends)['native' | 'wasm'],
): Promise<Stepper> {
  const f = new Formulas(new GraphBuilder(18))
  const { builder } = f
  const scalar = (name: string) => builder.input(name, { dtype: 'float32', shape: [] })
  const scalars = { learningRate: scalar('learning_rate'), step: scalar('step') }
  const typeOf = ({ shape }: ParameterSpec) => ({ dtype: 'float32', shape }) as const
  const values = weights.map((weight) => builder.input(weight.name, typeOf(weight)))
  const gradients = weights.map((weight) => builder.input(`${weight.name}/gradient`, typeOf(weight)))
  const { carried, slotNames } = addStep(f, spec, values, gradients, scalars)
  const outputs = Object.fromEntries(carried.map(({ now, next }) => [`${now.name}/next`, next]))
  const carry = Object.fromEntries(carried.map(({ now }) => [`${now.name}/next`, now.name]))
  const keep = [...values, ...gradients, ...Object.values(scalars)]
  const executable = await (await open()).compile(writeModel(builder.finish(outputs, keep)), { carry })
  const partOf = ({ offset, length: count, shape }: ParameterSpec, flat: Float32Array): Tensor => ({
    dtype: 'float32',
    shape,
    data: flat.slice(offset, offset + count),
  })
  for (const weight of weights)
    await executable.state.write(weight.name, partOf(weight, Float32Array.from(start)))
  for (const name of slotNames) {
    const { shape } = executable.inputs.get(name)!
    const data = new Float32Array(shape.reduce((product, size) => product * size, 1))
    await executable.state.write(name, { dtype: 'float32', shape, data })
  }
  const fed = (value: number): Tensor => ({ dtype: 'float32', shape: [], data: Float32Array.of(value) })
  return async (gradient, learningRate, stepNumber) => {
    const parts = weights.map((weight) => [`${weight.name}/gradient`, partOf(weight, gradient)])
    await executable.run({
      ...Object.fromEntries(parts),
      learning_rate: fed(learningRate),
      step: fed(stepNumber),
    })
    const parameters = new Float32Array(length)
    for (const { name, offset, length: count } of weights)
      await executable.state.read(name, parameters.subarray(offset, offset + count))
    return parameters
  }
}

async function follows(name: string, stepper: Stepper): Promise<void> {
  const { gradients, parameters } = fixture.trajectories[name]!
  for (const [index, values] of gradients.entries()) {
    const gradient = Float32Array.from(values)
    const actual = await stepper(gradient, fixture.learning_rates[index]!, index + 1)
    expect(gradient, 'the gradient is only read').toEqual(Float32Array.from(values))
    for (const [i, expected] of parameters[index]!.entries()) {
      expect(Math.abs(actual[i]! - expected), `step ${index + 1}, element ${i}`).toBeLessThan(tolerance)
    }
  }
}

it('has a reference for every optimizer, and an optimizer for every reference', () => {
  expect(Object.keys(fixture.trajectories).sort()).toEqual(
    [...Object.keys(specs), ...Object.keys(flatOnly)].sort(),
  )
})

describe.each(Object.entries(specs))('%s', (name, spec) => {
  const { start } = fixture.trajectories[name]!

  it.each(['native', 'wasm'] as const)('follows its reference in a graph on %s', async (backend) => {
    await follows(name, await inGraph(spec, start, backends[backend]))
  })

  if (graphOnly.has(spec.kind)) return // it has no flat form to compare
  it('follows its reference over a flat array', async () => {
    await follows(name, overFlat(flatOptimizer(spec, weights), start))
  })
})

it.each(Object.entries(flatOnly))('%s follows its reference over a flat array', async (name, optimizer) => {
  await follows(name, overFlat(optimizer, fixture.trajectories[name]!.start))
})
