/**
 * Words that others pass on, in one round: which of them this peer believes, and to whom it passes them on
 * (`passing.ts` says along which way).
 *
 *     over its speaker's link   the link tells who speaks; but where there are several rows it must be signed, for others will not have the link
 *     by way of another         it counts when its speaker signed it, whoever passed it on
 *     Votes                     prove themselves: each vote in it is signed
 *
 * A relay that passes on what nobody signed is named, and after `forgedWordsMax` of it not listened to for the rest of
 * the round. Nothing is passed on before its signature was looked at, so an honest peer is never taken for a forger.
 * What a word means, and whether its speaker may say it, is the business of the roles.
 */

import { forgedWordsMax, heldForPassingMax } from '../../core/limits.ts'
import { compareBallots } from '../plan/electorate.ts'
import { passOnTo } from './passing.ts'
import type { Round } from './round.ts'
import type { Session } from './session.ts'
import {
  type Accepted,
  isRelayed,
  type Relayed,
  type RoundMessage,
  type Votes,
  type Word,
} from './vocabulary.ts'

interface Passing {
  origin: string
  from: string
  message: Relayed
}

export class Relaying {
  readonly #round: Round
  readonly #session: Session
  /** Words that came before this peer knew the grid along which to pass them on. */
  #unpassed: Passing[] = []
  /** Relay → how often it passed on what its speaker did not sign. */
  readonly #forged = new Map<string, number>()

  constructor(round: Round, session: Session) {
    this.#round = round
    this.#session = session
  }

  /** What `from` says over its own link. Returns why it is refused, if it is. */
  heard(from: string, message: RoundMessage): string | undefined {
    if (from === this.#session.self || !(isRelayed(message) || message.kind === 'Accepted')) return undefined
    const isSigned = message.kind === 'Votes' || message.signature !== undefined
    const { base, grid } = this.#round
    const doubt =
      grid.rowCount > 1 || message.kind === 'Votes' || (base === undefined && isSigned)
        ? this.#doubt(from, from, message)
        : undefined
    if (doubt === undefined && isSigned && message.kind !== 'Accepted')
      this.#pass({ origin: from, from, message })
    return doubt
  }

  /** What `origin` said, by way of `from`. Returns why it is refused, if it is. */
  passedOn(from: string, origin: string, message: Relayed): string | undefined {
    const { base, grid, number } = this.#round
    const isOfGrid = grid.rowCount > 1 && grid.isMember(from) && grid.isMember(origin)
    if (base !== undefined && !isOfGrid) return 'a word passed on outside of a grid'
    if (message.round !== number) return 'a word about another round'
    const doubt = this.#doubt(from, origin, message)
    if (doubt === undefined) this.#pass({ origin, from, message })
    return doubt
  }

  /** Passes on what came before this peer held the round's state. */
  passHeld(): void {
    if (this.#round.base === undefined) return
    for (const word of this.#unpassed.splice(0)) this.#pass(word)
  }

  /** Why what `speaker` is to have said is not believed, having come from `from`. */
  #doubt(from: string, speaker: string, message: Relayed | Accepted): string | undefined {
    const count = this.#forged.get(from) ?? 0
    if (count >= forgedWordsMax) return `its ${count} forged words were enough for this round`
    const stranger = message.kind === 'Votes' ? this.#strangerIn(message) : undefined
    if (stranger !== undefined) return `a vote of ${stranger}, who does not decide here`
    const silent = message.kind === 'Votes' ? this.#silentIn(message) : this.#silent(speaker, message)
    if (silent === undefined) return undefined
    this.#forged.set(from, count + 1)
    return `${silent} did not sign it`
  }

  /** A voter who is not of the council. With one row nobody tells the votes of others. */
  #strangerIn({ votes }: Votes): string | undefined {
    const { base, grid, order } = this.#round
    if (base === undefined) return undefined
    return votes.find(({ voter }) => grid.rowCount === 1 || !order.includes(voter))?.voter
  }

  /** A voter who did not sign its vote. Each vote is looked at once, by whatever way it came first. */
  #silentIn({ round, ballot, sealDigest, votes }: Votes): string | undefined {
    const ballots = this.#round.votes.of(sealDigest)
    const known = ballots.find((votes) => compareBallots(votes.ballot, ballot) === 0)?.signatures
    return votes.find(({ voter, signature }) => {
      const vote: Accepted = { kind: 'Accepted', round, ballot, sealDigest, signature }
      return !isSame(known?.get(voter), signature) && this.#silent(voter, vote) !== undefined
    })?.voter
  }

  /** `speaker`, if it did not sign `word`. */
  #silent(speaker: string, word: Word): string | undefined {
    return this.#session.isGenuine(speaker, word) ? undefined : speaker
  }

  #pass(word: Passing): void {
    if (this.#round.base === undefined) {
      if (this.#unpassed.length < heldForPassingMax) this.#unpassed.push(word)
      return
    }
    const { origin, message } = word
    for (const peer of passOnTo(this.#round.grid, this.#session, word))
      if (peer !== origin)
        this.#session.send(peer, { kind: 'Relay', round: this.#round.number, origin, message })
  }
}

function isSame(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && a.length === b.length && a.every((byte, index) => byte === b[index])
}
