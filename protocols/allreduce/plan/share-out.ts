/**
 * Who sums which parts: a column of the grid takes a run of consecutive parts, each of its peers for its own row. How
 * long the runs are is `shares.ts`'s arithmetic; here the peers are found.
 *
 * Where there is one row, every contributor is a column of its own. Where there are several, all peers of a column get
 * the same parts, so the slowest of them sets its speed; for one that is gone or cannot be dialled another of its row
 * stands in.
 */

import { columnCountOf, columnOfSeat, rowCountOf, rowOfSeat, seatAt } from './grid.ts'
import type { PlanLists, Reach, Seated, Share } from './plan.ts'
import { balanceShares } from './shares.ts'

type Candidate = Seated & Reach

/**
 * Rates that lie as close to the middle one, as a fraction of it, are the same: what eight peers measure of equal links
 * is up to 9 % off after one round and 5 later, and who is given as much more to carry makes everybody wait. A link
 * that is slower by all of it makes a round an eighth longer at most.
 */
const rateErrorMax = 1 / 8

/**
 * Shares of `partCount` parts, at most twice the fair share for one column; when nobody can reduce, all share alike.
 */
export function shareOut(partCount: number, seats: number, lists: Omit<PlanLists, 'followers'>): Share[] {
  const columns =
    rowCountOf(seats) === 1 ? lists.contributors.map((peer) => [peer]) : gridColumns(seats, lists)
  const rates = levelled(columns.map(rateOf))
  const usable = rates.some((rate) => rate !== 0) ? rates : rates.map(() => undefined)
  const counts = balanceShares(partCount, usable, { fractionMax: Math.min(1, 2 / columns.length) })
  let firstPart = 0
  const shares: Share[] = []
  columns.forEach((column, index) => {
    const count = counts[index]!
    const reducers = column.map((candidate) => candidate?.peer ?? '')
    if (count > 0) shares.push({ firstPart, partCount: count, reducers })
    firstPart += count
  })
  return shares
}

/** What the slowest peer of a column can carry; undefined when none of it is known. */
function rateOf(column: readonly (Candidate | undefined)[]): number | undefined {
  const here = column.filter((candidate) => candidate !== undefined)
  if (here.length === 0) return 0
  const known = here.map(({ bandwidth }) => bandwidth).filter((bandwidth) => bandwidth !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

/** `rates` without the differences that measuring alone makes. */
function levelled(rates: readonly (number | undefined)[]): (number | undefined)[] {
  const known = rates.filter((rate) => rate !== undefined && rate > 0) as number[]
  const middle = known.sort((a, b) => a - b)[known.length >> 1] ?? 0
  return rates.map((rate) =>
    rate !== undefined && Math.abs(rate - middle) <= rateErrorMax * middle ? middle : rate,
  )
}

/** Column → row → the peer that sums there, if any can. */
function gridColumns(seats: number, lists: Omit<PlanLists, 'followers'>): (Candidate | undefined)[][] {
  const bySeat = new Map<number, Candidate>(
    [...lists.contributors, ...lists.receivers.filter(({ incarnation }) => incarnation !== 0)].map((peer) => [
      peer.seat,
      peer,
    ]),
  )
  const rows = Array.from({ length: rowCountOf(seats) }, (_, row) => {
    const able = [...bySeat.values()].filter(
      (peer) => rowOfSeat(peer.seat, seats) === row && peer.bandwidth !== 0,
    )
    // First those that sit in no column, so that nobody has to do the work of two while another has none.
    const spare = able.filter(({ seat }) => columnOfSeat(seat, seats) === undefined)
    return spare.length > 0 ? spare : able
  })
  return Array.from({ length: columnCountOf(seats) }, (_, column) =>
    rows.map((standIns, row) => {
      const own = bySeat.get(seatAt(row, column, seats))
      return own !== undefined && own.bandwidth !== 0 ? own : standIns[column % standIns.length]
    }),
  )
}
