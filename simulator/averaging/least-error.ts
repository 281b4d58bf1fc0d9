/**
 * What no averaging method can be better than in the experiments' setting, where a peer that fails hears nobody in that
 * round: who has failed in every round so far holds its own value, of variance 1, whatever all others do.
 *
 *     t rounds, each missed with probability p:   p^t of all peers        the mean error, over many draws
 *                                                 (1 − p^t)^N             the share of draws in which there is no such peer
 *
 * A peer may hold something else than its value, such as the mean that it expects; in an average over values of which
 * nothing is known there is no such thing.
 */

import type { Setting } from './method.ts'

export interface LeastError {
  /** The mean over draws, in (0, 1). */
  mean: number
  /** Share of the draws in which it is 0, in [0, 1]. */
  noneShare: number
}

/** The bound after `rounds` rounds, >= 1. */
export function leastError({ peers, failures }: Setting, rounds: number): LeastError {
  const mean = failures ** rounds
  return { mean, noneShare: (1 - mean) ** peers }
}
