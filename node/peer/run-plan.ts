/** What a manifest says of a run, in the words of protocols/run: the same for all who train in it and who judge it. */

import { learningRate } from '../../engine/job-settings.ts'
import type { SignedJob } from '../../protocols/jobs/index.ts'
import { type RunPlan, smallCodecOf } from '../../protocols/run/plan.ts'

/** `outerRate`: the outer step's learning rate by round. */
export function runPlan(
  { job, manifest: { train, swarm, convergence } }: Pick<SignedJob, 'job' | 'manifest'>,
  outerRate: (round: number) => number,
): RunPlan {
  // the reference that other settings are compared with: to the bit what one machine does, slice by slice
  const isReference = train.localSteps === 1 && swarm.codec === 'f32'
  return {
    job,
    batch: train.batchSize,
    localSteps: train.localSteps,
    isSparse: swarm.codec === 'topk',
    isOverlapped: swarm.overlap === true,
    slowCodec: swarm.slowCodec,
    smallCodec: smallCodecOf(swarm, isReference),
    hasEvenLeases: isReference,
    peersMin: swarm.minPeers,
    roundsMax: convergence.maxRounds,
    localLearningRate: (step) => learningRate(train, step),
    outerLearningRate: outerRate,
  }
}
