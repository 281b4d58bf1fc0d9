/**
 * A swarm in one process, to learn what averaging does to a loss: a run's real leases, local work, codecs, error
 * feedback and outer step, and a mean that is made as reducers make it, part by part. There is no network: every peer
 * is there in every round, nobody waits for bytes, and the one state that all would hold is kept once. Peers train one
 * after another, so that a run keeps one core busy and no more. What it counts as traffic is what the codecs made.
 */

import type { RoundOutcome } from '../../protocols/allreduce/index.ts'
import {
  encodeParts,
  partCount,
  partitionOf,
  partLength,
  partOf,
  subtractSent,
} from '../../protocols/allreduce/plan/parts.ts'
import { type ReductionInput, reducePart } from '../../protocols/allreduce/round/reduction.ts'
import { systemClock } from '../../protocols/core/clock.ts'
import { advance, firstState, leaseUnit } from '../../protocols/run/advance.ts'
import { leaseFor } from '../../protocols/run/leases.ts'
import { LocalWork } from '../../protocols/run/local-work.ts'
import type { RunPlan } from '../../protocols/run/plan.ts'
import type { OuterOptimizer, Samples, Trainer } from '../../protocols/run/ports.ts'
import { Residual } from '../../protocols/run/residual.ts'
import type { State } from '../../protocols/run/state.ts'
import type { Codec } from '../../protocols/wire/codecs/index.ts'

export interface SwarmInit {
  plan: RunPlan
  /** f32[parameterCount]. Borrowed. */
  initial: Float32Array
  /** One for each peer: it holds that peer's inner optimizer. */
  trainers: readonly Trainer[]
  samples: Samples
  outerOptimizer: OuterOptimizer
  codec: Codec
}

export interface SwarmResult {
  /** f32[parameterCount]: the parameters that all peers agree on after the last round. */
  parameters: Float32Array
  /** Of one peer in one round, for each parameter: its update to the reducers, and its means to the others. */
  bytesUpPerParameter: number
}

interface Peer {
  trainer: Trainer
  residual: Residual | undefined
}

/** What one peer gives to a round. */
interface Gift {
  update: Float32Array
  parts: Uint8Array[]
  samples: number
}

/** A lease is trained as one piece: no round closes early here. */
const samplesPerSecond = 1e9

/** Runs the rounds of `plan` to their end. */
export async function trainSwarm(init: SwarmInit, { signal }: { signal: AbortSignal }): Promise<SwarmResult> {
  const { plan, initial, trainers, outerOptimizer, codec } = init
  const names = trainers.map((_, index) => `peer-${String(index).padStart(2, '0')}`)
  const peers = trainers.map(
    (trainer): Peer => ({ trainer, residual: plan.isSparse ? new Residual(initial.length) : undefined }),
  )
  let state = withHolders(firstState(plan, initial, outerOptimizer), names)
  let bytes = 0
  while (state.round < plan.roundsMax) {
    const gifts: Gift[] = []
    for (const [index, peer] of peers.entries()) gifts.push(await train(init, peer, { state, index, signal }))
    const mean = meanOf(codec, gifts)
    bytes += mean.bytes
    for (const [index, { residual }] of peers.entries())
      residual?.settle(gifts[index]!.update, mean.average, [])
    state = advance(state, committed(state, names, gifts, mean.average), plan, outerOptimizer)
  }
  const given = plan.roundsMax * peers.length
  return { parameters: state.parameters, bytesUpPerParameter: bytes / given / initial.length }
}

function withHolders(state: State, holders: readonly string[]): State {
  return { ...state, leases: { ...state.leases, holders, rates: holders.map(() => 0) } }
}

/** The local steps of holder number `index`, and its update as it goes to the reducers. */
async function train(
  { plan, samples, codec }: SwarmInit,
  { trainer, residual }: Peer,
  { state, index, signal }: { state: State; index: number; signal: AbortSignal },
): Promise<Gift> {
  const unit = leaseUnit(plan)
  const work = new LocalWork({
    trainer,
    samples,
    clock: systemClock,
    isGradient: unit.isGradient,
    learningRate: (step) => plan.localLearningRate(step),
    origin: state.parameters,
    lease: leaseFor(state.leases, index, unit),
    rate: samplesPerSecond,
  })
  await work.trainPiece({ signal })
  const update = work.gain!
  residual?.addTo(update)
  const partition = partitionOf(update.length)
  const parts = encodeParts(update, partition, codec)
  if (residual !== undefined) subtractSent(update, parts, { partition, codec }, residual.values)
  return { update, parts, samples: work.samples }
}

/**
 * The round's mean, as its reducers make it and everybody applies it, and the bytes that all peers together sent for
 * it.
 */
function meanOf(codec: Codec, gifts: readonly Gift[]): { average: Float32Array; bytes: number } {
  const average = new Float32Array(gifts[0]!.update.length)
  const partition = partitionOf(average.length)
  const others = gifts.length - 1
  let bytes = 0
  for (let part = 0; part < partCount(partition); part++) {
    const inputs = gifts.map(
      ({ parts, samples }): ReductionInput => ({ bytes: parts[part]!, weight: samples }),
    )
    const reduction = reducePart(codec, partLength(partition, part), inputs)
    if (reduction.kind === 'invalid') throw new Error(`part ${part} cannot be reduced`)
    codec.decode(reduction.bytes, partOf(average, partition, part))
    // each copy goes to the reducer, and the mean from there to everybody: one place of N is the reducer's own
    bytes += others * reduction.bytes.length
    bytes += inputs.reduce((sum, input) => sum + (input.bytes.length * others) / gifts.length, 0)
  }
  return { average, bytes }
}

function committed(
  { round }: State,
  names: readonly string[],
  gifts: readonly Gift[],
  average: Float32Array,
): Extract<RoundOutcome, { kind: 'committed' }> {
  return {
    kind: 'committed',
    round,
    root: '',
    average,
    electorate: names,
    totalWeight: gifts.reduce((sum, { samples }) => sum + samples, 0),
    contributors: names.map((peer, index) => ({ peer, weight: gifts[index]!.samples })),
    omitted: [],
  }
}
