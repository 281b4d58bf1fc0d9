/**
 * The two measurements on an averaging method: the error after each round, and the rounds until it is small. Each is
 * repeated over several draws, all of them from one seed; a draw's chance depends on seed, method, setting and number
 * only.
 */

import { quantile } from '../../protocols/core/quantile.ts'
import { type Random, seededRandom, seedFrom } from '../../protocols/core/random.ts'
import { baselines } from './baselines.ts'
import type { Method, Setting } from './method.ts'
import { twoLevel, twoLevelKeeping } from './two-level.ts'

/** The published methods in their order, then ours by the letter of their setting, then ours. */
export const methods: readonly Method[] = [...baselines, twoLevelKeeping, twoLevel]

export interface Repetition {
  seed: number
  /** Swarms that are drawn, >= 1. */
  draws: number
}

export interface ErrorByRound {
  method: string
  /** By round, from the first: the mean over the draws. One peer that fails twice in a row outweighs all else in it. */
  mean: number[]
  /** By round: the draw in the middle. */
  median: number[]
  /** By round: nine draws in ten are at most so far off. */
  high: number[]
  /** How far the peers' mean has moved in all rounds, squared: the mean over the draws. */
  drift: number
  /** Vectors that a peer sends in a round: the mean. */
  vectorsSent: number
}

/** The error after each of `rounds` rounds. */
export function errorByRound(
  method: Method,
  setting: Setting,
  { rounds, ...repetition }: Repetition & { rounds: number },
): ErrorByRound {
  const errors: number[][] = Array.from({ length: rounds }, () => [])
  let vectors = 0
  let drift = 0
  for (const random of chances(method, setting, repetition)) {
    const swarm = method.start(setting, random)
    for (const ofRound of errors) {
      swarm.advance()
      ofRound.push(swarm.variance())
    }
    vectors += swarm.vectorsSent()
    drift += swarm.drift()
  }
  return {
    method: method.name,
    mean: errors.map(mean),
    median: errors.map((ofRound) => quantile(ofRound, 0.5)),
    high: errors.map((ofRound) => quantile(ofRound, 0.9)),
    drift: drift / repetition.draws,
    vectorsSent: vectors / repetition.draws / rounds,
  }
}

/** The levels that the published table counts rounds to. */
const errorLevels = { fine: 1e-9, coarse: 1e-4 } as const

/** Rounds after which a draw is given up, as in the published table. */
const roundsUntilMax = 50

export interface RoundsUntil {
  /** Mean number of rounds until the error is below the level; a draw that never gets there counts as 50. */
  fine: number
  coarse: number
}

/** How many rounds the error takes to fall below both levels. */
export function roundsUntil(method: Method, setting: Setting, repetition: Repetition): RoundsUntil {
  const counts = { fine: [] as number[], coarse: [] as number[] }
  for (const random of chances(method, setting, repetition)) {
    const swarm = method.start(setting, random)
    const errors: number[] = []
    while (errors.length < roundsUntilMax && !(errors.at(-1)! < errorLevels.fine)) {
      swarm.advance()
      errors.push(swarm.variance())
    }
    for (const level of ['fine', 'coarse'] as const) {
      const index = errors.findIndex((error) => error < errorLevels[level])
      counts[level].push(index < 0 ? roundsUntilMax : index + 1)
    }
  }
  return { fine: mean(counts.fine), coarse: mean(counts.coarse) }
}

function chances({ name }: Method, { peers, failures }: Setting, { seed, draws }: Repetition): Random[] {
  return Array.from({ length: draws }, (_, draw) => seededRandom(seedFrom(seed, name, peers, failures, draw)))
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
