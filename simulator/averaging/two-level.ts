/**
 * Our own round as an averaging method: rows and columns by the real plan, with a sketch of one number for each part.
 * Half of the peers that fail are gone before the plan is made and give nothing; the other half die within the round,
 * at an even chance of every moment. A failed peer keeps its values, which is what the error after a round consists of.
 *
 * What a peer does when it is back is told apart. Ours *fetch* the state: until they have it they give nothing, and
 * they have it when the round ends. To *keep* one's old values and give them to the next round, as the peers of the
 * other methods do, is what our protocol refuses: it is here to compare by the letter of the paper's setting.
 */

import { partCount, partitionOf } from '../../protocols/allreduce/plan/parts.ts'
import type { Random } from '../../protocols/core/random.ts'
import { type Averaging, type Method, meanOf, type Setting, varianceOf } from './method.ts'
import { peerNames, planRound } from './planned-round.ts'
import { reducePlan } from './reduce-plan.ts'

/** The vector that the sketch stands for: 10 million parameters are 153 parts, about five for each of 32 columns. */
const sketchParts = partCount(partitionOf(10_000_000))

/** Share of failures that come before the plan. */
const beforeShare = 0.5

/** Our protocol: a peer that returns fetches the state. */
export const twoLevel: Method = {
  name: 'Starling',
  start: (setting, random) => new TwoLevel(setting, random, 'fetch'),
}

/** The same round among peers that return with their old values. */
export const twoLevelKeeping: Method = {
  name: 'Starling, keeping',
  start: (setting, random) => new TwoLevel(setting, random, 'keep'),
}

class TwoLevel implements Averaging {
  readonly #setting: Setting
  readonly #random: Random
  readonly #electorate: readonly string[]
  readonly #values: Float64Array
  readonly #returning: 'fetch' | 'keep'
  /** By seat: 1 for a peer that failed and has not got the state since. */
  readonly #isStale: Uint8Array
  /** By part: the mean of all values at the start. */
  readonly #startMean: Float64Array
  readonly #scratch: Float64Array
  #round = 0
  #vectors = 0

  constructor(setting: Setting, random: Random, returning: 'fetch' | 'keep') {
    this.#setting = setting
    this.#random = random
    this.#returning = returning
    this.#electorate = peerNames(setting.peers)
    this.#isStale = new Uint8Array(setting.peers)
    this.#scratch = new Float64Array(setting.peers)
    this.#values = Float64Array.from({ length: setting.peers * sketchParts }, () => random.normal())
    this.#startMean = Float64Array.from({ length: sketchParts }, (_, part) => meanOf(this.#column(part)))
  }

  advance(): void {
    const moments = this.#moments()
    const isGuest = (seat: number): boolean => this.#returning === 'fetch' && this.#isStale[seat] === 1
    const lives = (seat: number): boolean => moments[seat] === Number.POSITIVE_INFINITY
    if (!moments.some((_, seat) => lives(seat) && !isGuest(seat))) return
    const plan = planRound({
      round: this.#round,
      root: `state ${this.#round++}`,
      electorate: this.#electorate,
      isHere: (seat) => moments[seat]! > 0 && !isGuest(seat),
      isGuest: (seat) => moments[seat]! > 0 && isGuest(seat),
      partCount: sketchParts,
    })
    const { mean, partsSent } = reducePlan(plan, this.#values, moments)
    for (let seat = 0; seat < moments.length; seat++) {
      if (lives(seat)) this.#values.set(mean, seat * sketchParts)
      this.#isStale[seat] = Number(!lives(seat))
    }
    this.#vectors += partsSent.reduce((sum, parts) => sum + parts, 0) / sketchParts / moments.length
  }

  /** The mean over the parts. */
  variance(): number {
    return this.#overParts((column) => varianceOf(column))
  }

  /** The mean over the parts. */
  drift(): number {
    return this.#overParts((column, part) => (meanOf(column) - this.#startMean[part]!) ** 2)
  }

  vectorsSent(): number {
    return this.#vectors
  }

  #overParts(measure: (column: Float64Array, part: number) => number): number {
    let sum = 0
    for (let part = 0; part < sketchParts; part++) sum += measure(this.#column(part), part)
    return sum / sketchParts
  }

  /** All peers' values of `part`, until the next call. */
  #column(part: number): Float64Array {
    const column = this.#scratch
    for (let seat = 0; seat < column.length; seat++) column[seat] = this.#values[seat * sketchParts + part]!
    return column
  }

  #moments(): Float64Array {
    const { peers, failures } = this.#setting
    return Float64Array.from({ length: peers }, () => {
      if (this.#random.next() >= failures) return Number.POSITIVE_INFINITY
      return this.#random.next() < beforeShare ? 0 : this.#random.next()
    })
  }
}
