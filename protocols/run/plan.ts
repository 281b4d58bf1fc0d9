/** The numbers of a job that its peers follow, the same on all of them. */

import { type CodecName, codecNames } from '../wire/codecs/codec.ts'
import { localStepsFirst } from './local-steps.ts'

export interface RunPlan {
  /** CID of the manifest, as text. */
  job: string
  /** Samples of one local step of a peer of usual speed, >= 1. */
  batch: number
  /** Local steps of one round, >= 1, of a peer of usual speed; `auto`: as many as the time of an average asks for. */
  localSteps: number | 'auto'
  /** Peers that must be there before the first round. */
  peersMin: number
  /** Rounds after which a peer stops training, whatever anybody says. */
  roundsMax: number
  /** The codec leaves most of an update out, so the peer keeps the rest for its next one. */
  isSparse: boolean
  /** Codec of the updates of a peer whose link is too slow for the job's; absent: none is. */
  slowCodec?: CodecName | undefined
  /** Codec of the updates of a peer that saves data; absent: the job's. */
  smallCodec?: CodecName | undefined
  /** Slow peers get as many samples as fast ones: a sum over other slices of one batch differs in its last bits. */
  hasEvenLeases: boolean
  /** Peers begin the next round's steps while this round's parts travel. Not with one local step. */
  isOverlapped: boolean
  /** Learning rate of local step `step`, counted from 0 over the whole run. */
  localLearningRate(step: number): number
  /** Learning rate of the outer step that ends round `round`. */
  outerLearningRate(round: number): number
}

/** One step a round: gradients are averaged, and the optimizer steps on their mean. */
export function isGradientJob({ localSteps }: RunPlan): boolean {
  return localSteps === 1
}

/** Local steps of the run's first round. */
export function firstLocalSteps({ localSteps }: RunPlan): number {
  return localSteps === 'auto' ? localStepsFirst : localSteps
}

/**
 * The smallest codec in which a peer of the job may give its updates without keeping what was rounded away: what the
 * owner named for slow links, else `int4`, which all peers of the protocol read. Undefined where the job's own is as
 * small, or where `isExact`: the run is a reference, to be the same to the bit whoever takes part.
 */
export function smallCodecOf(
  { codec, slowCodec }: { codec: CodecName; slowCodec?: CodecName | undefined },
  isExact: boolean,
): CodecName | undefined {
  if (slowCodec !== undefined) return slowCodec
  const isSmaller = codecNames.indexOf(codec) < codecNames.indexOf('int4')
  return isSmaller && !isExact ? 'int4' : undefined
}
