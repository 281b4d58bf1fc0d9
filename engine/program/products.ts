/**
 * Matrix products in the form that trains fastest: a product with a (transposed) matrix is one Gemm, so that neither
 * pass moves the matrix, and takes in the bias that is added to it.
 */
import { type Formulas, isCutByColumns } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { floatOf, intOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'
import type { Form } from './recorder.ts'
import type { SlopesAhead } from './slopes-ahead.ts'

/**
 * A·B with a matrix B as one Gemm over all rows of A; null for others. `source`: the matrix of which B is a plain
 * transpose, if there is one.
 */
export function matrixProduct(f: Formulas, node: TypedNode, source: Value | null): Form | null {
  const [a, b] = node.inputs as [Value, Value]
  if (a.shape.at(-1) === 0) return { outputs: [f.full(node.outputs[0]!.shape)] }
  if (b.shape.length !== 2 || a.shape.length < 2) return null
  const rows = f.reshape(a, [sizeOf(a.shape.slice(0, -1)), a.shape.at(-1)!])
  const result = source === null ? f.gemm(rows, b) : f.gemm(rows, source, { transB: true })
  return { outputs: [f.reshape(result, node.outputs[0]!.shape)] }
}

/**
 * A·B + c as the Gemm that made A·B, with c as its third input; null for any other sum, and where somebody else reads
 * A·B. The Gemm without c falls away. `readOnce`: of each term, whether this sum alone reads it.
 */
export function biasedProduct(
  f: Formulas,
  { inputs }: TypedNode,
  { readOnce, ahead }: { readOnce: readonly boolean[]; ahead: SlopesAhead },
): Form | null {
  const [left, right] = inputs as [Value, Value]
  const isBiasLast = right.shape.length === 1
  const [sum, bias] = isBiasLast ? [left, right] : [right, left]
  if (!readOnce[isBiasLast ? 0 : 1] || bias.shape.length !== 1) return null
  const reshaped = f.builder.makerOf(sum)
  const gemm = reshaped?.opType === 'Reshape' ? f.builder.makerOf(reshaped.inputs[0]!) : reshaped
  if (gemm?.opType !== 'Gemm' || gemm.inputs.length !== 2) return null
  const product = gemm.outputs[0]!
  if (bias.shape[0] !== sum.shape.at(-1) || bias.shape[0] !== product.shape[1]) return null
  const waiting = ahead.waiting(bias)
  const added = [...(gemm.inputs as Value[]), waiting ?? bias]
  const result = f.builder.emit('Gemm', added, gemm.attributes, product)
  return { outputs: [f.reshape(result, sum.shape)], isSpelledOut: waiting !== null }
}

/** A Gemm whose product is written the other way round, with what is added to it apart; null where it stays. */
export function turnedGemm(f: Formulas, { inputs, attributes, outputs }: TypedNode): Form | null {
  const [rows, columns] = outputs[0]!.shape as [number, number]
  if (!f.builder.target.isSameByThreads || !isCutByColumns(rows, columns)) return null
  const [a, b, added] = inputs as [Value, Value, (Value | null)?]
  const product = f.gemm(a, b, {
    transA: intOf(attributes, 'transA', 0) === 1,
    transB: intOf(attributes, 'transB', 0) === 1,
    alpha: floatOf(attributes, 'alpha', 1),
  })
  if (!added) return { outputs: [product], isSpelledOut: true }
  const beta = floatOf(attributes, 'beta', 1)
  return { outputs: [f.add(product, beta === 1 ? added : f.mul(added, beta))], isSpelledOut: true }
}
