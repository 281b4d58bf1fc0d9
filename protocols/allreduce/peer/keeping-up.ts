/**
 * Whether this peer keeps up with the others, by what they say of where they stand (`positions.ts` judges it):
 *
 *     a mate is further on, with several rows     → it is told where this peer stands, and tells what that one missed
 *     this peer cannot follow by itself           → Behind: its run must fetch a state
 *     everybody is further on than an old round   → that round's results are let go
 *
 * A peer is judged only while it waits in a round whose state it holds: while it fetches, it is behind anyway.
 */

import type { RoundBase } from '../plan/base.ts'
import type { CommittedRound } from '../round/events.ts'
import { isDecidableWithout } from '../round/freeze.ts'
import type { Session } from '../round/session.ts'
import type { RoundMessage } from '../round/vocabulary.ts'
import type { Place, Positions } from './positions.ts'
import type { Presence } from './presence.ts'
import type { Rounds } from './rounds.ts'

export class KeepingUp {
  readonly #session: Session
  readonly #rounds: Rounds
  readonly #positions: Positions
  readonly #presence: Presence
  /** The run holds the state of its place, so it is told when it falls behind. */
  isWaiting = false

  constructor(session: Session, rounds: Rounds, positions: Positions, presence: Presence) {
    this.#session = session
    this.#rounds = rounds
    this.#positions = positions
    this.#presence = presence
  }

  /** What `from` says of where it stands. */
  note(from: string, message: RoundMessage): void {
    if (message.kind !== 'Hold' && message.kind !== 'Commit') return
    if (from === this.#session.self) {
      this.#positions.forget(from) // it holds a state, so it follows no more
      return
    }
    this.#positions.note(from, message)
    this.releaseResults()
  }

  /**
   * Once all that a committed round concerned vote on a later one, nobody asks for its bytes. In a grid nobody knows.
   */
  releaseResults(): void {
    const current = this.#rounds.current?.round
    if (current?.base === undefined || !current.isVoter || current.grid.rowCount > 1) return
    for (const { round } of this.#rounds.active()) {
      if (round.committed === undefined || round.isReleased) continue
      const others = othersIn(round.committed, this.#session.self)
      if (this.#positions.areAllBeyond(round.number, others)) round.release()
    }
  }

  /** Looks whether the peer is behind, or has somebody to ask. */
  judge(): void {
    const base = this.#waitingBase()
    if (base === undefined) return
    const { nowMs, init } = this.#session
    const ahead = this.#positions.judge(this.#placeOf(base), nowMs, init.timing.behindMs)
    if (ahead !== undefined) this.#becomeBehind(ahead)
    else this.#askAhead(base)
  }

  /** When `judge` can come to another answer although nobody moved. */
  dueMs(): number {
    const base = this.#waitingBase()
    if (base === undefined) return Number.POSITIVE_INFINITY
    return this.#positions.dueMs(this.#progressAtMs(base), this.#session.init.timing)
  }

  /** The run asks for a round that this peer has left behind: it may still know the outcome. */
  answerLate(base: RoundBase): void {
    const round = this.#rounds.get(base.round)?.round
    if (round?.committed?.root === base.root && !round.isReleased) {
      this.#session.emit({ kind: 'Committed', outcome: round.committed })
      return
    }
    const { nowMs } = this.#session
    const place = { base, progressAtMs: nowMs, isGrid: false, isDecidable: () => false }
    const ahead = this.#positions.judge(place, nowMs, 0)
    this.#becomeBehind(ahead ?? { round: base.round, root: base.root, peers: [] })
  }

  #becomeBehind(ahead: { round: number; root: string; peers: string[] }): void {
    this.#rounds.place = undefined
    this.isWaiting = false
    this.#session.emit({ kind: 'Behind', ...ahead })
  }

  /**
   * In a grid a decision can pass a peer by: a mate that is in a later round knows it, and tells whoever says where it
   * stands.
   */
  #askAhead(base: RoundBase): void {
    if (this.#rounds.current!.round.grid.rowCount === 1) return
    const { nowMs, init } = this.#session
    const peer = this.#positions.nextToAsk(base, nowMs, init.timing.wantMs)
    const standing = peer === undefined ? undefined : this.#presence.holding(base.round)
    if (standing !== undefined) this.#session.send(peer!, standing)
  }

  /** The base of the round that this peer waits in. */
  #waitingBase(): RoundBase | undefined {
    return this.isWaiting ? this.#rounds.current?.round.base : undefined
  }

  #placeOf(base: RoundBase): Place {
    const { round } = this.#rounds.get(base.round)!
    const { progressAtMs, grid } = round
    const isDecidable = (isAhead: (peer: string) => boolean): boolean =>
      isDecidableWithout(round, this.#session, isAhead)
    return { base, progressAtMs, isGrid: grid.rowCount > 1, isDecidable }
  }

  #progressAtMs({ round }: RoundBase): number {
    return this.#rounds.get(round)!.round.progressAtMs
  }
}

/** The peers that a round gave something to do or to have, without `self`. */
function othersIn({ plan, electorate }: CommittedRound, self: string): Set<string> {
  const { contributors, receivers, followers } = plan
  const others = new Set([
    ...electorate,
    ...[...contributors, ...receivers, ...followers].map(({ peer }) => peer),
  ])
  others.delete(self)
  return others
}
