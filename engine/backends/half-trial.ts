/**
 * Whether a device computes in float16: a small graph is run and its result looked at. Kernels are registered for
 * float16 whatever the device can do, so a missing `shader-f16` shows with the first run only; and a WebGPU provider is
 * known (onnxruntime-web's older one, 1.30) that gives wrong numbers instead of an error.
 */

import { SwarmError } from '../../protocols/core/errors.ts'
import { Formulas } from '../graph/formulas.ts'
import { GraphBuilder } from '../graph/graph-builder.ts'
import { writeModel } from '../onnx/write.ts'
import type { Backend } from './backend.ts'

/**
 * Numbers, what they become in float16, and what their squares do: beyond 65,504 is infinity, on which the scale of the
 * loss relies.
 */
const trials = [
  [1.5, 1.5, 2.25],
  [1 + 2 ** -10, 1 + 2 ** -10, 1 + 2 ** -9],
  [33.03125, 33.03125, 1091],
  [2 ** -12, 2 ** -12, 2 ** -24],
  [-255, -255, 65_024],
  [2_049, 2_048, Number.POSITIVE_INFINITY],
  [-1e6, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY],
] as const

/** False also where the trial fails by itself: a backend that cannot run it cannot run a training graph in float16. */
export async function computesHalf(backend: Pick<Backend, 'compile'>): Promise<boolean> {
  try {
    const executable = await backend.compile(trialModel())
    try {
      const data = Float32Array.from(trials, ([number]) => number)
      const { rounded, squared } = await executable.run({
        x: { dtype: 'float32', shape: [trials.length], data },
      })
      return trials.every(
        ([, number, square], index) => rounded!.data[index] === number && squared!.data[index] === square,
      )
    } finally {
      await executable.release()
    }
  } catch (error) {
    if (error instanceof SwarmError) return false
    throw error
  }
}

function trialModel(): Uint8Array {
  const f = new Formulas(new GraphBuilder(18))
  const x = f.builder.input('x', { dtype: 'float32', shape: [trials.length] })
  const half = f.cast(x, 'float16')
  const squared = f.cast(f.mul(half, half), 'float32')
  return writeModel(f.builder.finish({ rounded: f.cast(half, 'float32'), squared }))
}
