/**
 * Gradients of matrix products. A', B' are A, B or their transposes; s(·) sums over broadcast axes. A product with a
 * matrix on the right is one Gemm over all leading dimensions together, forward and backward: Gemm takes its transposes
 * for free on every backend, MatMul does not.
 */

import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { floatOf, intOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import { type Application, gradient } from './rule.ts'

export const linear = {
  /** Y = A·B: dA = s(dY·Bᵀ) ; dB = s(Aᵀ·dY) */
  MatMul: gradient(
    ({ f, dy, x }) => {
      const { a, b, dy: d } = asMatrices(f, x, dy)
      const da =
        b.shape.length === 2
          ? unflatten(f, f.gemm(flatten(f, d), b, { transB: true }), a)
          : f.matmul(d, f.transposeMatrix(b))
      return f.reshape(f.sumTo(da, a.shape), x[0]!.shape)
    },
    ({ f, dy, x }) => {
      const { a, b, dy: d } = asMatrices(f, x, dy)
      const db =
        b.shape.length === 2
          ? f.gemm(flatten(f, a), flatten(f, d), { transA: true })
          : f.matmul(f.transposeMatrix(a), d)
      return f.reshape(f.sumTo(db, b.shape), x[1]!.shape)
    },
  ),
  /** Y = α·A'·B' + β·C: dA' = α·dY·B'ᵀ ; dB' = α·A'ᵀ·dY ; dC = β·s(dY) */
  Gemm: gradient(
    (application) => {
      const { f, dy, x } = application
      const { transA, transB, alpha } = gemmAttributes(application)
      return transA
        ? f.gemm(x[1]!, dy, { transA: transB, transB: true, alpha })
        : f.gemm(dy, x[1]!, { transB: !transB, alpha })
    },
    (application) => {
      const { f, dy, x } = application
      const { transA, transB, alpha } = gemmAttributes(application)
      return transB
        ? f.gemm(dy, x[0]!, { transA: true, transB: transA, alpha })
        : f.gemm(x[0]!, dy, { transA: !transA, alpha })
    },
    (application) => {
      const { f, dy, x } = application
      const { beta } = gemmAttributes(application)
      const sum = f.sumTo(dy, x[2]!.shape)
      return beta === 1 ? sum : f.mul(sum, beta)
    },
  ),
} as const

function gemmAttributes({ attributes }: Application) {
  return {
    transA: intOf(attributes, 'transA', 0) === 1,
    transB: intOf(attributes, 'transB', 0) === 1,
    alpha: floatOf(attributes, 'alpha', 1),
    beta: floatOf(attributes, 'beta', 1),
  }
}

/**
 * numpy's rule: a vector on the left is a row, on the right a column, and the added dimension vanishes from the result.
 */
function asMatrices(f: Formulas, [left, right]: readonly Value[], dy: Value) {
  const a = left!.shape.length === 1 ? f.reshape(left!, [1, ...left!.shape]) : left!
  const b = right!.shape.length === 1 ? f.reshape(right!, [...right!.shape, 1]) : right!
  const leading = dy.shape.slice(
    0,
    dy.shape.length - (left!.shape.length > 1 ? 1 : 0) - (right!.shape.length > 1 ? 1 : 0),
  )
  return { a, b, dy: f.reshape(dy, [...leading, a.shape.at(-2)!, b.shape.at(-1)!]) }
}

function flatten(f: Formulas, x: Value): Value {
  const width = x.shape.at(-1)!
  return f.reshape(x, [sizeOf(x.shape) / width, width])
}

function unflatten(f: Formulas, x: Value, like: Value): Value {
  return f.reshape(x, like.shape)
}
