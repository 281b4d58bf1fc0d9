/**
 * How many samples one run of a model's graphs takes. A file may fix its batch, in the shapes of its inputs and in
 * constants that the exporter computed from them: its graphs then take so many and no other number, and a larger batch
 * is fed to them in pieces.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { fixedBatchOf } from '../import/model-inputs.ts'
import { readModel } from '../onnx/read.ts'

export interface GraphBatch {
  /** Samples, >= 1. */
  size: number
  /** The file takes no other number. */
  isFixed: boolean
}

/**
 * For a batch of `batch` samples of `model` (ONNX bytes, borrowed): the whole, or what the file fixes.
 * @throws {SwarmError} MODEL_INVALID; MODEL_UNSUPPORTED when `batch` is no multiple of what the file fixes.
 */
export function graphBatch(model: Uint8Array, batch: number): GraphBatch {
  const fixed = fixedBatchOf(readModel(model).graph.inputs)
  if (fixed === null) return { size: batch, isFixed: false }
  if (batch % fixed === 0) return { size: fixed, isFixed: true }
  throw new SwarmError(
    'MODEL_UNSUPPORTED',
    `the file fixes a batch of ${fixed}, of which ${batch} is no multiple`,
    {
      hint: `Set train.batch_size to a multiple of ${fixed}, or export with an open first dimension: dynamic_shapes=({0: torch.export.Dim('batch')},).`,
    },
  )
}
