/**
 * What this peer says of itself in a round, and to whom: that it holds the state (to everyone it is linked with), what
 * it gives (to its row), and whether its vote counts.
 *
 *     state is here ──▶ Hold ──update, or none to come──▶ Commit
 *
 * A member votes when it remembers all that it promised: in the life that the plan before named, and in any that
 * recalls what that one pledged (`pledges.ts`). Who learns that a plan named it late, because it fetched the state,
 * says it then.
 */

import type { RoundBase } from '../plan/base.ts'
import type { Reach } from '../plan/plan.ts'
import type { Pledges } from '../round/pledges.ts'
import type { Round, Standing } from '../round/round.ts'
import type { Session } from '../round/session.ts'
import type { Commit, Hold } from '../round/vocabulary.ts'
import type { Rounds } from './rounds.ts'

/** What a peer gives to a round; weight 0 and no digests: nothing. */
export type Gift = Pick<Commit, 'weight' | 'pace' | 'digests'>

export class Presence {
  readonly #session: Session
  readonly #rounds: Rounds
  readonly #pledges: Pledges
  /** What this peer says of its own link from now on. */
  reach: Reach = { bandwidth: undefined, place: undefined }

  constructor(session: Session, rounds: Rounds, pledges: Pledges) {
    this.#session = session
    this.#rounds = rounds
    this.#pledges = pledges
  }

  /** This peer holds the state of `base`, which `round` is about: all are told. */
  begin(round: Round, base: RoundBase): void {
    const { self, init } = this.#session
    const isRemembering = this.#pledges.covers(base) && base.electorate.includes(self)
    const isVoter = (isRemembering || this.isVoterIn(base, self, init.incarnation)) && !round.isDisowned
    round.begin(base, this.#session.nowMs, isVoter)
    if (!this.#pledges.hasBegun) this.#session.pledge(round)
    this.#session.broadcast({ kind: 'Hold', ...this.#self(round, base.root), ...this.reach })
  }

  /** What a peer gives concerns its row; all others were told that it holds the state. */
  commit(round: Round, gift: Gift): void {
    const commit: Commit = {
      kind: 'Commit',
      ...this.#self(round, round.base!.root),
      ...this.reach,
      ...gift,
    }
    for (const peer of this.#session.linkedPeers())
      if (this.#isOfRow(round, peer)) this.#session.send(peer, commit)
    this.#session.send(this.#session.self, commit)
  }

  /**
   * This peer fetched the state of round `number`, and learns only now that it was made a member of it in this life.
   */
  reconsiderVote(number: number): void {
    const round = this.#rounds.get(number)?.round
    if (round?.base === undefined || round.isVoter || round.isDisowned) return
    if (!this.isVoterIn(round.base, this.#session.self, this.#session.init.incarnation)) return
    round.isVoter = true
    if (!this.#pledges.hasBegun) this.#session.pledge(round)
    this.repeat(number)
  }

  /** Says again what this peer said about itself in a round: of one that followed meanwhile it counts no more. */
  repeat(number: number): void {
    for (const peer of [...this.#session.linkedPeers(), this.#session.self]) {
      const standing = this.standing(number, peer)
      if (standing !== undefined) this.#session.send(peer, standing)
    }
  }

  /** What this peer said about itself in a round: its commit to its row, to others that it holds the state. */
  standing(number: number, to: string): Hold | Commit | undefined {
    const round = this.#rounds.get(number)?.round
    const commit = round?.standings.get(this.#session.self)?.commit
    if (round === undefined || commit === undefined || !this.#isOfRow(round, to)) return this.holding(number)
    return { ...commit.message, isVoter: round.isVoter }
  }

  /** That this peer holds the state of a round; undefined when it does not. */
  holding(number: number): Hold | undefined {
    const round = this.#rounds.get(number)?.round
    const own = round?.standings.get(this.#session.self)
    if (round === undefined || own === undefined) return undefined
    const { root, bandwidth, place } = own
    return { kind: 'Hold', ...this.#self(round, root), bandwidth, place }
  }

  /** True when the plan of the round before `base`, which must be here, made life `incarnation` of `peer` a member. */
  isVoterIn({ round, electorate }: RoundBase, peer: string, incarnation: number): boolean {
    if (electorate.length === 0 || round === this.#session.init.firstRound) return true
    const before = this.#rounds.get(round - 1)?.round
    const { committed } = before ?? {}
    if (committed === undefined || committed.electorate.join() !== electorate.join()) return false
    const standing = before!.standings.get(peer)
    const commit = standing?.incarnation === incarnation ? standing.commit?.digest : undefined
    const { contributors, receivers } = before!.plans.get(committed.planId)!
    return (
      contributors.some((contributor) => contributor.peer === peer && contributor.commit === commit) ||
      receivers.some((receiver) => receiver.peer === peer && receiver.incarnation === incarnation)
    )
  }

  /**
   * Life `incarnation` of `member` is one that votes: one that restarted with its memory says so itself, any other is
   * in the plan before.
   */
  isMembersLife(
    base: RoundBase,
    standing: Standing | undefined,
    member: string,
    incarnation: number,
  ): boolean {
    const isOwnWord = standing?.incarnation === incarnation && standing.isVoter
    return isOwnWord || this.isVoterIn(base, member, incarnation)
  }

  #self(round: Round, root: string): Pick<Hold, 'round' | 'root' | 'incarnation' | 'isVoter'> {
    return {
      round: round.number,
      root,
      incarnation: this.#session.init.incarnation,
      isVoter: round.isVoter,
    }
  }

  /**
   * What this peer gives concerns `peer`: they are of one row, or this one is a guest, whose links are all with one
   * row.
   */
  #isOfRow({ grid }: Round, peer: string): boolean {
    const { self } = this.#session
    return grid.rowCount === 1 || !grid.isMember(self) || peer === self || grid.areRowMates(self, peer)
  }
}
