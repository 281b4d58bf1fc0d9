/**
 * Cuts a batch into pieces that fit a graph. A graph has a fixed number of samples; a batch may have any.
 *
 * The gradient of a mean over N predictions is the mean of the pieces' gradients, weighted by their predictions n:
 *     g = Σ (n / N) · g_piece
 * It holds for every loss that is a mean over predictions. It does not for statistics over the batch:
 * BatchNormalization normalises each piece by itself, as PyTorch does when gradients are accumulated.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import type { Batch, Tensor } from '../../protocols/core/tensor.ts'
import type { LabelWeights } from '../loss/label-weights.ts'

/** A piece of a batch; its tensors are views into the batch's. */
export interface MicroBatch {
  readonly batch: Batch
  /** Samples in the piece, >= 1. */
  readonly size: number
  /** Share of the batch's predictions, in (0, 1]; the shares of all pieces add up to 1. */
  readonly share: number
}

/**
 * The samples of `batch`, in order, in pieces of `size` samples and a smaller last one. Labels of weight 0 are no
 * predictions; a piece that has no prediction at all is left out, unless that leaves none.
 * @throws {SwarmError} DATA_INVALID when its tensors disagree about the number of samples, or there are none.
 */
export function microBatches(
  batch: Batch,
  size: number,
  labelWeights: LabelWeights = new Map(),
): MicroBatch[] {
  const count = sampleCount(batch)
  const predictions = predictionsIn(batch.labels, labelWeights)
  const pieces = Array.from({ length: Math.ceil(count / size) }, (_, index) => {
    const [start, end] = [index * size, Math.min((index + 1) * size, count)]
    const labels = rows(batch.labels, start, end)
    const inputs = Object.entries(batch.inputs).map(([name, tensor]) => [name, rows(tensor, start, end)])
    return {
      batch: { inputs: Object.fromEntries(inputs), labels },
      size: end - start,
      share: predictionsIn(labels, labelWeights) / predictions,
    }
  })
  const counting = pieces.filter(({ share }) => share > 0)
  return counting.length > 0 ? counting : pieces.slice(0, 1)
}

/** Σ of the weights of labels. */
function predictionsIn({ data }: Tensor, labelWeights: LabelWeights): number {
  if (labelWeights.size === 0) return data.length
  let count = 0
  for (const label of data) count += labelWeights.get(label) ?? 1
  return count
}

function sampleCount({ inputs, labels }: Batch): number {
  const count = labels.shape[0] ?? 0
  for (const [name, { shape }] of [...Object.entries(inputs), ['labels', labels] as const]) {
    if (shape[0] === count && count > 0) continue
    throw new SwarmError(
      'DATA_INVALID',
      `${name} of the batch has the shape [${shape}], labels [${labels.shape}]`,
      {
        hint: 'The first dimension of every tensor is the number of samples, 1 or more.',
      },
    )
  }
  return count
}

/** Rows `start` to `end` of `tensor` along its first axis. */
function rows(tensor: Tensor, start: number, end: number): Tensor {
  const [count = 1, ...rest] = tensor.shape
  if (start === 0 && end === count) return tensor
  const length = tensor.data.length / count
  return {
    ...tensor,
    shape: [end - start, ...rest],
    data: tensor.data.subarray(start * length, end * length),
  }
}
