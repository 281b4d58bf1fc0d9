/**
 * Whether a job's data can be fed to its model in the portions that the job cuts, found out before anything is started.
 */

import { type BatchSpec, batch } from '../../data/batch.ts'
import type { DataSet } from '../../data/data-set.ts'
import { graphBatch } from '../../engine/model/graph-batch.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { samplesTogether } from '../peer/run-plan.ts'
import type { JobSpec } from './job-spec.ts'

/**
 * @throws {SwarmError} DATA_INVALID when a sample does not have the model's shape or dtype, or a label is no class of
 * its output.
 */
export function requireFit(data: DataSet, model: BatchSpec & { classes: number | null }): void {
  for (const split of [data.train, data.validation]) batch(split, [0], model)
  if (model.classes === null || data.classes <= model.classes) return
  const what = data.kind === 'text' ? 'distinct characters' : 'classes'
  throw new SwarmError(
    'DATA_INVALID',
    `the data has ${data.classes} ${what}, the model's output has room for ${model.classes}`,
    { hint: `Export the model with ${data.classes} outputs, or point the job at other data.` },
  )
}

/**
 * Samples of one run of the job's graphs. A file with a batch of its own takes whole ones only, also from peers whose
 * leases are parts of a batch.
 * @throws {SwarmError} MODEL_UNSUPPORTED naming a batch size that would do.
 */
export function requireWholeBatches(model: Uint8Array, { train, swarm }: JobSpec): number {
  const { size, isFixed } = graphBatch(model, train.batchSize)
  const together = samplesTogether({ train, swarm })
  if (!isFixed || together % size === 0) return size
  throw new SwarmError(
    'MODEL_UNSUPPORTED',
    `the file fixes a batch of ${size}, and peers of different speed would get ${together} samples or multiples of it`,
    { hint: `Set train.batch_size to a multiple of ${4 * size}, or train.local_steps to 2 or more.` },
  )
}
