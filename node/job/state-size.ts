/** What is said, before a run begins, of a job whose state a node cannot read back from its disk. */

import { constants } from 'node:buffer'
import { outerOptimizer } from '../../engine/job-settings.ts'
import { bytes } from '../../protocols/core/quantities.ts'
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import type { JobSpec } from './job-spec.ts'

/**
 * A sentence, where the state of `spec` with `parameters` is larger than one array of this Node may be, in which it is
 * read back: 4 GiB in Node 20. Parameters and the outer optimizer's state are float32; the list of blocks beside them
 * is some KB.
 */
export function stateWarning(
  { train, swarm }: Pick<JobSpec, 'train' | 'swarm'>,
  parameters: readonly ParameterSpec[],
): string | undefined {
  const parameterCount = parameters.reduce((sum, { length }) => sum + length, 0)
  const outer = outerOptimizer(train, swarm.outer, parameters).stateLength(parameterCount)
  const size = 4 * (parameterCount + outer)
  if (size < constants.MAX_LENGTH) return undefined
  return (
    `a state takes ${bytes(size)}, and a node reads back less than ${bytes(constants.MAX_LENGTH)} from its disk: ` +
    'one that is started again fetches it from the others, and if all are ended at once the run is lost'
  )
}
