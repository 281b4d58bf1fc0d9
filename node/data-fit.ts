/** Whether a job's data can be fed to its model, found out before anything is started. */

import { type BatchSpec, batch } from '../data/batch.ts'
import type { DataSet } from '../data/data-set.ts'
import { SwarmError } from '../protocols/core/errors.ts'

/**
 * @throws {SwarmError} DATA_INVALID when a sample does not have the model's shape or dtype, or a label is no class of its
 * output.
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
