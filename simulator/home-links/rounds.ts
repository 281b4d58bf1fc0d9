/**
 * What one round costs on home links: drawn homes, seated, planned and shared out by the protocol's own functions, timed by
 * `round-time.ts`, and thinned by the peers that leave while it lasts.
 */

import { Grid } from '../../protocols/allreduce/grid.ts'
import { partCount, partitionOf } from '../../protocols/allreduce/parts.ts'
import type { Plan, Reach } from '../../protocols/allreduce/plan.ts'
import { nextElectorate } from '../../protocols/allreduce/seating.ts'
import { quantile } from '../../protocols/core/quantile.ts'
import { seededRandom, seedFrom } from '../../protocols/core/random.ts'
import { codecFor } from '../../protocols/wire/codecs/index.ts'
import { peerNames, planRound } from '../averaging/planned-round.ts'
import { reducePlan } from '../averaging/reduce-plan.ts'
import { type PartBytes, roundTimesMs } from './round-time.ts'
import { drawHome, drawStayMs, type Home } from './world.ts'

/** The model: 10 million parameters, sent as int8; what a round trains for, when asked how much of the time it trains. */
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
  /** Bytes that a peer uploads in a round: the mean. A round that nobody outlives counts as none. */
  bytesSent: number
  /** From the plan to the last mean, over all peers and draws; milliseconds. */
  roundMs: { p50: number; p95: number }
  /** What the slowest uplink takes for its update alone, the mean over the draws: no plan that waits for all is faster. */
  leastMs: number
  /** Share of the contributors' weight that is in the means. */
  committedWeight: number
  /** Data and control links of one peer. */
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
  let links = { mean: 0, max: 0 }
  for (let draw = 0; draw < draws; draw++) {
    const random = seededRandom(seedFrom(seed, 'homes', peers, draw))
    const homes = Array.from({ length: peers }, () => drawHome(random))
    const { plan, seated } = seat(homes, parts, `world ${draw}`)
    const doneMs = roundTimesMs(plan, seated, bytes)
    const roundMs = doneMs.reduce((latest, ms) => Math.max(latest, ms), 0)
    const moments = Float64Array.from({ length: peers }, () => {
      const stayMs = drawStayMs(churn, random)
      return stayMs >= roundMs ? Number.POSITIVE_INFINITY : stayMs / roundMs
    })
    for (const ms of doneMs) times.push(ms)
    if (moments.includes(Number.POSITIVE_INFINITY)) {
      const outcome = reducePlan(plan, new Float64Array(peers * parts), moments)
      sums.bytes += sentBytes(outcome, bytes) / peers
      sums.weight += outcome.weight.reduce((sum, weight) => sum + weight, 0) / parts / peers
    }
    sums.leastMs += (parts * coded) / Math.min(...seated.map(({ up }) => up))
    links = linksOf(plan, seated)
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

/** The grid that the protocol makes of `homes`, and the plan of its next round; `seated`: the homes by seat. */
function seat(homes: readonly Home[], parts: number, root: string): { plan: Plan; seated: Home[] } {
  const reachOf = ({ up, down, place }: Home): Reach => ({ bandwidth: Math.min(up, down), place })
  const names = peerNames(homes.length)
  const isHere = (): boolean => true
  const flat = { round: 0, root, isHere, partCount: parts }
  const founding = { ...planRound({ ...flat, electorate: names, reach: homes.map(reachOf) }), seats: 0 }
  const electorate = nextElectorate(founding, [])
  const homeOf = new Map(names.map((name, index) => [name, homes[index]!]))
  const seated = electorate.map((name) => homeOf.get(name)!)
  return { plan: planRound({ ...flat, round: 1, electorate, reach: seated.map(reachOf) }), seated }
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

/** Links that the grid asks of each peer: its row, its column, and for councillors their fellows. */
function linksOf(plan: Plan, seated: readonly Home[]): { mean: number; max: number } {
  const electorate = plan.contributors.map(({ peer }) => peer)
  const grid = new Grid(plan.root, electorate)
  const counts = electorate.map((peer) => grid.matesOf(peer).length)
  return { mean: counts.reduce((sum, count) => sum + count, 0) / seated.length, max: Math.max(...counts) }
}
