/**
 * Models whose inputs are one sample together and have no batch (model-inputs.ts): graphs of nodes and edges, sets of
 * points. A batch of 1 is taken off their inputs and put in front of their output, so that for whoever feeds them
 * samples are counted along the first dimension, as everywhere; a larger batch is fed in pieces of one sample.
 */

import type { Value } from '../graph/graph-builder.ts'
import { type Graph, madeName } from '../onnx/graph.ts'
import { int64Constant, sizeOf } from '../onnx/types.ts'
import type { ModelInput } from './model-inputs.ts'
import type { ResolvedGraph } from './resolve.ts'

/** Whether an input comes with a batch of 1 that its file does not know. */
export function isWhole({ declared, value }: ModelInput): boolean {
  return declared.shape.length < value.shape.length
}

/** `graph` as it is, reading samples without the batch of 1 that those of `inputs` have in front. */
export function withWholeSamples(graph: Graph, inputs: readonly ModelInput[]): Graph {
  const whole = inputs.filter(isWhole)
  if (whole.length === 0) return graph
  const constants = new Map(graph.constants)
  const samples = new Map(whole.map(({ value: { name } }) => [name, madeName(name, 'sample')] as const))
  const reshapes = whole.map(({ declared, value: { name } }) => {
    const [sample, shape] = [madeName(name, 'sample'), madeName(name, 'sample shape')]
    constants.set(shape, int64Constant(declared.shape))
    return {
      opType: 'Reshape',
      domain: '',
      name: sample,
      inputs: [name, shape],
      outputs: [sample],
      attributes: {},
    }
  })
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((input) => samples.get(input) ?? input),
  }))
  return { ...graph, constants, nodes: [...reshapes, ...nodes] }
}

/** `resolved` with a batch of 1 in front of its output, unless that is a single row or a loss. */
export function withBatchOfOne(resolved: ResolvedGraph): ResolvedGraph {
  const { nodes, output, constants } = resolved
  if (sizeOf(output.shape) === 1 || output.shape[0] === 1) return resolved
  const batch: Value = { ...output, name: madeName(output.name, 'batch'), shape: [1, ...output.shape] }
  const sizes = int64Constant(batch.shape)
  const shape: Value = { name: madeName(batch.name, 'shape'), dtype: sizes.dtype, shape: sizes.shape }
  const reshape = {
    opType: 'Reshape',
    name: batch.name,
    inputs: [output, shape],
    outputs: [batch],
    attributes: {},
  }
  return {
    nodes: [...nodes, reshape],
    output: batch,
    constants: new Map([...constants, [shape.name, sizes]]),
  }
}
