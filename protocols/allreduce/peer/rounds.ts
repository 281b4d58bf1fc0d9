/**
 * The rounds that a peer keeps records of: the one it is in or will be in next (its *place*), two committed ones before
 * it, whose ends others may have missed, and the two after it, which faster peers have begun. A peer without a place
 * keeps the same around the furthest round that two others have come to, and the newest that it hears of: who speaks of
 * rounds that are far ahead crowds out nothing.
 */

import { roundsKept } from '../../core/limits.ts'
import type { RoundBase } from '../plan/base.ts'
import type { Duties } from '../round/duties.ts'

/** The newest rounds that a peer without a state keeps: the ones that can still be committed while it looks. */
const roundsFollowed = roundsKept + 2

/**
 * Later rounds that a peer with a state keeps what it is told of: as many as others may be further on before it is
 * behind. It would have to ask for what it dropped, and rounds can be shorter than asking.
 */
const roundsAhead = roundsKept

export class Rounds {
  readonly #create: (number: number) => Duties
  /** The furthest round that two others have come to; undefined while nobody said. */
  readonly #reached: () => number | undefined
  readonly #duties = new Map<number, Duties>()
  #place: number | undefined
  /** Made anew when a record or the place changes, for it is asked for at every event. */
  #active: readonly Duties[] | undefined

  constructor(create: (number: number) => Duties, reached: () => number | undefined = () => undefined) {
    this.#create = create
    this.#reached = reached
  }

  /** The round that this peer is in, or will be in next; undefined while it has no state. */
  get place(): number | undefined {
    return this.#place
  }

  set place(number: number | undefined) {
    this.#place = number
    this.#prune()
  }

  /** The record of the peer's place, if it was begun. */
  get current(): Duties | undefined {
    return this.#place === undefined ? undefined : this.#duties.get(this.#place)
  }

  get(number: number): Duties | undefined {
    return this.#duties.get(number)
  }

  /** The record of a round, begun if the round is one that matters. */
  open(number: number): Duties | undefined {
    const known = this.#duties.get(number)
    if (known !== undefined) return known
    if (this.#place !== undefined && (number < this.#place || number > this.#place + roundsAhead))
      return undefined
    this.#duties.set(number, this.#create(number))
    this.#prune()
    return this.#duties.get(number)
  }

  /**
   * The record of the round of `base`, which matters; a new one when the old is about another state: what the others
   * said of themselves stays true, what `self` did does not.
   */
  openFor({ round: number, root }: RoundBase, self: string): Duties {
    const known = this.open(number)!
    const knownRoot = known.round.base?.root ?? known.round.committed?.root ?? root
    if (knownRoot === root) return known
    const duties = this.#create(number)
    for (const [peer, standing] of known.round.standings)
      if (peer !== self) duties.round.standings.set(peer, standing)
    duties.round.isDisowned = known.round.base !== undefined
    this.#duties.set(number, duties)
    this.#active = undefined
    return duties
  }

  /** Numbers of the rounds kept, ascending. */
  numbers(): number[] {
    return [...this.#duties.keys()].sort((a, b) => a - b)
  }

  /** The rounds whose roles may act: later ones wait until this peer has come to them. */
  active(): readonly Duties[] {
    this.#active ??= this.numbers()
      .filter((number) => this.#place === undefined || number <= this.#place)
      .map((number) => this.#duties.get(number)!)
    return this.#active
  }

  #prune(): void {
    this.#active = undefined
    const numbers = this.numbers()
    const centre = this.#place ?? this.#reached()
    const newest = this.#place === undefined ? (numbers.at(-roundsFollowed) ?? 0) : Number.POSITIVE_INFINITY
    for (const number of numbers) {
      const isNear = centre !== undefined && number >= centre - roundsKept && number <= centre + roundsAhead
      if (!isNear && number < newest) this.#duties.delete(number)
    }
  }
}
