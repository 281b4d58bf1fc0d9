/**
 * A peer as learner of the round's one decision (single-decree Paxos, Lamport 2001).
 *
 *     Accepted     a quorum for one ballot and seal       → the seal is decided; with its plan and bytes here it is committed
 *     Votes        the same, signed by each of a quorum   for those that hear no voter themselves
 *
 * Votes are counted as they come, also of seals whose content is not known here: `fetching.ts` asks for that. What a
 * decided seal means is a pure function of it, the same on every peer.
 */

import { hasBit } from '../plan/parts.ts'
import type { Plan } from '../plan/plan.ts'
import { directoryOf } from '../plan/plan-directory.ts'
import { nextElectorate } from '../plan/seating.ts'
import type { CommittedPart, CommittedRound } from './events.ts'
import type { Round, SealedValue } from './round.ts'
import type { Role, Session } from './session.ts'
import type { Accepted, Vote, Votes } from './vocabulary.ts'

/**
 * Different seals that peers without a link here may name in one round while nobody knows who decides it: every attempt
 * adds at most one, and the rest is a flood. Others have their own share (`votes-cast.ts`).
 */
const strangeSealsMax = 64

/**
 * Councillors that tell a decision to all of a grid: if the first dies with it untold, the others have told it. A peer
 * that heard none of them asks the first mate that is ahead of it.
 */
const announcers = 3

export class Learning implements Role {
  readonly #round: Round
  readonly #session: Session

  constructor(round: Round, session: Session) {
    this.#round = round
    this.#session = session
  }

  advance(): void {
    const round = this.#round
    if (round.committed !== undefined) return
    for (const sealDigest of round.votes.seals()) {
      const value = round.values.get(sealDigest)
      const plan = value && round.planOf(value)
      // A vote of another branch's electorate decides nothing about this peer's state.
      if (plan === undefined || (round.base !== undefined && !round.isOfBase(plan))) continue
      const { peersMin } = this.#session.init
      if (!round.votes.of(sealDigest).some(({ voters }) => round.isDecidedBy(plan, voters, peersMin)))
        continue
      round.decided = value
      if (round.isComplete(value!)) this.#commit(value!, plan)
      return
    }
  }

  dueMs(): number {
    return Number.POSITIVE_INFINITY
  }

  /** Somebody's vote. Returns why it is refused, if it is. */
  accepted(from: string, message: Accepted): string | undefined {
    const round = this.#round
    const { votes, order } = round
    if (order.length > 0 && !order.includes(from)) return 'a vote from outside the council'
    const isStrange = round.base === undefined && !this.#session.isLinked(from)
    if (isStrange && !votes.has(message.sealDigest) && votes.sealCount >= strangeSealsMax)
      return 'too many seals in one round'
    const isNew = votes.cast(from, message)
    // a vote for what nobody knows must not excuse a leader that does nothing
    if (isNew && round.values.has(message.sealDigest)) round.progressAtMs = this.#session.nowMs
    return undefined
  }

  /**
   * Votes that this peer has no link to hear, signed by those that gave them. Returns why they are refused, if they
   * are.
   */
  votes({ round, ballot, sealDigest, votes }: Votes): string | undefined {
    for (const { voter, signature } of votes) {
      const fault = this.accepted(voter, { kind: 'Accepted', round, ballot, sealDigest, signature })
      if (fault !== undefined) return fault
    }
    return undefined
  }

  /** The signed votes that decided the round, no more than it takes; undefined before, and where there is one row. */
  decision(): Votes | undefined {
    const { committed, votes, number: round } = this.#round
    if (committed === undefined) return undefined
    const { sealDigest, plan } = committed
    for (const { ballot, signatures } of votes.of(sealDigest)) {
      const proof: Vote[] = []
      for (const voter of directoryOf(plan).leaders) {
        const signature = signatures.get(voter)
        if (signature !== undefined) proof.push({ voter, signature })
        const voters = new Set(proof.map((vote) => vote.voter))
        if (this.#round.isDecidedBy(plan, voters, this.#session.init.peersMin))
          return { kind: 'Votes', round, ballot, sealDigest, votes: proof }
      }
    }
    return undefined
  }

  /** Seals that somebody accepted and this peer does not know the content of, with who accepted them. */
  unknownSeals(): { sealDigest: string; peers: string[] }[] {
    const { votes, values, plans } = this.#round
    return votes
      .seals()
      .filter((sealDigest) => !plans.has(values.get(sealDigest)?.planId ?? ''))
      .map((sealDigest) => ({ sealDigest, peers: votes.of(sealDigest).flatMap(({ voters }) => [...voters]) }))
  }

  #commit(value: SealedValue, plan: Plan): void {
    const outcome = outcomeOf(this.#round, value, plan)
    this.#round.committed = outcome
    this.#session.emit({ kind: 'Committed', outcome })
    this.#announce()
  }

  /** In a grid the first councillors that are here tell the others. */
  #announce(): void {
    const { grid, order } = this.#round
    if (grid.rowCount === 1) return
    const here = order.filter((peer) => this.#session.isLive(peer))
    if (here.slice(0, announcers).includes(this.#session.self)) this.#session.broadcast(this.decision()!)
  }
}

/** What a decided seal means: a pure function of the seal and the results it names. */
function outcomeOf(round: Round, value: SealedValue, plan: Plan): CommittedRound {
  const { planId, digests, sealDigest } = value
  const parts: CommittedPart[] = digests.map((digest, part) => {
    const { bytes, bitmap, weight } = round.results.get(planId, part, digest)!.message
    return { bytes, bitmap, weight }
  })
  const complete = plan.contributors.filter((_, index) => parts.every(({ bitmap }) => hasBit(bitmap, index)))
  return {
    round: round.number,
    root: plan.root,
    planId,
    sealDigest,
    plan,
    parts,
    electorate: nextElectorate(plan, value.absent),
    complete,
    totalWeight: complete.reduce((sum, { weight }) => sum + weight, 0),
  }
}
