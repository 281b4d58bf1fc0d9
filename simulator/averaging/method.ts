/**
 * What an averaging method is to the experiments: something that holds a value for every peer and mixes them, round after
 * round, while each peer is out of a round with a fixed probability. A peer that is out keeps its value and is back in the
 * next round, as in the experiments of the Moshpit paper (arXiv 2103.03239). Real peers that return fetch the state
 * instead, so they do not carry a stale value into it.
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
  /** Mean over all peers, those that failed too, of the squared distance to their mean; the values start with variance 1. */
  variance(): number
  /** Bytes that a peer has sent so far, in vectors: the mean over all peers. */
  vectorsSent(): number
}

export interface Method {
  name: string
  /** A swarm of peers with values drawn from a standard normal. */
  start(setting: Setting, random: Random): Averaging
}

/** Mean squared distance of `values` to their mean. */
export function varianceOf(values: Float64Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length
}
