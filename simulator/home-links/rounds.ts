/**
 * What one round costs on home links: drawn homes, seated, planned and shared out by the protocol's own functions,
 * timed by `round-time.ts`, and thinned by the peers that leave: while they train, and then the plan goes without them
 * and others stand in for them, or while the round lasts, and then it loses what they had not sent.
 */

import { contactsOf } from '../../protocols/allreduce/peer/contacts.ts'
import { Grid } from '../../protocols/allreduce/plan/grid.ts'
import { partCount, partitionOf } from '../../protocols/allreduce/plan/parts.ts'
import type { Plan } from '../../protocols/allreduce/plan/plan.ts'
import { quantile } from '../../protocols/core/quantile.ts'
import { seededRandom, seedFrom } from '../../protocols/core/random.ts'
import { codecFor } from '../../protocols/wire/codecs/index.ts'
import { peerNames, planRound } from '../averaging/planned-round.ts'
import { reducePlan } from '../averaging/reduce-plan.ts'
import { type PartBytes, roundTimesMs } from './round-time.ts'
import { reachOf, seatsOf } from './seats.ts'
import { drawHome, drawStayMs, type Home } from './world.ts'

/**
 * The model: 10 million parameters, sent as int8; what a round trains for, when asked how much of the time it trains.
 */
export const workload = { parameters: 10_000_000, codec: 'int8', trainingMs: 300_000 } as const

export interface HomeSetting {
  peers: number
  /** Share of the peers that leave within an hour, in [0, 1). */
  churn: number
  seed: number
  /** Worlds that are drawn, each for one round; >= 1. */
  draws: number
}

export interface HomeRounds {
  peers: number
  /** Bytes that a contributor uploads in a round: the mean. */
  bytesSent: number
  /** From the plan to the last mean, over all peers and draws; milliseconds. */
  roundMs: { p50: number; p95: number }
  /**
   * What the slowest uplink takes for its update alone, the mean over the draws: no plan that waits for all is faster.
   */
  leastMs: number
  /** Share of the contributors' weight that is in the means. */
  committedWeight: number
  /** Links of one peer with others that are here, for data, votes and all else; over all peers and draws. */
  links: { mean: number; max: number }
  /** Share of the time that peers train when a round trains for five minutes and nothing overlaps. */
  utilisation: number
}

/** Draws and measures `draws` rounds. */
export function homeRounds({ peers, churn, seed, draws }: HomeSetting): HomeRounds {
  const partition = partitionOf(workload.parameters)
  const coded = codecFor(workload.codec).encodedBytes(partition.partElements)
  const bytes: PartBytes = { coded, sum: 4 * partition.partElements }
  const parts = partCount(partition)
  const times: number[] = []
  const sums = { bytes: 0, weight: 0, leastMs: 0 }
  const links = { mean: 0, max: 0 }
  for (let draw = 0; draw < draws; draw++) {
    const random = seededRandom(seedFrom(seed, 'homes', peers, draw))
    const homes = Array.from({ length: peers }, () => drawHome(random))
    const staysMs = Float64Array.from({ length: peers }, () => drawStayMs(churn, random))
    staysMs[random.integer(peers)] = Number.POSITIVE_INFINITY // a round that nobody outlives is none
    const { plan, seated, electorate } = seat(homes, parts, `world ${draw}`, (seat) => {
      return staysMs[seat]! >= workload.trainingMs
    })
    const doneMs = roundTimesMs(plan, seated, bytes)
    const roundMs = doneMs.reduce((latest, ms) => Math.max(latest, ms), 0)
    const moments = staysMs.map((stayMs) => {
      const leftMs = stayMs - workload.trainingMs
      return leftMs >= roundMs ? Number.POSITIVE_INFINITY : Math.max(0, leftMs / roundMs)
    })
    for (const { seat } of plan.contributors) times.push(doneMs[seat]!)
    const contributors = plan.contributors.length
    const outcome = reducePlan(plan, new Float64Array(peers * parts), moments)
    sums.bytes += sentBytes(outcome, bytes) / contributors
    sums.weight += outcome.weight.reduce((sum, weight) => sum + weight, 0) / parts / contributors
    sums.leastMs += leastMs(plan, seated, parts * coded)
    const counts = linkCounts(plan, electorate)
    links.mean += counts.reduce((sum, count) => sum + count, 0) / counts.length / draws
    links.max = counts.reduce((most, count) => Math.max(most, count), links.max)
  }
  const p50 = quantile(times, 0.5)
  return {
    peers,
    bytesSent: sums.bytes / draws,
    roundMs: { p50, p95: quantile(times, 0.95) },
    leastMs: sums.leastMs / draws,
    committedWeight: sums.weight / draws,
    links,
    utilisation: workload.trainingMs / (workload.trainingMs + p50),
  }
}

/** Who sits where, and the plan of a round. */
interface Seating {
  plan: Plan
  electorate: readonly string[]
  /** The homes by seat. */
  seated: readonly Home[]
}

/**
 * The grid that the protocol makes of `homes`, and the plan of its next round, made of those that are still here then.
 */
function seat(
  homes: readonly Home[],
  parts: number,
  root: string,
  isStillHere: (seat: number) => boolean,
): Seating {
  const homeOf = new Map(peerNames(homes.length).map((name, index) => [name, homes[index]!]))
  const electorate = seatsOf(homeOf, root)
  const seated = electorate.map((name) => homeOf.get(name)!)
  const reach = seated.map(reachOf)
  const plan = planRound({ round: 1, root, electorate, reach, isHere: isStillHere, partCount: parts })
  return { plan, electorate, seated }
}

/** What the slowest contributor takes to send `bytes`. */
function leastMs({ contributors }: Plan, seated: readonly Home[], bytes: number): number {
  return contributors.reduce((most, { seat }) => Math.max(most, bytes / seated[seat]!.up), 0)
}

function sentBytes(
  { partsSent, sumsSent }: { partsSent: Float64Array; sumsSent: Float64Array },
  { coded, sum }: PartBytes,
): number {
  return partsSent.reduce((total, parts, seat) => {
    const sums = sumsSent[seat]!
    return total + (parts - sums) * coded + sums * sum
  }, 0)
}

/** How many of the contributors each of them is to be linked with, as its machine would say when it has the plan. */
function linkCounts(plan: Plan, electorate: readonly string[]): number[] {
  const grid = new Grid(plan.root, electorate)
  const here = new Set(plan.contributors.map(({ peer }) => peer))
  return [...here].map((self) => {
    const known = grid.rowCount === 1 ? [...here].filter((peer) => peer !== self) : [] // members are known from the state
    const contacts = contactsOf({ self, root: plan.root, grid, plan, known, rowBefore: [] })
    return contacts.filter((peer) => here.has(peer)).length
  })
}
