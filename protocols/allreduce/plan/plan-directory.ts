/**
 * Who is where in a plan, looked up once: a peer asks it at every message, and a plan of ten thousand peers is too long
 * to search each time. A plan does not change, so its directory is kept for as long as the plan.
 *
 *     peer ──▶ row, place among the contributors, the parts that it sums
 *     row  ──▶ its contributors, its audience
 *     part ──▶ its reducers, and those of them that may finish it
 */

import { linksMax } from '../../core/limits.ts'
import { leaderOrder } from './electorate.ts'
import { columnCountOf, columnOfSeat, rowCountOf, rowOfSeat } from './grid.ts'
import type { Contributor, Plan, Share } from './plan.ts'

/** A contributor, and its bit in the results' bitmaps. */
export interface IndexedContributor extends Contributor {
  index: number
}

export interface PlanDirectory {
  /** Everyone in the plan, with the row. */
  rows: ReadonlyMap<string, number>
  contributors: ReadonlyMap<string, IndexedContributor>
  /** Row → its contributors, in the plan's order. */
  contributorsOf: readonly (readonly IndexedContributor[])[]
  /** Row → everyone that gets the results there: contributors, receivers, followers, each by seat. */
  audiences: readonly (readonly string[])[]
  /** Who leads the attempts of the round in which order, when it has a council. */
  leaders: readonly string[]
  /** Reducer → the parts that it sums, ascending. */
  partsOf: ReadonlyMap<string, readonly number[]>
  /** Part → its reducer in each row. */
  reducers: readonly (readonly string[])[]
  /** Part → the reducers that may make its mean, in the order of their rows. */
  finishers: readonly (readonly string[])[]
  /** Part → the one that does. */
  finisher: readonly (string | undefined)[]
}

const directories = new WeakMap<Plan, PlanDirectory>()

/** The directory of `plan`, which is not changed from here on. */
export function directoryOf(plan: Plan): PlanDirectory {
  const known = directories.get(plan)
  if (known !== undefined) return known
  const directory = compile(plan)
  directories.set(plan, directory)
  return directory
}

/** The reducer of `part` in each row; none for a part that there is not. */
export function reducersOf(plan: Plan, part: number): readonly string[] {
  return directoryOf(plan).reducers[part] ?? []
}

/** The reducers that may add the rows' sums of `part`: those that sit in its column, unless none does. */
export function finishersOf(plan: Plan, part: number): readonly string[] {
  return directoryOf(plan).finishers[part] ?? []
}

/** The one that does. The rows take turns, so that every reducer finishes some parts. */
export function finisherOf(plan: Plan, part: number): string | undefined {
  return directoryOf(plan).finisher[part]
}

/** Everyone of `row` that gets the results of `plan`. */
export function audienceOf(plan: Plan, row: number): readonly string[] {
  return directoryOf(plan).audiences[row] ?? []
}

/** The row of the plan that `peer` is in; undefined for a stranger. */
export function rowOfPeer(plan: Plan, peer: string): number | undefined {
  return directoryOf(plan).rows.get(peer)
}

function compile(plan: Plan): PlanDirectory {
  const rowCount = rowCountOf(plan.seats)
  const contributors = new Map<string, IndexedContributor>()
  const contributorsOf: IndexedContributor[][] = Array.from({ length: rowCount }, () => [])
  plan.contributors.forEach((contributor, index) => {
    const indexed = { ...contributor, index }
    contributors.set(contributor.peer, indexed)
    contributorsOf[rowOfSeat(contributor.seat, plan.seats)]!.push(indexed)
  })
  const rows = new Map<string, number>()
  const audiences: string[][] = Array.from({ length: rowCount }, () => [])
  const seats = new Map<string, number>()
  for (const { peer, seat } of [...plan.contributors, ...plan.receivers, ...plan.followers]) {
    const row = rowOfSeat(seat, plan.seats)
    rows.set(peer, row)
    seats.set(peer, seat)
    audiences[row]!.push(peer)
  }
  const columnOf = (peer: string): number | undefined => columnOfSeat(seats.get(peer)!, plan.seats)
  const perPart = (list: (share: Share) => readonly string[]): (readonly string[])[] =>
    plan.shares.flatMap((share) => Array<readonly string[]>(share.partCount).fill(list(share)))
  const finishers = perPart(({ reducers }) =>
    finishersAmong(
      reducers.filter((peer) => peer !== ''),
      columnOf,
    ),
  )
  const turns = turnsMax(plan.seats)
  return {
    leaders: leaderOrder(plan.root, plan.council),
    partsOf: partsByReducer(plan),
    rows,
    contributors,
    contributorsOf,
    audiences,
    reducers: perPart(({ reducers }) => reducers),
    finishers,
    finisher: plan.shares.flatMap(({ firstPart, partCount }) =>
      Array.from({ length: partCount }, (_, offset) => {
        const able = finishers[firstPart]!
        return able[(firstPart + (offset % turns)) % able.length]
      }),
    ),
  }
}

function partsByReducer({ shares }: Plan): Map<string, number[]> {
  const partsOf = new Map<string, number[]>()
  for (const { reducers, firstPart, partCount } of shares)
    for (const peer of new Set(reducers)) {
      const parts = partsOf.get(peer) ?? []
      partsOf.set(peer, parts)
      for (let part = firstPart; part < firstPart + partCount; part++) parts.push(part)
    }
  return partsOf
}

/**
 * Among how many rows the parts of a share take turns to be finished: one that stands in needs a link to each finisher,
 * beside those of its own row and column.
 */
function turnsMax(seats: number): number {
  return Math.max(2, linksMax - (rowCountOf(seats) + columnCountOf(seats) - 2))
}

/**
 * Of `reducers` those that sit in the column which most of them sit in. One that stands in for a peer of another column
 * has its links in its own: it hands its sum to one finisher, where finishing would ask of it a link to every row.
 */
function finishersAmong(
  reducers: readonly string[],
  columnOf: (peer: string) => number | undefined,
): readonly string[] {
  const byColumn = new Map<number | undefined, string[]>()
  for (const peer of reducers) {
    const column = columnOf(peer)
    const mates = byColumn.get(column)
    if (mates === undefined) byColumn.set(column, [peer])
    else mates.push(peer)
  }
  let most: readonly string[] = reducers.slice(0, 1)
  for (const [column, mates] of byColumn) if (column !== undefined && mates.length > most.length) most = mates
  return most
}
