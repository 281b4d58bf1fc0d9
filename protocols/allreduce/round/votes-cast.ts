/**
 * The votes of one round, as this peer heard them: who accepted which seal in which ballot. They are counted before the
 * seal is known, so anybody can name seals that there are not: of each voter only its newest ballots are kept, and one
 * that makes some up crowds out its own votes, and no other's.
 */

import { type Ballot, ballotKey, compareBallots } from '../plan/electorate.ts'
import type { Accepted } from './vocabulary.ts'

/**
 * Votes of one voter, those of the highest ballots. What a quorum accepted once, every later ballot proposes again, so
 * the newest would do; the others are for a quorum whose last voices are still on their way.
 */
const votesOfVoterMax = 4

/** Who accepted a seal in one ballot. */
export interface BallotVotes {
  ballot: Ballot
  voters: Set<string>
  /** Voter → its signature under `Accepted`. Where there is one row, nobody signs. */
  signatures: Map<string, Uint8Array>
}

type Vote = Pick<Accepted, 'ballot' | 'sealDigest'>

export class VotesCast {
  /** Seal digest → ballot → votes. */
  readonly #seals = new Map<string, Map<string, BallotVotes>>()
  /** Voter → its votes, the lowest ballot first. */
  readonly #byVoter = new Map<string, Vote[]>()

  /** Different seals that were voted for. */
  get sealCount(): number {
    return this.#seals.size
  }

  /** True when a vote for the seal is here. */
  has(sealDigest: string): boolean {
    return this.#seals.has(sealDigest)
  }

  /** The ballots in which the seal was accepted, with their voters. */
  of(sealDigest: string): BallotVotes[] {
    return [...(this.#seals.get(sealDigest)?.values() ?? [])]
  }

  /** Every seal that was voted for, by digest. */
  seals(): string[] {
    return [...this.#seals.keys()]
  }

  /** Counts a vote; false when it was counted before, or `voter` has as many in higher ballots. */
  cast(voter: string, { ballot, sealDigest, signature }: Accepted): boolean {
    const known = this.#seals.get(sealDigest)?.get(ballotKey(ballot))
    if (known?.voters.has(voter)) {
      if (signature !== undefined) known.signatures.set(voter, signature)
      return false
    }
    const votes = [...(this.#byVoter.get(voter) ?? []), { ballot, sealDigest }]
    votes.sort((a, b) => compareBallots(a.ballot, b.ballot))
    const dropped = votes.length > votesOfVoterMax ? votes.shift() : undefined
    if (dropped?.ballot === ballot) return false
    if (dropped !== undefined) this.#withdraw(voter, dropped)
    this.#byVoter.set(voter, votes)
    const ballots = this.#seals.get(sealDigest) ?? new Map<string, BallotVotes>()
    this.#seals.set(sealDigest, ballots)
    const entry = known ?? { ballot, voters: new Set(), signatures: new Map() }
    ballots.set(ballotKey(ballot), entry)
    entry.voters.add(voter)
    if (signature !== undefined) entry.signatures.set(voter, signature)
    return true
  }

  /** Forgets the votes of all but `voters`. */
  keepOnly(voters: readonly string[]): void {
    for (const [voter, votes] of this.#byVoter) {
      if (voters.includes(voter)) continue
      this.#byVoter.delete(voter)
      for (const vote of votes) this.#withdraw(voter, vote)
    }
  }

  #withdraw(voter: string, { ballot, sealDigest }: Vote): void {
    const ballots = this.#seals.get(sealDigest)!
    const { voters, signatures } = ballots.get(ballotKey(ballot))!
    voters.delete(voter)
    signatures.delete(voter)
    if (voters.size === 0) ballots.delete(ballotKey(ballot))
    if (ballots.size === 0) this.#seals.delete(sealDigest)
  }
}
