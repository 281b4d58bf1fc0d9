/**
 * AdamW over a flat array, for jobs that average gradients (Loshchilov & Hutter 2019, as torch.optim.AdamW computes
 * it):
 *   φ ← φ·(1 - η·λ)                             only tensors with two or more dimensions (nanoGPT's rule)
 *   m ← β1·m + (1 - β1)·g ;  v ← β2·v + (1 - β2)·g²
 *   φ ← φ - (η / (1 - β1^t)) · m / (√v / √(1 - β2^t) + ε)
 * State: m, then v.
 */
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import { clipFactor, type FlatOptimizer, type FlatStep, integerPower } from './flat.ts'
import type { AdamWOptions } from './spec.ts'

/** `specs`: the model's parameters, which tell where in the flat array decay applies. */
export function flatAdamW(
  options: AdamWOptions & { gradClip?: number },
  specs: readonly ParameterSpec[],
): FlatOptimizer {
  return {
    stateLength: (parameterCount) => 2 * parameterCount,
    step(parameters, state, average, step) {
      const rates = ratesOf(options, step, clipFactor(average, options.gradClip))
      for (const { offset, length, shape } of specs) {
        const keep = shape.length >= 2 ? rates.keep : 1
        stepRange(parameters, state, average, offset, offset + length, { ...rates, keep })
      }
    },
  }
}

/** The scalars of one step, each rounded to f32. */
interface Rates {
  clip: number
  keep: number
  beta1: number
  rest1: number
  beta2: number
  rest2: number
  epsilon: number
  stepSize: number
  correction2: number
}

function ratesOf(
  options: AdamWOptions & { gradClip?: number },
  { learningRate, stepNumber }: FlatStep,
  clip: number,
): Rates {
  return {
    clip,
    keep: Math.fround(1 - learningRate * options.weightDecay),
    beta1: Math.fround(options.beta1),
    rest1: Math.fround(1 - options.beta1),
    beta2: Math.fround(options.beta2),
    rest2: Math.fround(1 - options.beta2),
    epsilon: Math.fround(options.epsilon),
    stepSize: Math.fround(learningRate / (1 - integerPower(options.beta1, stepNumber))),
    correction2: Math.fround(Math.sqrt(1 - integerPower(options.beta2, stepNumber))),
  }
}

function stepRange(
  parameters: Float32Array,
  state: Float32Array,
  average: Float32Array,
  start: number,
  end: number,
  { clip, keep, beta1, rest1, beta2, rest2, epsilon, stepSize, correction2 }: Rates,
): void {
  const second = parameters.length
  for (let i = start; i < end; i++) {
    const gradient = Math.fround(clip * average[i]!)
    const mean = Math.fround(Math.fround(beta1 * state[i]!) + Math.fround(rest1 * gradient))
    const square = Math.fround(gradient * gradient)
    const spread = Math.fround(Math.fround(beta2 * state[second + i]!) + Math.fround(rest2 * square))
    state[i] = mean
    state[second + i] = spread
    const root = Math.fround(Math.sqrt(spread))
    const denominator = Math.fround(Math.fround(root / correction2) + epsilon)
    const change = Math.fround(stepSize * Math.fround(mean / denominator))
    parameters[i] = Math.fround(keep * parameters[i]!) - change
  }
}
