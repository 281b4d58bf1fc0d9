/**
 * Adafactor inside a graph (Shazeer & Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", 2018,
 * Alg. 4 and 5), as torch.optim.Adafactor computes it. At step t, with ρ = t^-0.8 and RMS(·) the root mean square of a
 * tensor:
 *   R ← R + ρ·(mean of g² along rows - R) ;  C ← C + ρ·(mean of g² along columns - C) ;  V = R·C / mean R
 *   U = g/√V ;  φ ← φ·(1 - η·λ) - max(ε2, RMS(φ))·min(η, 1/√t) · U/max(1, RMS(U)/d)
 * A parameter of one dimension keeps V itself. Two vectors instead of a matrix: the state of a model is next to
 * nothing.
 */
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'
import { decayed, type GraphOptimizer, type StepScalars } from './graph-optimizer.ts'
import type { AdafactorOptions } from './spec.ts'

/** Exponent of ρ: the paper's section 7.2. */
const decayExponent = -0.8
/** ε1: float32's epsilon, as torch; V is held above its square. */
const epsilonOfVariance = 2 ** -23
/** ε2: a parameter of zeros steps as if it had this root mean square (paper, section 8). */
const epsilonOfParameter = 1e-3
/** d: largest root mean square of a step (paper, section 6). */
const clipThreshold = 1

export function graphAdafactor({ weightDecay }: AdafactorOptions): GraphOptimizer {
  return {
    slots: ({ shape }) =>
      shape.length < 2
        ? [{ name: 'square', shape }]
        : [
            { name: 'row', shape: shape.with(-1, 1) },
            { name: 'column', shape: shape.with(-2, 1) },
          ],
    update(f, parameter, gradient, slots, scalars) {
      const squares = f.mul(gradient, gradient)
      const share = f.pow(scalars.step, decayExponent)
      const towards = (slot: Value, mean: Value) => f.add(slot, f.mul(share, f.sub(mean, slot)))
      const rank = parameter.shape.length
      const next =
        rank < 2
          ? [towards(slots[0]!, squares)]
          : [rank - 1, rank - 2].map((axis, index) =>
              towards(slots[index]!, f.reduceMean(squares, [axis], true)),
            )
      const variance = rank < 2 ? next[0]! : product(f, next[0]!, next[1]!)
      const step = f.div(gradient, f.sqrt(f.max(variance, epsilonOfVariance ** 2)))
      const kept = decayed(f, parameter, weightDecay, scalars.learningRate)
      return { parameter: f.sub(kept, f.mul(step, rateOf(f, parameter, step, scalars))), slots: next }
    },
  }
}

/** V = R·C / mean R, over the last two dimensions. */
function product(f: Formulas, row: Value, column: Value): Value {
  const mean = f.reduceMean(row, [row.shape.length - 2], true)
  return f.div(f.matmul(row, column), f.max(mean, epsilonOfVariance))
}

/** max(ε2, RMS(φ))·min(η, 1/√t) / max(1, RMS(U)/d) */
function rateOf(f: Formulas, parameter: Value, step: Value, scalars: StepScalars): Value {
  const rootMeanSquare = (x: Value) => {
    const flat = f.reshape(x, [sizeOf(x.shape)])
    return f.sqrt(f.div(f.reduceSumSquare(flat, [0]), sizeOf(x.shape)))
  }
  const rate = f.min(scalars.learningRate, f.reciprocal(f.sqrt(scalars.step)))
  const scale = f.max(rootMeanSquare(parameter), epsilonOfParameter)
  return f.div(f.mul(scale, rate), f.max(f.div(rootMeanSquare(step), clipThreshold), 1))
}
