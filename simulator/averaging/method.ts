/**
 * What an averaging method is to the experiments: something that holds a value for every peer and mixes them, round
 * after round, while each peer is out of a round with a fixed probability. A peer that is out keeps its value and is
 * back in the next round, as in the experiments of the Moshpit paper (arXiv 2103.03239).
 */

import type { Random } from '../../protocols/core/random.ts'

export interface Setting {
  /** >= 2. */
  peers: number
  /** Probability that a peer is out of a round, in [0, 1). */
  failures: number
}

/** One swarm under one method. */
export interface Averaging {
  /** One round (of a baseline: one iteration), with its failures. */
  advance(): void
  /**
   * Mean over all peers, those that failed too, of the squared distance to their mean; the values start with
   * variance 1.
   */
  variance(): number
  /** Squared distance of their mean to the mean at the start: what a method that leaves something out pays. */
  drift(): number
  /** Bytes that a peer has sent so far, in vectors: the mean over all peers. */
  vectorsSent(): number
}

export interface Method {
  name: string
  /** A swarm of peers with values drawn from a standard normal. */
  start(setting: Setting, random: Random): Averaging
}

export function meanOf(values: Float64Array): number {
  let sum = 0
  for (const value of values) sum += value
  return sum / values.length
}

/** Mean squared distance of `values` to their mean. */
export function varianceOf(values: Float64Array): number {
  const mean = meanOf(values)
  let sum = 0
  for (const value of values) sum += (value - mean) ** 2
  return sum / values.length
}
