/**
 * How many floating-point operations a model's forward pass takes: what a step's speed is measured against, and what
 * its time can be told from before anything runs.
 *
 * A product counts its multiplications and additions, every other operator one operation for each element that it
 * makes: in any network that is worth the name, the products decide. On the way back each operand that depends on a
 * weight costs its operator once more: a product has two gradients of its own size, but the first layer's only one,
 * since nobody asks for the samples'.
 */

import type { TypedNode } from '../graph/graph-builder.ts'
import { intOf } from '../onnx/graph.ts'
import { sizeOf } from '../onnx/types.ts'

/** Operations of one run of `nodes`. */
export function operationsOf(nodes: readonly TypedNode[]): number {
  return nodes.reduce((sum, node) => sum + nodeOperations(node), 0)
}

/**
 * Operations of one training step over `nodes`, forward and back, for the gradients of the values named in `weights`.
 */
export function stepOperationsOf(nodes: readonly TypedNode[], weights: ReadonlySet<string>): number {
  const reached = new Set(weights)
  return nodes.reduce((sum, node) => {
    const depends = node.inputs.map((value) => value !== null && reached.has(value.name))
    if (depends.includes(true)) for (const value of node.outputs) if (value !== null) reached.add(value.name)
    const gradients = depends.slice(0, 2).filter(Boolean).length
    return sum + (1 + gradients) * nodeOperations(node)
  }, 0)
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
