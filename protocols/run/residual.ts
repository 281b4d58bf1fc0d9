/**
 * Error feedback: what a sparse codec did not send of this peer's updates, kept for its next ones.
 *
 *     u = Δ + β·e             what the peer means to give
 *     e = u − decode(sent)    while the round goes on
 *     e = u                   afterwards, where the mean is zero or went on without this peer's part
 *
 * (Karimireddy et al. 2019, "Error feedback fixes SignSGD"; β as in SparseLoCo, Sarfi et al. 2025.) The last line is
 * ours: a mean keeps only some of the values in it, and depends on nothing but its updates, so whoever sent a value
 * that is not in the mean keeps it (docs/decisions/0005). The weighted sum of what the peers keep is then what the mean
 * left out.
 *
 * It lives in memory only and is never part of a state. It is forgotten when the peer changes over to a state that it
 * did not come to by averaging, because what it holds was meant for another place; a newcomer starts with zeros.
 */

/** β: remainders fade, or one that was never large enough to be sent would point where the model was long ago. */
export const residualDecay = 0.95

export class Residual {
  /** e, f32[parameterCount]: filled by the averaging while a round goes on. */
  readonly values: Float32Array

  constructor(parameterCount: number) {
    this.values = new Float32Array(parameterCount)
  }

  /** Turns the peer's own `update` (f32[parameterCount]) into what it means to give, in place. */
  addTo(update: Float32Array): void {
    const { values } = this
    for (let i = 0; i < values.length; i++) update[i]! += residualDecay * values[i]!
  }

  /**
   * Takes back what did not come to be applied of `given`, the peer's update with the residual in it. `omitted`: slices
   * of it that are not in the mean.
   */
  settle(
    given: Float32Array,
    average: Float32Array,
    omitted: readonly { start: number; end: number }[],
  ): void {
    const { values } = this
    for (let i = 0; i < values.length; i++) if (average[i] === 0) values[i] = given[i]!
    for (const { start, end } of omitted) values.set(given.subarray(start, end), start)
  }

  /** Forgets everything. */
  reset(): void {
    this.values.fill(0)
  }
}
