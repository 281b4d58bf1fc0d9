/**
 * Our own round as an averaging method: rows and columns by the real plan, with a sketch of one number for each part.
 * Half of the peers that fail are gone before the plan is made and give nothing; the other half die within the round, at an
 * even chance of every moment. A failed peer keeps its values, which is what the error after a round consists of.
 */

import { partCount, partitionOf } from '../../protocols/allreduce/parts.ts'
import type { Random } from '../../protocols/core/random.ts'
import { type Averaging, type Method, type Setting, varianceOf } from './method.ts'
import { peerNames, planRound } from './planned-round.ts'
import { reducePlan } from './reduce-plan.ts'

/** The vector that the sketch stands for: 10 million parameters are 153 parts, about five for each of 32 columns. */
export const sketchParts = partCount(partitionOf(10_000_000))

/** Share of failures that come before the plan. */
const beforeShare = 0.5

export const twoLevel: Method = {
  name: 'Starling',
  start: (setting, random) => new TwoLevel(setting, random),
}

class TwoLevel implements Averaging {
  readonly #setting: Setting
  readonly #random: Random
  readonly #electorate: readonly string[]
  readonly #values: Float64Array
  #round = 0
  #vectors = 0

  constructor(setting: Setting, random: Random) {
    this.#setting = setting
    this.#random = random
    this.#electorate = peerNames(setting.peers)
    this.#values = Float64Array.from({ length: setting.peers * sketchParts }, () => random.normal())
  }

  advance(): void {
    const moments = this.#moments()
    if (!moments.some((moment) => moment === Number.POSITIVE_INFINITY)) return
    const plan = planRound({
      round: this.#round,
      root: `state ${this.#round++}`,
      electorate: this.#electorate,
      isHere: (seat) => moments[seat]! > 0,
      partCount: sketchParts,
    })
    const { mean, partsSent } = reducePlan(plan, this.#values, moments)
    for (let seat = 0; seat < moments.length; seat++)
      if (moments[seat] === Number.POSITIVE_INFINITY) this.#values.set(mean, seat * sketchParts)
    this.#vectors += partsSent.reduce((sum, parts) => sum + parts, 0) / sketchParts / moments.length
  }

  /** The mean over the parts. */
  variance(): number {
    const { peers } = this.#setting
    const column = new Float64Array(peers)
    let sum = 0
    for (let part = 0; part < sketchParts; part++) {
      for (let seat = 0; seat < peers; seat++) column[seat] = this.#values[seat * sketchParts + part]!
      sum += varianceOf(column)
    }
    return sum / sketchParts
  }

  vectorsSent(): number {
    return this.#vectors
  }

  #moments(): Float64Array {
    const { peers, failures } = this.#setting
    return Float64Array.from({ length: peers }, () => {
      if (this.#random.next() >= failures) return Number.POSITIVE_INFINITY
      return this.#random.next() < beforeShare ? 0 : this.#random.next()
    })
  }
}
