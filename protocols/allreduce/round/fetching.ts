/**
 * Pulling what a peer missed of a round: a seal that others voted for, then the results that it names, by digest.
 *
 * Results are pushed to everyone in the plan, so a peer of the plan waits `wantMs` for the push before it asks; others
 * ask at once. Asked is one peer for each part, `wantsInFlightMax` parts at a time; who lacks it or stays silent is
 * passed over.
 */

import { wantsInFlightMax } from '../../core/limits.ts'
import { partCount } from '../plan/parts.ts'
import { planFault } from '../plan/plan.ts'
import { planIdOf } from '../plan/plan-codec.ts'
import { rowOfPeer } from '../plan/plan-directory.ts'
import { type SealContent, sealFault, sealIdentity } from '../plan/seal.ts'
import type { Learning } from './learning.ts'
import type { Round, SealedValue } from './round.ts'
import type { Role, Session } from './session.ts'
import type { Lacking, SealValue, Want, WantSeal } from './vocabulary.ts'
import type { Voting } from './voting.ts'

interface Asked {
  peer: string
  sinceMs: number
}

export class Fetching implements Role {
  readonly #round: Round
  readonly #session: Session
  readonly #voting: Voting
  readonly #learning: Learning
  readonly #asked = new Map<number, Asked>()
  /** Peers that lack a part, or did not answer. */
  readonly #passedOver = new Map<number, Set<string>>()
  #target: string | undefined
  #patientUntilMs = Number.POSITIVE_INFINITY
  #askedSeals = 0

  constructor(round: Round, session: Session, voting: Voting, learning: Learning) {
    this.#round = round
    this.#session = session
    this.#voting = voting
    this.#learning = learning
  }

  advance(): void {
    const { committed } = this.#round
    const value = committed === undefined ? this.#wanted() : undefined
    const unknown = committed === undefined && value === undefined ? this.#learning.unknownSeals() : []
    const target = value?.sealDigest ?? (unknown.length > 0 ? 'unknown' : undefined)
    const { nowMs, init } = this.#session
    if (target !== this.#target) {
      this.#target = target
      this.#asked.clear()
      this.#passedOver.clear()
      const isPushed = value === undefined || this.#isInAudience(value)
      this.#patientUntilMs =
        target === undefined ? Number.POSITIVE_INFINITY : nowMs + (isPushed ? init.timing.wantMs : 0)
    }
    if (nowMs < this.#patientUntilMs) return
    this.#patientUntilMs = nowMs + init.timing.wantMs
    if (value !== undefined) this.#askParts(value)
    else if (unknown.length > 0) this.#askSeal(unknown)
  }

  dueMs(): number {
    return this.#patientUntilMs
  }

  /** Pushed results still come: asking for them can wait. Called at each result. */
  hear(part: number): void {
    this.#asked.delete(part)
    const { nowMs, init } = this.#session
    if (this.#target === undefined) return
    this.#patientUntilMs =
      this.#asked.size > 0 || this.#passedOver.size > 0 ? nowMs : nowMs + init.timing.wantMs
  }

  lacking(from: string, { part }: Lacking): void {
    if (this.#asked.get(part)?.peer !== from) return
    this.#asked.delete(part)
    this.#passOver(part, from)
    this.#patientUntilMs = this.#session.nowMs
  }

  /** Serves a part's result, or says that it is not here. */
  want(from: string, { planId, part, digest, round }: Want): void {
    const held = this.#round.results.get(planId, part, digest)
    this.#session.send(from, held?.message ?? { kind: 'Lacking', round, planId, part })
  }

  wantSeal(from: string, { sealDigest, round }: WantSeal): void {
    const value = this.#round.values.get(sealDigest)
    const plan = value && this.#round.planOf(value)
    if (plan !== undefined) this.#session.send(from, { kind: 'SealValue', round, plan, ...contentOf(value!) })
  }

  /** A seal's content. Returns why it is refused, if it is. */
  sealValue({ plan, digests, absent }: SealValue): string | undefined {
    const { hash, partition } = this.#session.init
    const planProblem = planFault(plan, partCount(partition))
    if (planProblem !== undefined) return `a seal whose plan has ${planProblem}`
    const fault = sealFault(plan, { digests, absent })
    if (fault !== undefined) return `a seal that ${fault}`
    const planId = planIdOf(plan, hash)
    if (!this.#round.votes.has(hash(sealIdentity(planId, { digests, absent }))))
      return 'a seal that nobody voted for'
    this.#round.plans.set(planId, plan)
    this.#voting.know(planId, { digests, absent })
    return undefined
  }

  /** Parts that are still asked for, for `pending()`. */
  missingCount(): number {
    const value = this.#wanted()
    return value === undefined ? 0 : this.#round.missing(value).length
  }

  /** The seal whose bytes this peer needs: the decided one, or the one it could vote for. */
  #wanted(): SealedValue | undefined {
    const { decided, seal, accepted } = this.#round
    const value =
      decided ?? (this.#voting.canVote() && accepted?.sealDigest !== seal?.sealDigest ? seal : undefined)
    return value === undefined || this.#round.isComplete(value) ? undefined : value
  }

  #isInAudience(value: SealedValue): boolean {
    const plan = this.#round.planOf(value)
    return plan !== undefined && rowOfPeer(plan, this.#session.self) !== undefined
  }

  #askParts(value: SealedValue): void {
    const { nowMs, init } = this.#session
    for (const [part, { peer, sinceMs }] of this.#asked) {
      if (nowMs - sinceMs < init.timing.wantMs && this.#session.isLive(peer)) continue
      this.#asked.delete(part)
      this.#passOver(part, peer)
    }
    const { number: round } = this.#round
    const { planId, digests } = value
    for (const part of this.#round.missing(value)) {
      if (this.#asked.size >= wantsInFlightMax) break
      if (this.#asked.has(part)) continue
      const peer = this.#holder(value, part)
      if (peer === undefined) continue
      this.#asked.set(part, { peer, sinceMs: nowMs })
      this.#session.send(peer, { kind: 'Want', round, planId, part, digest: digests[part] })
    }
  }

  /** Somebody to ask for `part`: those that voted first, then everyone else that is linked; spread over the parts. */
  #holder(value: SealedValue, part: number): string | undefined {
    const ballots = this.#round.votes.of(value.sealDigest)
    const voters = new Set(ballots.flatMap(({ voters }) => [...voters]))
    const others = this.#session.livePeers()
    const isFree = (peer: string): boolean =>
      peer !== this.#session.self && this.#session.isLive(peer) && !this.#passedOver.get(part)?.has(peer)
    const choices = [...voters].filter(isFree).sort()
    if (choices.length > 0) return choices[part % choices.length]
    const rest = others.filter(isFree)
    if (rest.length > 0) return rest[part % rest.length]
    this.#passedOver.delete(part) // everyone was asked: begin again at the next opportunity
    return undefined
  }

  #passOver(part: number, peer: string): void {
    const peers = this.#passedOver.get(part) ?? new Set<string>()
    this.#passedOver.set(part, peers)
    peers.add(peer)
  }

  /**
   * One unknown seal at a time, each of one of its voters, in turn: a seal that nobody has must not block the others.
   */
  #askSeal(unknown: readonly { sealDigest: string; peers: readonly string[] }[]): void {
    const turn = this.#askedSeals++
    const { sealDigest, peers } = unknown[turn % unknown.length]!
    const voters = peers.filter((peer) => this.#session.isLive(peer) && peer !== this.#session.self)
    const live = voters.length > 0 ? voters : this.#session.livePeers()
    const peer = live[Math.floor(turn / unknown.length) % live.length]
    if (peer !== undefined)
      this.#session.send(peer, { kind: 'WantSeal', round: this.#round.number, sealDigest })
  }
}

function contentOf({ digests, absent }: SealContent): SealContent {
  return { digests, absent }
}
