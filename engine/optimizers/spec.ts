/**
 * The optimizers by name, with their numbers. Where a number has no field, it is the one that the optimizer's paper and
 * PyTorch agree on, and stands in the file that computes it.
 *
 * `gradClip`, of every kind: largest Euclidean norm of the whole gradient; none by default.
 */

export type OptimizerSpec = { gradClip?: number } & (
  | SgdOptions
  | AdamWOptions
  | AdafactorOptions
  | LionOptions
  | MuonOptions
)

export interface SgdOptions {
  kind: 'sgd'
  /** μ, in [0, 1). */
  momentum: number
  /** Steps along g + μ·m instead of m (Nesterov's accelerated gradient, as torch.optim.SGD has it). Default: false. */
  nesterov?: boolean
  /** λ, of every parameter; >= 0. */
  weightDecay: number
}

export interface AdamWOptions {
  kind: 'adamw'
  /** Decay of the mean of gradients, in [0, 1). */
  beta1: number
  /** Decay of the mean of squared gradients, in [0, 1). */
  beta2: number
  /** ε > 0, added to the denominator. */
  epsilon: number
  /** λ >= 0, of parameters of two or more dimensions. */
  weightDecay: number
}

export interface AdafactorOptions {
  kind: 'adafactor'
  /** λ >= 0, of parameters of two or more dimensions. */
  weightDecay: number
}

export interface LionOptions {
  kind: 'lion'
  /** Share of the mean in the step's direction, in [0, 1). */
  beta1: number
  /** Decay of the mean of gradients, in [0, 1). */
  beta2: number
  /** λ >= 0, of parameters of two or more dimensions. */
  weightDecay: number
}

export interface MuonOptions {
  kind: 'muon'
  /** μ of the matrices, in [0, 1). */
  momentum: number
  /** λ >= 0, of parameters of two or more dimensions. */
  weightDecay: number
  /** Of AdamW, which steps whatever is no matrix. */
  beta1: number
  beta2: number
  epsilon: number
}
