/**
 * Who sits where in the next round's grid: a pure function of the plan and of who was gone when it was sealed, so that
 * everyone who knows the decided round, newcomers too, derives the same list.
 *
 * As a rule peers keep their seats, because every new neighbour is a new link: whoever came last takes the seat of one
 * that went. Every `redrawRounds`, and when the number of rows changes, all seats are given anew: near peers into one
 * row (halving the map, again and again, across its longer side), and in each row the fastest into the first column, so
 * that a column is made of peers of about one speed and its share suits all of them.
 */

import { rowPeersMax } from '../../core/limits.ts'
import { seedFrom } from '../../core/random.ts'
import { compareText } from './electorate.ts'
import { rowCountOf } from './grid.ts'
import type { Place, Plan } from './plan.ts'

/**
 * Rounds between two redraws: with minutes to a round a redraw comes about twice an hour, and costs each peer new links
 * once.
 */
const redrawRounds = 16

interface Sitter {
  peer: string
  seat: number
  bandwidth: number | undefined
  place: Place | undefined
}

/** The electorate after `plan`, in the order of its seats, without the peers that were `absent` when it was sealed. */
export function nextElectorate(plan: Plan, absent: readonly string[]): string[] {
  const gone = new Set(absent)
  const sitters = [...plan.contributors, ...plan.receivers].filter(({ peer }) => !gone.has(peer))
  const rows = rowCountOf(sitters.length)
  if (sitters.length <= rowPeersMax) return sitters.map(({ peer }) => peer).sort(compareText)
  if (rows !== rowCountOf(plan.seats) || (plan.round + 1) % redrawRounds === 0)
    return redraw(sitters, rows, plan.root)
  return fillSeats(sitters)
}

/** Everyone keeps the seat there still is; the rest, in the order of their seats, take the empty ones. */
function fillSeats(sitters: readonly Sitter[]): string[] {
  const seats: (string | undefined)[] = Array(sitters.length).fill(undefined)
  const standing: Sitter[] = []
  for (const sitter of sitters) {
    if (sitter.seat < seats.length) seats[sitter.seat] = sitter.peer
    else standing.push(sitter)
  }
  standing.sort((a, b) => a.seat - b.seat)
  let next = 0
  return seats.map((peer) => peer ?? standing[next++]!.peer)
}

function redraw(sitters: readonly Sitter[], rows: number, root: string): string[] {
  const chance = new Map(sitters.map(({ peer }) => [peer, seedFrom(root, peer)]))
  const byChance = (a: Sitter, b: Sitter): number =>
    chance.get(a.peer)! - chance.get(b.peer)! || compareText(a.peer, b.peer)
  return halve([...sitters].sort(byChance), rows)
    .flatMap((row) => row.sort((a, b) => speed(b) - speed(a)))
    .map(({ peer }) => peer)
}

/** `sitters` in `rows` groups of neighbours, the longer ones first, as the grid has them. */
function halve(sitters: Sitter[], rows: number): Sitter[][] {
  if (rows === 1) return [sitters]
  const axis = extent(sitters, 0) >= extent(sitters, 1) ? 0 : 1
  const sorted = [...sitters].sort((a, b) => placeOf(a)[axis] - placeOf(b)[axis])
  const upperRows = Math.floor(rows / 2)
  const lowerRows = rows - upperRows
  const longer = sitters.length % rows
  const cut = lowerRows * Math.floor(sitters.length / rows) + Math.min(longer, lowerRows)
  return [...halve(sorted.slice(0, cut), lowerRows), ...halve(sorted.slice(cut), upperRows)]
}

function extent(sitters: readonly Sitter[], axis: 0 | 1): number {
  let least = Number.POSITIVE_INFINITY
  let most = Number.NEGATIVE_INFINITY
  for (const sitter of sitters) {
    least = Math.min(least, placeOf(sitter)[axis])
    most = Math.max(most, placeOf(sitter)[axis])
  }
  return most - least
}

function placeOf({ place }: Sitter): Place {
  return place ?? [0, 0]
}

/** Unknown counts as slower than anything measured, and as faster than a peer that cannot reduce at all. */
function speed({ bandwidth }: Sitter): number {
  return bandwidth === undefined ? Number.MIN_VALUE : bandwidth
}
