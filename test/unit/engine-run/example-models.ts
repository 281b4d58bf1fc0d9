/** Example models as tests of the engine's run side use them: compiled, with seeded batches. */
import { readFileSync } from 'node:fs'
import type { TrainingProgram, TrainingSpec } from '../../../engine/program/training-program.ts'
import { type Random, seededRandom } from '../../../protocols/core/random.ts'
import type { Batch, Tensor } from '../../../protocols/core/tensor.ts'

/** Bytes of examples/`path`, such as `glyphs/cnn.onnx`. */
export function exampleModel(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`../../../examples/${path}`, import.meta.url)))
}

export const sgdSpec: TrainingSpec = {
  batch: 4,
  loss: 'softmax_cross_entropy',
  optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 0.01 },
}

export const adamwSpec: TrainingSpec = {
  batch: 4,
  loss: 'softmax_cross_entropy',
  optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, gradClip: 1 },
}

/** A batch of uniform pixels or token ids with random labels, the same for the same `seed`. */
export function seededBatch(
  program: Pick<TrainingProgram, 'inputs' | 'labels' | 'classes'>,
  seed: number,
): Batch {
  const random = seededRandom(seed)
  const bound = program.classes ?? 1
  return {
    inputs: Object.fromEntries(program.inputs.map((input) => [input.name, filled(input, random, bound)])),
    labels: filled(program.labels, random, bound),
  }
}

function filled(
  { dtype, shape }: { dtype: 'float32' | 'int32'; shape: readonly number[] },
  random: Random,
  bound: number,
): Tensor {
  const length = shape.reduce((product, size) => product * size, 1)
  return dtype === 'float32'
    ? { dtype, shape, data: Float32Array.from({ length }, () => random.next()) }
    : { dtype, shape, data: Int32Array.from({ length }, () => random.integer(bound)) }
}
