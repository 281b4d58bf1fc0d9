/**
 * Whether a device computes in float16: a small graph is run and its result looked at. Kernels are registered for float16 whatever
 * the device can do, so a missing `shader-f16` shows with the first run only; and a WebGPU provider is known (onnxruntime-web's older
 * one, 1.30) that gives wrong numbers instead of an error.
 */

import { SwarmError } from '../../protocols/core/errors.ts'
import type { Backend } from '../backends/backend.ts'
import { Formulas } from '../onnx/formulas.ts'
import { GraphBuilder } from '../onnx/graph-builder.ts'
import { writeModel } from '../onnx/write.ts'

/** Numbers, and what their squares are in float16: 2,049 becomes 2,048 as it arrives, and 4,194,304 is beyond the largest. */
const trials = [
  [1.5, 2.25],
  [1 + 2 ** -10, 1 + 2 ** -9],
  [33.03125, 1091],
  [2 ** -12, 2 ** -24],
  [-255, 65_024],
  [2_049, Number.POSITIVE_INFINITY],
] as const

/** False also where the trial fails by itself: a backend that cannot run it cannot run a training graph in float16. */
export async function computesHalf(backend: Pick<Backend, 'compile'>): Promise<boolean> {
  try {
    const executable = await backend.compile(trialModel())
    try {
      const data = Float32Array.from(trials, ([number]) => number)
      const { y } = await executable.run({ x: { dtype: 'float32', shape: [trials.length], data } })
      return trials.every(([, square], index) => y!.data[index] === square)
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
  return writeModel(f.builder.finish({ y: f.cast(f.mul(half, half), 'float32') }))
}
