/**
 * The plan of a round: who contributes, who only receives, and who sums which parts. One peer (the attempt's leader)
 * makes it from the commits that arrived; all others take it as it is, so there is nothing to agree on but its id.
 *
 *     parts      0 1 2 3 4 5 6 7 8 9          fixed slices of the flat update
 *     shares     └─ a ─┘ └─ b ─┘ └c┘          runs of consecutive parts, each with one reducer in every row of the grid
 *
 * The reducer of a part in one of the rows is also its *finisher*: it adds the rows' sums and makes the mean. With one
 * row that is the only reducer there is. The attempt is no part of the plan: a later leader can continue it under the
 * same id. Who is in time for the plan is decided in `freeze.ts`, how long shares are in `shares.ts`; what is asked of
 * one plan again and again is looked up in `plan-directory.ts`.
 */

import { compareText } from './electorate.ts'
import { rowCountOf, rowOfSeat } from './grid.ts'
import type { Pace } from './pace.ts'
import { hasBit } from './parts.ts'

/** A peer with its seat in the grid: members have theirs of the electorate, guests the numbers after. */
export interface Seated {
  peer: string
  seat: number
}

/**
 * Where a peer is on the map of round trips: milliseconds, two of them as far apart as a message between them takes.
 */
export type Place = readonly [number, number]

/** What a peer says of its own link. */
export interface Reach {
  /** Bytes per second; 0: cannot reduce; undefined: unknown. */
  bandwidth: number | undefined
  /** Where it is on the map of round trips; undefined: unknown. */
  place: Place | undefined
}

export interface Contributor extends Seated, Reach {
  /** Samples behind its update, > 0. */
  weight: number
  /** Digest of its commit: which update, by which incarnation. */
  commit: string
  /** As its commit says. */
  pace?: Pace | undefined
}

export interface Receiver extends Seated, Reach {
  /** The life that holds the state; 0: a member whose row was not heard of, so that nobody knows. */
  incarnation: number
}

/** A run of consecutive parts, and who sums it in each row. */
export interface Share {
  firstPart: number
  partCount: number
  /** One for each row of the grid; empty text where nobody can: that row's updates are not in these parts. */
  reducers: readonly string[]
}

/** Who takes part, and how. */
export interface PlanLists {
  /** By seat. Bit `i` of a result's bitmap is contributor `i`. */
  contributors: readonly Contributor[]
  /** Peers that hold the state and get the results without giving an update, by seat. */
  receivers: readonly Receiver[]
  /** Peers that hold an earlier state or none and get the results too, by seat; members that are not heard of yet. */
  followers: readonly Seated[]
}

export interface Plan extends PlanLists {
  round: number
  /** Root of the state that the round starts from. */
  root: string
  /**
   * Members of the electorate that the round starts from: how many seats its grid has. 0 before the first agreement.
   */
  seats: number
  /** Who decides the round, sorted; empty before the first agreement. */
  council: readonly string[]
  /** Consecutive, from part 0 to the last. */
  shares: readonly Share[]
}

/** Row of a peer of `plan`. */
export function rowIn(plan: Plan, { seat }: Seated): number {
  return rowOfSeat(seat, plan.seats)
}

/** Parts of the plan's vector. */
export function partCountOf(plan: Plan): number {
  return plan.shares.reduce((sum, { partCount }) => sum + partCount, 0)
}

/**
 * Why `plan` cannot be right, whoever made it; undefined when its lists are ordered and its shares cover `partCount`
 * parts.
 */
export function planFault(plan: Plan, partCount: number): string | undefined {
  const { contributors, receivers, followers, council } = plan
  if (contributors.length === 0) return 'no contributors'
  if (contributors.some(({ weight }) => !(weight > 0))) return 'a contributor without weight'
  if (!council.every((peer, index) => index === 0 || compareText(council[index - 1]!, peer) < 0))
    return 'a council that is not sorted or names a peer twice'
  const all = [...contributors, ...receivers, ...followers]
  if (![contributors, receivers, followers].every(isBySeat)) return 'a list that is not by seat'
  if (new Set(all.map(({ peer }) => peer)).size !== all.length) return 'a peer in two places'
  if (new Set(all.map(({ seat }) => seat)).size !== all.length) return 'two peers in one seat'
  return sharesFault(plan, partCount)
}

function sharesFault(plan: Plan, partCount: number): string | undefined {
  const rows = rowCountOf(plan.seats)
  const rowOf = new Map(
    [...plan.contributors, ...plan.receivers].map((seated) => [seated.peer, rowIn(plan, seated)]),
  )
  let next = 0
  for (const { reducers, firstPart, partCount: count } of plan.shares) {
    if (firstPart !== next || count < 1) return 'shares that do not follow each other'
    if (reducers.length !== rows || !reducers.some((peer) => peer !== '')) return 'a share without reducers'
    if (!reducers.every((peer, row) => peer === '' || rowOf.get(peer) === row))
      return 'a reducer that is not of its row'
    next += count
  }
  return next === partCount ? undefined : `shares of ${next} parts for ${partCount}`
}

function isBySeat(list: readonly Seated[]): boolean {
  return list.every(({ seat }, index) => index === 0 || list[index - 1]!.seat < seat)
}

/**
 * The parts in the order in which contributor number `index` sends them: one of each share in turn, starting at its own
 * place, so that every reducer gets data from the start and no two contributors of a row begin with the same reducer.
 */
export function sendingOrder(plan: Plan, index: number): number[] {
  const { shares } = plan
  const longest = Math.max(...shares.map(({ partCount }) => partCount))
  const order: number[] = []
  for (let offset = 0; offset < longest; offset++) {
    for (let turn = 0; turn < shares.length; turn++) {
      const { firstPart, partCount } = shares[(index + turn) % shares.length]!
      if (offset < partCount) order.push(firstPart + offset)
    }
  }
  return order
}

/** Sum of the weights of the contributors in `bitmap`, in the plan's order; 0 when it names nobody. */
export function weightOf(plan: Plan, bitmap: Uint8Array): number {
  let sum = 0
  for (let index = 0; index < plan.contributors.length; index++)
    if (hasBit(bitmap, index)) sum += plan.contributors[index]!.weight
  return sum
}
