/**
 * What this peer tells one that was away while the round was decided, or that says where it stands when others have
 * gone on:
 *
 *     one row          its own vote
 *     several rows     besides, the plan and the seal as their leader signed them, and the signed votes that decided
 */

import type { Learning } from './learning.ts'
import type { Round } from './round.ts'
import type { Session } from './session.ts'
import { type Message, type PlanFrozen, planMessage, type Seal, sealMessage } from './vocabulary.ts'
import type { Voting } from './voting.ts'

export class Telling {
  readonly #round: Round
  readonly #session: Session
  readonly #voting: Voting
  readonly #learning: Learning

  constructor(round: Round, session: Session, voting: Voting, learning: Learning) {
    this.#round = round
    this.#session = session
    this.#voting = voting
    this.#learning = learning
  }

  /** This peer's vote; in a grid also the leader's words and the decision, for a peer that hears nobody else. */
  tell(peer: string): void {
    this.#voting.repeatTo(peer)
    const { grid, order, plan, seal, number: round } = this.#round
    if (grid.rowCount === 1 || !grid.isMember(this.#session.self)) return
    const words: (PlanFrozen | Seal)[] = []
    if (plan !== undefined) words.push(planMessage(round, plan))
    if (seal !== undefined) words.push(sealMessage(round, seal))
    for (const message of words) {
      const { leader: origin } = message.ballot
      const isOfGrid = message.signature !== undefined // heard before this peer knew its place, a word may be of one row
      if (isOfGrid && origin !== peer) this.#session.send(peer, { kind: 'Relay', round, origin, message })
    }
    const decision = this.#learning.decision()
    if (decision === undefined) return
    // As the word of a councillor in another row, which this peer is not the one to pass on: told as its own, `peer`
    // would.
    const origin = order.find((other) => other !== peer && !grid.areRowMates(other, this.#session.self))
    const word: Message =
      origin === undefined ? decision : { kind: 'Relay', round, origin, message: decision }
    this.#session.send(peer, word)
  }
}
