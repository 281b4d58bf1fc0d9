/**
 * The record of one round, as one peer knows it: who stands where, plans, results, ballots, votes. The roles
 * (`leading`, `reducing`, `voting`, `learning`, `fetching`) read it and act; this file only keeps it and answers
 * questions about it.
 *
 * A record can begin before this peer holds the round's state (`base` undefined): then it collects what others say, and
 * the peer neither contributes, leads nor votes.
 */

import type { RoundBase } from '../plan/base.ts'
import { type Ballot, compareBallots, isFoundingQuorum, isQuorum, leaderOrder } from '../plan/electorate.ts'
import { Grid, gridOf } from '../plan/grid.ts'
import type { Parts } from '../plan/parts.ts'
import { type Contributor, type Plan, partCountOf, type Reach } from '../plan/plan.ts'
import { directoryOf, finisherOf, reducersOf, rowOfPeer } from '../plan/plan-directory.ts'
import type { SealContent } from '../plan/seal.ts'
import type { CommittedRound } from './events.ts'
import { Results } from './results.ts'
import type { Commit, Hold } from './vocabulary.ts'
import { VotesCast } from './votes-cast.ts'

/** A peer that said it holds the round's state. */
export interface Standing extends Reach {
  root: string
  incarnation: number
  isVoter: boolean
  /** It restarted during this round, so what it voted before is forgotten. */
  isReborn: boolean
  /** Its commit, with the digest that a plan names. */
  commit: { message: Commit; digest: string } | undefined
}

/** This peer's own update. */
export interface OwnUpdate {
  weight: number
  /** Undefined once the round is over. */
  parts: Parts | undefined
  digests: readonly string[]
  /** Digest of the commit. */
  commit: string
}

export interface BallotPlan {
  ballot: Ballot
  planId: string
  plan: Plan
  /** The leader's, under its `Plan`; undefined where there is one row. */
  signature?: Uint8Array | undefined
}

/** A seal: the value that the round's Paxos decides on. */
export interface SealedValue extends SealContent {
  planId: string
  sealDigest: string
}

export interface BallotSeal extends SealedValue {
  ballot: Ballot
  /** The leader's, under its `Seal`; undefined where there is one row. */
  signature?: Uint8Array | undefined
}

export class Round {
  readonly number: number
  base: RoundBase | undefined
  /** Who stands where, once the base is known. */
  grid = new Grid('', [])
  own: OwnUpdate | undefined
  /** When this peer came to hold the state. */
  startedAtMs = 0
  /** Last moment at which anything moved the round forward. */
  progressAtMs = 0
  /** By the electorate's agreement this peer may vote; always so in a founding round. */
  isVoter = false
  /** This peer took part in the round from another state before: what it promised then, it cannot keep now. */
  isDisowned = false
  /** Set when the electorate expired: the peers that were left. */
  survivors: ReadonlySet<string> | undefined

  readonly standings = new Map<string, Standing>()
  readonly plans = new Map<string, Plan>()
  /** The plan of the highest ballot. */
  plan: BallotPlan | undefined
  /** Parts that a leader gave to another reducer, newest last. */
  readonly reassigned = new Map<number, string[]>()
  readonly results = new Results()
  /** Parts of which this peer asked for any result there is, with whom it asked last. */
  readonly asked = new Map<number, string>()

  promised: Ballot | undefined
  /** The seal of the highest ballot. */
  seal: BallotSeal | undefined
  accepted: BallotSeal | undefined
  /** Seals by digest. */
  readonly values = new Map<string, SealedValue>()
  /** Who accepted which seal in which ballot. */
  readonly votes = new VotesCast()
  /** Set once a quorum accepted it. */
  decided: SealedValue | undefined
  committed: CommittedRound | undefined
  /** Nobody can need the results any more: their bytes are gone, and those of `committed` with them. */
  isReleased = false

  constructor(number: number) {
    this.number = number
  }

  /** This peer holds the round's state from now on. */
  begin(base: RoundBase, nowMs: number, isVoter: boolean): void {
    this.base = base
    this.grid = gridOf(base.root, base.electorate)
    this.isVoter = isVoter
    if (!this.isFounding) this.votes.keepOnly(this.order)
    this.startedAtMs = nowMs
    this.progressAtMs = nowMs
    if (this.plan !== undefined && !this.isOfBase(this.plan.plan)) this.plan = undefined
    this.promised = this.plan?.ballot
    if (this.seal !== undefined && compareBallots(this.seal.ballot, this.promised) < 0) this.seal = undefined
  }

  /** The council, in the order in which it leads. */
  get order(): readonly string[] {
    return this.grid.council
  }

  /** True when nothing was agreed on before this round. */
  get isFounding(): boolean {
    return this.base?.electorate.length === 0
  }

  /** True when `plan` starts from this peer's state. */
  isOfBase(plan: Plan): boolean {
    const { base, grid } = this
    if (base === undefined || plan.root !== base.root || plan.seats !== base.electorate.length) return false
    return (
      plan.council.length === grid.council.length && plan.council.every((peer) => grid.council.includes(peer))
    )
  }

  /** True when `voters` decide on a seal of `plan`. */
  isDecidedBy(plan: Plan, voters: ReadonlySet<string>, peersMin: number): boolean {
    const isFounding = plan.council.length === 0
    const contributors = isFounding ? plan.contributors.map(({ peer }) => peer) : []
    if (this.survivors === undefined && isFounding) {
      const unbroken = [...voters].filter((peer) => !this.standings.get(peer)?.isReborn)
      return isFoundingQuorum(contributors, unbroken, peersMin)
    }
    const order = isFounding ? leaderOrder(plan.root, contributors) : directoryOf(plan).leaders
    return isQuorum(
      this.survivors === undefined ? order : order.filter((p) => this.survivors!.has(p)),
      voters,
    )
  }

  /** Notes what `peer` said about itself. Returns why it is refused, if it is. */
  stand(peer: string, message: Hold | Commit, commitDigest: string | undefined): string | undefined {
    const { root, incarnation, isVoter, bandwidth, place } = message
    const known = this.standings.get(peer)
    const isSameLife = known === undefined || known.incarnation === incarnation
    const commit =
      message.kind === 'Commit' && commitDigest !== undefined ? { message, digest: commitDigest } : undefined
    // Who said that it gives nothing may still change its mind; who named an update may not.
    if (
      known?.commit !== undefined &&
      isSameLife &&
      (commit === undefined || known.commit.message.weight > 0)
    ) {
      if (commit !== undefined && commit.digest !== known.commit.digest) return 'a second, different commit'
      known.isVoter = isVoter
      return undefined
    }
    const isReborn = known !== undefined && (known.isReborn || !isSameLife)
    this.standings.set(peer, { root, incarnation, isVoter, isReborn, commit, bandwidth, place })
    return undefined
  }

  /**
   * False when the contributor is known to have restarted since it committed, for then it has forgotten its update. Its
   * commit need not be here: the plan comes over another link, and can be faster.
   */
  isPlannedLife({ peer, commit }: Pick<Contributor, 'peer' | 'commit'>): boolean {
    const standing = this.standings.get(peer)
    if (standing?.commit !== undefined) return standing.commit.digest === commit
    return !standing?.isReborn
  }

  /** The peer that makes the mean of `part` of the current plan now. */
  finisher(part: number): string | undefined {
    return this.reassigned.get(part)?.at(-1) ?? (this.plan && finisherOf(this.plan.plan, part))
  }

  /** The peer that sums `part` of the current plan over `row` now; undefined when nobody can. */
  reducer(part: number, row: number): string | undefined {
    const plan = this.plan?.plan
    if (plan === undefined) return undefined
    const given = this.reassigned.get(part)?.findLast((peer) => rowOfPeer(plan, peer) === row)
    return given ?? (reducersOf(plan, part)[row] || undefined)
  }

  /** True when `peer` is, or was, to sum `part` of `plan`. */
  isReducer(plan: Plan, part: number, peer: string): boolean {
    return reducersOf(plan, part).includes(peer) || (this.reassigned.get(part)?.includes(peer) ?? false)
  }

  /** Takes `plan` as the current one. Reassignments belong to the plan before. */
  adopt(entry: BallotPlan): void {
    if (this.plan?.planId !== entry.planId) this.reassigned.clear()
    this.plan = entry
    this.plans.set(entry.planId, entry.plan)
    this.#forgetPlans()
  }

  /** Every mean of the current plan is here: nothing is left to do under it but to seal. */
  get isReduced(): boolean {
    return this.plan !== undefined && this.results.count(this.plan.planId) === partCountOf(this.plan.plan)
  }

  /** The plan of `value`, if it is known here. */
  planOf(value: SealedValue): Plan | undefined {
    return this.plans.get(value.planId)
  }

  /** True when a seal that is known here names the result of `part` that has `digest`. */
  isNamed(planId: string, part: number, digest: string): boolean {
    for (const value of this.values.values())
      if (value.planId === planId && value.digests[part] === digest) return true
    return false
  }

  /** Parts of `value` whose bytes are not here. */
  missing(value: SealedValue): number[] {
    const parts: number[] = []
    value.digests.forEach((digest, part) => {
      if (this.results.get(value.planId, part, digest) === undefined) parts.push(part)
    })
    return parts
  }

  /** True when every byte of `value` and its plan are here. */
  isComplete(value: SealedValue): boolean {
    if (!this.plans.has(value.planId) || this.results.count(value.planId) < value.digests.length) return false
    return value.digests.every((digest, part) => this.results.get(value.planId, part, digest) !== undefined)
  }

  /** Seals that a later ballot took the place of go, unless somebody accepted them: a leader can propose many. */
  forgetValues(): void {
    const { seal, accepted, decided } = this
    for (const sealDigest of this.values.keys()) {
      const isHeld = [seal, accepted, decided].some((value) => value?.sealDigest === sealDigest)
      if (!isHeld && !this.votes.has(sealDigest)) this.values.delete(sealDigest)
    }
    this.results.rename((planId, part, digest) => this.isNamed(planId, part, digest))
  }

  /** Lets the results go. */
  release(): void {
    this.isReleased = true
    this.results.release()
    if (this.committed !== undefined) this.committed = { ...this.committed, parts: [] }
  }

  /** Old attempts' plans go, with their results, unless a seal that may yet be decided needs them. */
  #forgetPlans(): void {
    const needed = new Set([this.plan!.planId])
    for (const { planId } of this.values.values()) needed.add(planId)
    for (const planId of this.plans.keys()) if (!needed.has(planId)) this.plans.delete(planId)
    this.results.keepOnly(needed)
  }
}
