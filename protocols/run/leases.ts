/**
 * Who trains on which samples. A round's leases are a pure function of the state, so no peer has to ask for one: each
 * gets a run of positions as long as its speed allows, and all are done at about the same time.
 *
 *     cursor                                                    end
 *     │ a: 4 batches │ b: 1 │ c: 3 batches         │ ┄ overflow ┄ a b c a b c a b c …
 *
 * With one local step the runs together are exactly the batch of one machine, whoever has how much of it.
 *
 * The work of a peer that died is taken over by number, not by sample: the others go on in the *overflow*, where each
 * has every `width`-th place for itself. Nobody has to agree on who is dead, and no sample can count twice, whatever
 * each of them believes. What the dead peer did not do comes around in the next epoch. How far the overflow was used is
 * seen in the weights that the round agreed on, and the next round starts after it.
 */

import type { Contribution } from '../allreduce/index.ts'
import { quantile } from '../core/quantile.ts'
import { apportion } from './apportion.ts'

export interface Leases {
  /** Position of the round's first sample. */
  cursor: number
  /** Local steps of all earlier rounds, of a peer of usual speed: where its learning rates go on. */
  firstStep: number
  /** Local steps of this round, of a peer of usual speed; 1 in jobs that average gradients. */
  steps: number
  /** The peers that train, sorted; empty in a run's first round, where nobody has agreed on anybody. */
  holders: readonly string[]
  /** Samples per second of each of them as it was measured; 0: not known. */
  rates: readonly number[]
}

/** What a step is in a job. */
export interface LeaseUnit {
  /** Samples of one step of a peer of usual speed. */
  batch: number
  /** Steps are averaged one by one. */
  isGradient: boolean
  /** All leases are alike, whatever the speeds. */
  isEven: boolean
}

/** One peer's part of a round. */
export interface Lease {
  /** Sample positions of each local step: `positions[step][k]`. */
  positions: number[][]
  /** Where in the schedule each local step is. */
  schedule: number[]
}

/**
 * Peers whose speeds differ by less than this share the work alike: measurements on busy home computers vary by as much
 * from round to round, and shares that follow them would be new tensor shapes, with new graphs, in every round.
 */
const likeness = 1.5

/** A fast peer gets at most this many times the usual lease: more local steps would carry it away from the others. */
const leaseFactorMax = 4

/** The smallest lease of a job that averages gradients: a quarter of a batch, so that few shapes occur. */
const batchPieces = 4

/** The leases of `width` peers, one after another: `lengths[index]` samples from `starts[index]` on. */
interface Layout {
  /** Samples that are leased together, >= 1. */
  grain: number
  /** Grains of each holder. */
  shares: number[]
}

function layoutOf(
  { steps, rates }: Pick<Leases, 'steps' | 'rates'>,
  { batch, isGradient, isEven }: LeaseUnit,
): Layout {
  const grain = isGradient ? divisorUpTo(batch, Math.floor(batch / batchPieces)) : batch
  const usual = isGradient ? batch / grain : steps
  const max = leaseFactorMax * usual
  const speeds = isEven ? rates.map(() => 1) : speedsOf(rates)
  return { grain, shares: apportion(rates.length * usual, speeds, { min: 1, max }) }
}

/** Samples that every lease of a step is a multiple of. */
export function leaseGrain({ batch, isGradient, isEven }: LeaseUnit): number {
  return isGradient && !isEven ? divisorUpTo(batch, Math.floor(batch / batchPieces)) : batch
}

/** Speeds relative to the usual one, which is 1; peers that were not measured count as slow as the slowest. */
function speedsOf(rates: readonly number[]): number[] {
  const known = rates.filter((rate) => rate > 0)
  if (known.length === 0) return rates.map(() => 1)
  const usual = quantile(known, 0.5)
  const slowest = Math.min(...known)
  return rates.map((rate) => {
    const speed = (rate > 0 ? rate : slowest) / usual
    return speed < likeness && speed * likeness > 1 ? 1 : speed
  })
}

function divisorUpTo(value: number, most: number): number {
  for (let divisor = most; divisor > 1; divisor--) if (value % divisor === 0) return divisor
  return 1
}

/** The lease of holder number `index`. */
export function leaseFor(leases: Leases, index: number, unit: LeaseUnit): Lease {
  const { grain, shares } = layoutOf(leases, unit)
  const before = shares.slice(0, index).reduce((sum, share) => sum + share, 0)
  const start = leases.cursor + before * grain
  const length = shares[index]! * grain
  const perStep = unit.isGradient ? length : unit.batch
  return {
    positions: Array.from({ length: length / perStep }, (_, step) => range(start + step * perStep, perStep)),
    schedule: scheduleOf(leases, length / perStep),
  }
}

/**
 * What holder number `index` does besides, when it has done its own and those at `dead` are gone: its part of their
 * work, by speed, at most as much again as its own. None in jobs that average gradients, whose one step is over by
 * then.
 */
export function overflowFor(
  leases: Leases,
  index: number,
  dead: ReadonlySet<number>,
  unit: LeaseUnit,
): Lease {
  const { grain, shares } = layoutOf(leases, unit)
  if (unit.isGradient || dead.has(index)) return { positions: [], schedule: [] }
  const sum = (some: readonly number[]) => some.reduce((total, share) => total + share, 0)
  const living = shares.map((_, holder) => holder).filter((holder) => !dead.has(holder))
  const lost = sum(shares.filter((_, holder) => dead.has(holder)))
  const parts = apportion(
    lost,
    living.map((holder) => shares[holder]!),
    { min: 0, max: lost },
  )
  const count = Math.min(shares[index]!, parts[living.indexOf(index)]!)
  const start = leases.cursor + sum(shares) * grain
  return {
    positions: Array.from({ length: count }, (_, turn) =>
      range(start + (turn * shares.length + index) * grain, grain),
    ),
    // beyond its own steps there is no later place in this round's schedule
    schedule: new Array(count).fill(leases.firstStep + leases.steps - 1),
  }
}

/**
 * Where the leases of the next round start: after this round's, and after as much of the overflow as anybody in
 * `contributions` used.
 */
export function cursorAfter(leases: Leases, contributions: readonly Contribution[], unit: LeaseUnit): number {
  const { grain, shares } = layoutOf(leases, unit)
  const used = leases.holders.map((holder, index) => {
    const weight = contributions.find(({ peer }) => peer === holder)?.weight ?? 0
    return Math.min(shares[index]!, Math.max(0, Math.ceil(weight / grain) - shares[index]!))
  })
  const leased = shares.reduce((sum, share) => sum + share, 0)
  return leases.cursor + (leased + Math.max(0, ...used) * shares.length) * grain
}

/** A peer with more or fewer steps than usual goes through the same stretch of the schedule. */
function scheduleOf({ firstStep, steps }: Leases, count: number): number[] {
  return Array.from({ length: count }, (_, step) => firstStep + Math.floor((step * steps) / count))
}

function range(start: number, length: number): number[] {
  return Array.from({ length }, (_, k) => start + k)
}
