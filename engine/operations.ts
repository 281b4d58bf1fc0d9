/**
 * How many floating-point operations a model's forward pass takes: what a step's speed is measured against, and what its time
 * can be told from before anything runs.
 *
 * A product counts its multiplications and additions, every other operator one operation for each element that it makes: in any
 * network that is worth the name, the products decide. A training step is taken as three forward passes (one product of the
 * same size for each of the two gradients of a product).
 */
import { intOf } from './onnx/graph.ts'
import type { TypedNode } from './onnx/graph-builder.ts'
import { sizeOf } from './onnx/types.ts'

/** Operations of one run of `nodes`. */
export function operationsOf(nodes: readonly TypedNode[]): number {
  return nodes.reduce((sum, node) => sum + nodeOperations(node), 0)
}

function nodeOperations(node: TypedNode): number {
  const [x, w] = node.inputs
  const made = node.outputs.reduce((sum, value) => sum + (value === null ? 0 : sizeOf(value.shape)), 0)
  switch (node.opType) {
    case 'MatMul':
      return 2 * made * x!.shape.at(-1)!
    case 'Gemm':
      return 2 * made * x!.shape[intOf(node.attributes, 'transA', 0) === 1 ? 0 : 1]!
    case 'Conv':
      return 2 * made * sizeOf(w!.shape.slice(1))
    case 'ConvTranspose':
      return 2 * sizeOf(x!.shape) * sizeOf(w!.shape.slice(1))
    default:
      return made
  }
}
