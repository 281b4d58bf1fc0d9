/**
 * Measures parameters on a whole validation split. Graphs have a fixed batch, and a split is seldom a multiple of it:
 * the last batch is filled up with copies of one sample, whose share is measured on its own and taken off again.
 */

import { batch } from '../../data/batch.ts'
import { type Split, sampleLength } from '../../data/data-set.ts'
import type { Compute, EvaluationResult, OpenedModel } from '../../engine/compute/compute.ts'
import { validate } from '../../engine/model/validate.ts'
import type { Batch } from '../../protocols/core/tensor.ts'

/**
 * Samples of one evaluation batch: large enough that a forward pass is efficient, small enough for 100 MB of
 * activations.
 */
const usualBatch = 256

/** Samples of one evaluation batch of `model` (ONNX bytes, borrowed): as many as its file fixes, where it does. */
export function evaluationBatch(model: Uint8Array, outputName?: string): number {
  return validate(model, { outputName }).fixedBatch ?? usualBatch
}

/**
 * The samples of a validation split that are measured. Windows of a text overlap; every token is predicted once, so
 * only windows that do not overlap are taken.
 */
function validationIndices({ count, fields: { y } }: Split): number[] {
  const step = Math.max(1, sampleLength(y) / y.stride)
  return Array.from({ length: Math.ceil(count / step) }, (_, i) => i * step)
}

/**
 * A function that measures parameters (f32, borrowed) on `split` with the model that `compute` has open. `fields`: the
 * data's field for each input, as the job says.
 */
export function measureOn(
  compute: Pick<Compute, 'evaluate'>,
  opened: Pick<OpenedModel, 'inputs' | 'labels' | 'classes'>,
  split: Split,
  fields?: Readonly<Record<string, string>>,
) {
  const size = opened.inputs[0]!.shape[0]!
  const indices = validationIndices(split)
  const rest = indices.length % size
  const take = (chosen: readonly number[]): Batch => batch(split, chosen, { ...opened, fields })
  const full = Array.from({ length: Math.floor(indices.length / size) }, (_, i) =>
    take(indices.slice(i * size, (i + 1) * size)),
  )
  const filler = new Array<number>(size).fill(indices[0]!)
  const filled = rest === 0 ? undefined : take([...indices.slice(-rest), ...filler.slice(rest)])
  const fillers = rest === 0 ? undefined : take(filler)

  return async (
    parameters: Float32Array,
    options: { signal: AbortSignal },
  ): Promise<{ loss: number; accuracy: number | null }> => {
    const evaluate = (batches: Batch[]) => compute.evaluate(parameters, batches, options)
    const parts: { result: EvaluationResult; weight: number }[] = []
    if (full.length > 0) parts.push({ result: await evaluate(full), weight: 1 })
    if (filled !== undefined && fillers !== undefined) {
      parts.push({ result: await evaluate([filled]), weight: 1 })
      parts.push({ result: await evaluate([fillers]), weight: rest / size - 1 })
    }
    // where no label counts there is no mean: the first sample may be such a one, and then the fillers are
    const counting = parts.filter(({ result }) => result.predictions > 0)
    const total = (value: (result: EvaluationResult) => number) =>
      counting.reduce((sum, { result, weight }) => sum + weight * result.predictions * value(result), 0)
    const predictions = total(() => 1)
    return {
      loss: total(({ loss }) => loss) / predictions,
      accuracy: opened.classes === null ? null : total(({ accuracy }) => accuracy) / predictions,
    }
  }
}
