/** What a manifest says of a run, in the words of protocols/run: the same for all who train in it and who judge it. */

import { learningRate } from '../../engine/job-settings.ts'
import type { Manifest, SignedJob } from '../../protocols/jobs/index.ts'
import { leaseGrain } from '../../protocols/run/leases.ts'
import { type RunPlan, smallCodecOf } from '../../protocols/run/plan.ts'

/** `outerRate`: the outer step's learning rate by round. */
export function runPlan(
  { job, manifest: { train, swarm, convergence } }: Pick<SignedJob, 'job' | 'manifest'>,
  outerRate: (round: number) => number,
): RunPlan {
  const hasEvenLeases = isReference({ train, swarm })
  return {
    job,
    batch: train.batchSize,
    localSteps: train.localSteps,
    isSparse: swarm.codec === 'topk',
    isOverlapped: swarm.overlap === true,
    slowCodec: swarm.slowCodec,
    smallCodec: smallCodecOf(swarm, hasEvenLeases),
    hasEvenLeases,
    peersMin: swarm.minPeers,
    roundsMax: convergence.maxRounds,
    localLearningRate: (step) => learningRate(train, step),
    outerLearningRate: outerRate,
  }
}

/** What other settings are compared with: to the bit what one machine does, slice by slice. */
function isReference({ train, swarm }: Pick<Manifest, 'train' | 'swarm'>): boolean {
  return train.localSteps === 1 && swarm.codec === 'f32'
}

/** Samples that the leases of such a job, and so the batches that a peer trains on, are multiples of. */
export function samplesTogether({ train, swarm }: Pick<Manifest, 'train' | 'swarm'>): number {
  const isGradient = train.localSteps === 1
  return leaseGrain({ batch: train.batchSize, isGradient, isEven: isReference({ train, swarm }) })
}
