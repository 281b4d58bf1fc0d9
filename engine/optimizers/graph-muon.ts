/**
 * Muon inside a graph (Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024), with the step
 * size of Liu et al. ("Muon is Scalable for LLM Training", 2025, section 2.2), as torch.optim.Muon has both, in f32
 * where torch has bf16:
 *   m ← m + (1 - μ)·(g - m) ;  u = g + μ·(m - g) ;  O ≈ U·Vᵀ of u = U·S·Vᵀ
 *   φ ← φ·(1 - η·λ) - η·0.2·√max(rows, columns) · O
 * That factor gives O the root mean square of an AdamW step, so that one learning rate serves both: parameters that are
 * not matrices are AdamW's. O comes from five rounds of a quintic Newton-Schulz iteration, products only: with X the
 * smaller way round and of norm 1, A = X·Xᵀ, X ← a·X + (b·A + c·A²)·X.
 */

import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { float, int } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { graphAdamW } from './graph-adamw.ts'
import { decayed, type GraphOptimizer } from './graph-optimizer.ts'
import type { MuonOptions } from './spec.ts'

/** a, b, c: steepest at zero, and within [0.7, 1.2] after five rounds (Jordan et al.). */
const [a, b, c] = [3.4445, -4.775, 2.0315]
const iterations = 5
/** A gradient of zeros is divided by this. */
const normMin = 1e-7
/** Root mean square of an AdamW step (Liu et al., section 2.2). */
const stepSize = 0.2

export function graphMuon(options: MuonOptions): GraphOptimizer {
  const { momentum, weightDecay } = options
  const others = graphAdamW({ ...options, kind: 'adamw' })
  return {
    slots: (parameter) =>
      isMatrix(parameter) ? [{ name: 'momentum', shape: parameter.shape }] : others.slots(parameter),
    update(f, parameter, gradient, slots, scalars) {
      if (!isMatrix(parameter)) return others.update(f, parameter, gradient, slots, scalars)
      const mix = (from: Value, to: Value, share: number) => f.add(from, f.mul(f.sub(to, from), share))
      const velocity = mix(slots[0]!, gradient, 1 - momentum)
      const direction = orthogonalised(f, mix(gradient, velocity, momentum))
      const kept = decayed(f, parameter, weightDecay, scalars.learningRate)
      const rate = f.mul(scalars.learningRate, stepSize * Math.sqrt(Math.max(...parameter.shape)))
      return { parameter: f.sub(kept, f.mul(direction, rate)), slots: [velocity] }
    },
  }
}

function isMatrix({ shape }: { shape: readonly number[] }): boolean {
  return shape.length === 2
}

/** U·Vᵀ, nearly, of `matrix` = U·S·Vᵀ. */
function orthogonalised(f: Formulas, matrix: Value): Value {
  const [rows, columns] = matrix.shape as [number, number]
  const norm = f.sqrt(f.reduceSumSquare(f.reshape(matrix, [sizeOf(matrix.shape)]), [0]))
  const scaled = f.div(matrix, f.max(norm, normMin))
  let x = rows > columns ? f.transposeMatrix(scaled) : scaled
  for (let round = 0; round < iterations; round++) {
    const gram = f.gemm(x, x, { transB: true })
    const polynomial = sumOfProducts(f, gram, gram, c, b)
    x = sumOfProducts(f, polynomial, x, 1, a)
  }
  return rows > columns ? f.transposeMatrix(x) : x
}

/** α·L·R + β·R, one Gemm. */
function sumOfProducts(f: Formulas, left: Value, right: Value, alpha: number, beta: number): Value {
  const attributes = { alpha: float(alpha), beta: float(beta), transA: int(0), transB: int(0) }
  return f.builder.emit('Gemm', [left, right, right], attributes, right)
}
