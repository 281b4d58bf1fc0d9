/**
 * A round among simulated peers, as far as its plan goes: the grid, the shares, the reducers and finishers are those
 * that the protocol's own functions (protocols/allreduce: grid, share-out, shares, plan) derive from the same lists,
 * and are not written a second time here. What is left out is how peers come to hold one plan: messages, commits and
 * votes.
 */

import { compareText } from '../../protocols/allreduce/plan/electorate.ts'
import { Grid } from '../../protocols/allreduce/plan/grid.ts'
import type { Contributor, Plan, Reach, Receiver } from '../../protocols/allreduce/plan/plan.ts'
import { shareOut } from '../../protocols/allreduce/plan/share-out.ts'

/** Every seat as a sum's weight: simulated peers train at one speed. */
const weight = 1

/** What there is to plan with. */
export interface PlanInput {
  round: number
  root: string
  /** Names in the order of their seats. */
  electorate: readonly string[]
  /** By seat; peers without an entry are of unknown speed and place. */
  reach?: readonly Reach[]
  /** By seat: whether the peer gives an update. */
  isHere: (seat: number) => boolean
  /** By seat: whether the peer only gets the result, and sums nothing. Default: nobody. */
  isGuest?: (seat: number) => boolean
  /** Parts of the vector, >= 1. */
  partCount: number
}

/** Names of `count` peers, in one order as texts and as numbers. */
export function peerNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `peer-${String(index).padStart(5, '0')}`)
}

/** The plan of a round to which everyone gives an update who is here; at least one is. */
export function planRound(input: PlanInput): Plan {
  const { round, root, electorate, reach, isHere, isGuest = () => false, partCount } = input
  const contributors = electorate.flatMap((peer, seat): Contributor[] => {
    if (!isHere(seat)) return []
    const { bandwidth, place } = reach?.[seat] ?? {}
    return [{ peer, seat, weight, commit: '', bandwidth, place }]
  })
  const receivers = electorate.flatMap((peer, seat): Receiver[] => {
    return isGuest(seat) ? [{ peer, seat, incarnation: 0, bandwidth: 0, place: undefined }] : []
  })
  const lists = { contributors, receivers, followers: [] }
  const council = [...new Grid(root, electorate).council].sort(compareText)
  const shares = shareOut(partCount, electorate.length, lists)
  return { round, root, seats: electorate.length, council, ...lists, shares }
}
