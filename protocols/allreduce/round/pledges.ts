/**
 * What a member has said that binds it, so that it still knows after a restart: the ballot it promised, and the seal it
 * accepted with all of its bytes. It goes to disk before the word that it guards goes out (the effect `Pledged`).
 *
 *     first round as a member ──▶ pledge {since}           before Hold: from here on this acceptor's memory has no gap
 *     own ballot, Promise     ──▶ pledge {promised}        before Prepare, Plan and Promise
 *     Accepted                ──▶ pledge {accepted}        before Accepted, and before what this vote alone decides is told
 *     vote handed over        ──▶ no pledge any more       before Leave
 *
 * A life that recalls a pledge votes in its round as the life before would have, and in every later one: in those
 * nothing was said. Without one (a disk that was lost, a tab) a peer votes only when a plan names its new life
 * (`presence.ts`). A founding round has no members, so nothing is pledged in it.
 */

import type { RoundBase } from '../plan/base.ts'
import { ballotKey } from '../plan/electorate.ts'
import type { Pledge, PledgedSeal } from './pledge.ts'
import type { Round } from './round.ts'

export class Pledges {
  readonly #recalled: Pledge | undefined
  /** Undefined until this peer is a member. */
  #since: number | undefined
  #latest: Pick<Pledge, 'round' | 'root'> | undefined
  #latestKey = ''

  /** `recalled`: what a former life of this peer pledged last. */
  constructor(recalled: Pledge | undefined) {
    this.#recalled = recalled
    this.#latest = recalled
    this.#since = recalled?.since
  }

  /** This peer's memory of its votes has begun. */
  get hasBegun(): boolean {
    return this.#since !== undefined
  }

  /** This peer knows all that binds it in the round of `base`, which it has no record of yet. */
  covers(base: RoundBase): boolean {
    if (this.#since === undefined || base.round < this.#since) return false
    return (
      this.#latest === undefined || base.round > this.#latest.round || this.recalledIn(base) !== undefined
    )
  }

  /** What a former life pledged in the round of `base`. */
  recalledIn({ round, root }: RoundBase): Pledge | undefined {
    const isLatest = this.#latest === this.#recalled
    return isLatest && this.#recalled?.round === round && this.#recalled.root === root
      ? this.#recalled
      : undefined
  }

  /**
   * What this peer is bound to in `round` now; undefined when that is written already, or nothing can bind it: once a
   * later round's pledge is written, no life of this peer votes in this one again.
   */
  next(round: Round): Pledge | undefined {
    const { base, number, promised, accepted, isVoter } = round
    if (base === undefined || round.isFounding || !isVoter) return undefined
    if (this.#latest !== undefined && number < this.#latest.round) return undefined
    const bonds = [promised, accepted?.ballot].map((ballot) => (ballot ? ballotKey(ballot) : ''))
    const key = [number, base.root, ...bonds].join()
    if (key === this.#latestKey) return undefined
    this.#latestKey = key
    this.#since ??= number
    this.#latest = { round: number, root: base.root }
    return { since: this.#since, ...this.#latest, promised, accepted: sealOf(round) }
  }
}

function sealOf({ accepted, plans, results }: Round): PledgedSeal | undefined {
  if (accepted === undefined) return undefined
  const { ballot, planId, digests, absent } = accepted
  return {
    ballot,
    plan: plans.get(planId)!,
    digests,
    absent,
    results: digests.map((digest, part) => results.get(planId, part, digest)!.message),
  }
}
