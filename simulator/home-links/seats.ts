/**
 * Where the protocol seats homes whose speeds and places are known: what it makes of the first plan that more than a
 * row is in.
 */

import type { Reach } from '../../protocols/allreduce/plan/plan.ts'
import { nextElectorate } from '../../protocols/allreduce/plan/seating.ts'
import { planRound } from '../averaging/planned-round.ts'
import type { Home } from './world.ts'

/** The peers of `homes` in the order of their seats. */
export function seatsOf(homes: ReadonlyMap<string, Home>, root: string): string[] {
  const electorate = [...homes.keys()]
  const reach = [...homes.values()].map(reachOf)
  const plan = planRound({
    round: 0,
    root,
    electorate,
    reach,
    isHere: () => true,
    partCount: electorate.length,
  })
  return nextElectorate({ ...plan, seats: 0 }, [])
}

/** What a peer that has measured its link says of it. */
export function reachOf({ up, down, place }: Home): Reach {
  return { bandwidth: Math.min(up, down), place }
}
