/**
 * Optimizers over one flat array: what all peers of a run apply to the same average, and must do with the same bits.
 *
 * Why the bits agree everywhere: each operation is +, -, *, / or a square root on f32 values, each rounded to f32 by
 * `Math.fround` (or by the store to a Float32Array). ECMAScript computes them in f64, and for these five operations
 * rounding an f64 result to f32 equals one correctly rounded f32 operation (Figueroa, "When is double rounding
 * innocuous?", 1995: 53 >= 2 * 24 + 2). So a WASM or native version of a loop here gives the same bits. Functions whose
 * last bits are the engine's choice (`Math.pow`, `Math.exp`, `Math.cos`) do not occur. Scalars that are not elements
 * (norms, bias corrections) are f64, in a fixed order of operations, and rounded once.
 *
 * What this room does not own: the averages, the schedule of learning rates (schedule.ts), and optimizers inside the
 * training graph, which are local to a peer and need no agreement.
 */

export interface FlatStep {
  /** From the job's schedule; > 0. */
  learningRate: number
  /** Number of this step in the run, from 1; the bias correction of Adam depends on it. */
  stepNumber: number
}

export interface FlatOptimizer {
  /** f32 elements of the state that belongs to `parameterCount` parameters. A new run starts with zeros. */
  stateLength(parameterCount: number): number
  /**
   * One step, in place. `parameters`: f32[P]; `state`: f32[stateLength(P)]; `average`: f32[P], the gradient or the mean
   * update (start minus end), only read. All are borrowed.
   */
  step(parameters: Float32Array, state: Float32Array, average: Float32Array, step: FlatStep): void
}

/**
 * The factor by which a vector is scaled so that its Euclidean norm is at most `normMax`, or 1. f32.
 * As torch's `clip_grad_norm_`: normMax / (norm + 1e-6), at most 1. The sum runs in f64, from first to last element.
 */
export function clipFactor(vector: Float32Array, normMax: number | undefined): number {
  if (normMax === undefined) return 1
  return Math.fround(Math.min(1, normMax / (Math.sqrt(squaredNorm(vector)) + 1e-6)))
}

/**
 * Sum of the squares of `vector` in f64, in index order. Not finite exactly when an element is not (or above 1e154).
 */
export function squaredNorm(vector: Float32Array): number {
  let sum = 0
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i]!
    sum += value * value
  }
  return sum
}

/**
 * `base` to the power of `exponent`, a whole number >= 0, by repeated squaring: the same bits everywhere, unlike `**`.
 */
export function integerPower(base: number, exponent: number): number {
  let result = 1
  let square = base
  for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result *= square
    square *= square
  }
  return result
}
