/**
 * Gradient of the determinant: d det(A)/dA is the cofactor matrix, the transpose of the adjugate. The adjugate comes
 * from n - 1 matrix products (Faddeev & LeVerrier: M_1 = I, M_k = A·M_{k-1} + c·I with c = -tr(A·M_{k-1})/(k - 1), adj
 * A = (-1)^{n-1}·M_n), which also holds where A has no inverse.
 */

import type { Value } from '../graph/graph-builder.ts'
import { gradient, spelledOnGpu, type Use, unsupportedUse } from './rule.ts'

/** Larger matrices lose too many digits: coefficients grow like n!, and float32 carries seven digits. */
const sizeMax = 8

export const determinant = {
  /** dA = dy·adj(A)ᵀ */
  Det: spelledOnGpu(
    gradient((application) => {
      const { f, x, dy } = application
      const cofactors = f.transposeMatrix(adjugate(application))
      return f.mul(cofactors, f.reshape(dy, [...x[0]!.shape.slice(0, -2), 1, 1]))
    }),
    // A·adj A = det A·I: the first row times the first column
    (use) => {
      const { f, x } = use
      const rank = x[0]!.shape.length
      const row = f.slice(x[0]!, [{ axis: rank - 2, start: 0, count: 1 }])
      const column = f.slice(adjugate(use), [{ axis: rank - 1, start: 0, count: 1 }])
      return f.reshape(f.matmul(row, column), x[0]!.shape.slice(0, -2))
    },
  ),
} as const

/** @throws {SwarmError} MODEL_UNSUPPORTED for matrices that are too large. */
function adjugate(use: Use): Value {
  const { f, x } = use
  const size = x[0]!.shape.at(-1)!
  if (size > sizeMax) {
    throw unsupportedUse(use, `its matrices have ${size} rows`, `Use at most ${sizeMax} rows.`)
  }
  const identity = new Float32Array(size * size)
  for (let row = 0; row < size; row++) identity[row * (size + 1)] = 1
  const one = f.tensor(identity, [size, size])
  const rank = x[0]!.shape.length
  let matrix = f.expand(one, x[0]!.shape)
  for (let k = 1; k < size; k++) {
    const product = f.matmul(x[0]!, matrix)
    const trace = f.reduceSum(f.mul(product, one), [rank - 2, rank - 1], true)
    matrix = f.sub(product, f.mul(f.div(trace, k), one))
  }
  return size % 2 === 0 ? f.neg(matrix) : matrix
}
