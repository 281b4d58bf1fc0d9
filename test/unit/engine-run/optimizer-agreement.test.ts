/**
 * The two families of optimizers agree: stepping inside the graph, and stepping the flat array with the gradient
 * graph's output. A job with one local step and a job with many would otherwise train differently under the same names.
 */
import { describe, expect, it } from 'vitest'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { flatOptimizer } from '../../../engine/optimizers/choose.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { TrainingSpec } from '../../../engine/program/training-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { adamwSpec, exampleModel, seededBatch, sgdSpec } from './example-models.ts'

const rates = [0.05, 0.05, 0.02, 0.01, 0.03]

const clipped: TrainingSpec = { ...sgdSpec, optimizer: { ...sgdSpec.optimizer, gradClip: 0.5 } }

describe.each([
  ['sgd with momentum and decay', sgdSpec],
  ['sgd with clipping', clipped],
  ['adamw with decay and clipping', adamwSpec],
] as const)('%s', (_name, spec) => {
  it('moves the parameters of the glyph model alike in the graph and over the flat array', async () => {
    const backend = await openNativeBackend({ threads: 1 })
    const program = await compileProgram(exampleModel('glyphs/cnn.onnx'), spec, backend)
    const trainer = new Trainer(program, backend)
    const optimizer = flatOptimizer(spec.optimizer, program.parameters)
    const flat = program.initial.slice()
    const state = new Float32Array(optimizer.stateLength(flat.length))
    const batches = rates.map((_, index) => seededBatch(program, index))
    for (const [index, batch] of batches.entries()) {
      trainer.load(flat)
      const { gradient } = await trainer.gradient(batch)
      optimizer.step(flat, state, gradient, { learningRate: rates[index]!, stepNumber: index + 1 })
    }
    trainer.load(program.initial)
    await trainer.steps(batches, rates)
    const inGraph = new Float32Array(flat.length)
    await trainer.read(inGraph)
    let [moved, apart] = [0, 0]
    for (let i = 0; i < flat.length; i++) {
      moved += (inGraph[i]! - program.initial[i]!) ** 2
      apart += (inGraph[i]! - flat[i]!) ** 2
    }
    expect(Math.sqrt(moved)).toBeGreaterThan(0.05)
    expect(Math.sqrt(apart / moved)).toBeLessThan(1e-4)
    await trainer.release()
  })
})
