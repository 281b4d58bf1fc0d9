/**
 * A pledge: what one acceptor must not forget, as it goes to disk and comes back from there. When one is made, and what
 * a recalled one binds to, is in `pledges.ts`; its bytes are `pledge-codec.ts`'s.
 */

import type { Ballot } from '../plan/electorate.ts'
import type { Plan } from '../plan/plan.ts'
import type { SealContent } from '../plan/seal.ts'
import type { Result } from './vocabulary.ts'

/** A seal that was accepted, and everything that it names: whoever accepted it can serve it, after a restart too. */
export interface PledgedSeal extends SealContent {
  ballot: Ballot
  plan: Plan
  /** One for each part, in order. Their bytes are borrowed. */
  results: readonly Result[]
}

/** What one acceptor must not forget. Only the newest counts. */
export interface Pledge {
  /** The first round in which this acceptor was a member. */
  since: number
  /** The last round in which it was bound, by its number and the root that it starts from. */
  round: number
  root: string
  promised: Ballot | undefined
  accepted: PledgedSeal | undefined
}
