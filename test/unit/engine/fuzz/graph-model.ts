/**
 * Random graphs as models that a backend runs: many in one file, since a session's start costs more than what is
 * tested, with the gradients of each; and the derivative of the float64 reference that they are compared with.
 */

import { differentiate } from '../../../../engine/gradients/differentiate.ts'
import { gradientFlows } from '../../../../engine/gradients/rules.ts'
import { Formulas } from '../../../../engine/graph/formulas.ts'
import { GraphBuilder, type Target, type Value } from '../../../../engine/graph/graph-builder.ts'
import { type Constant, elementTypes } from '../../../../engine/onnx/types.ts'
import { writeModel } from '../../../../engine/onnx/write.ts'
import { addForward } from '../../../../engine/program/forward.ts'
import { seededRandom } from '../../../../protocols/core/random.ts'
import type { Tensor } from '../../../../protocols/core/tensor.ts'
import { onnxAttributes } from '../onnx-attributes.ts'
import { evaluateGraph, type Known, type RandomGraph } from './random-graph.ts'

/** A graph inside a model with others: the names of its values there. */
export interface Placed {
  readonly graph: RandomGraph
  readonly weights: Float32Array
  readonly output: string
  /** By parameter. */
  readonly gradients: ReadonlyMap<string, string>
}

/** One model of `graphs`: outputs and gradients of Σ weight·output. */
export function modelOf(graphs: readonly RandomGraph[], opset: number, device: Target['device'] = 'cpu') {
  const f = new Formulas(new GraphBuilder(opset, { device }))
  const outputs: Record<string, Value> = {}
  const feeds: Record<string, Tensor> = {}
  const placed = graphs.map((graph): Placed => {
    const place = (name: string) => `g${graph.seed}/${name}`
    for (const { name, shape, data } of graph.parameters) {
      feeds[place(name)] = { dtype: 'float32', shape, data: Float32Array.from(data) }
    }
    const given = new Map(
      graph.parameters.map(({ name, shape }) => [
        name,
        f.builder.input(place(name), { dtype: 'float32', shape }),
      ]),
    )
    const forward = addForward(f, forwardModel(graph), given, 'training')
    const random = seededRandom(graph.seed)
    const weights = Float32Array.from(graph.output.data, () => random.normal())
    const wanted = movingParameters(graph)
    const gradients = differentiate(
      f,
      forward.nodes,
      forward.output,
      f.tensor(weights, graph.output.shape),
      wanted.map((name) => given.get(name)!),
    )
    outputs[place('y')] = forward.output
    for (const [index, name] of wanted.entries()) outputs[place(`d${name}`)] = gradients[index]!
    return {
      graph,
      weights,
      output: place('y'),
      gradients: new Map(wanted.map((name) => [name, place(`d${name}`)])),
    }
  })
  const inputs = Object.entries(feeds).map(([name, { shape }]) => ({
    name,
    dtype: 'float32' as const,
    shape,
  }))
  return { model: writeModel(f.builder.finish(outputs, inputs)), feeds, placed }
}

function forwardModel({ nodes, constants, output }: RandomGraph) {
  const value = (known: Known | null) =>
    known === null ? null : { name: known.name, dtype: known.dtype, shape: known.shape }
  const unread = { TopK: 'int64' } as const
  return {
    nodes: nodes.map(({ op, inputs, attributes, outputs }, index) => ({
      opType: op,
      name: `n${index}`,
      inputs: inputs.map(value),
      outputs: outputs.map((known, place) =>
        known === null && op === 'TopK'
          ? { name: `n${index}/${place}`, dtype: unread.TopK, shape: outputs[0]!.shape }
          : value(known),
      ),
      attributes: onnxAttributes(attributes),
    })),
    output: value(output)!,
    constants: new Map(constants.map((known) => [known.name, constantOf(known)])),
    parameters: [],
  }
}

function constantOf({ dtype, shape, data }: Known): Constant {
  if (dtype === 'int64') return { dtype, shape, data: BigInt64Array.from(data, BigInt) }
  return { dtype, shape, data: elementTypes[dtype].array.from(data) as Constant['data'] }
}

/** Parameters with which the output moves: none that meets only steps and indices on its way. */
function movingParameters({ nodes, parameters, output }: RandomGraph): string[] {
  const reached = new Set([output.name])
  for (const { op, inputs, outputs } of nodes.toReversed()) {
    if (!outputs.some((value) => value !== null && reached.has(value.name))) continue
    for (const [index, input] of inputs.entries()) {
      if (input !== null && gradientFlows(op, index)) reached.add(input.name)
    }
  }
  return parameters.map(({ name }) => name).filter((name) => reached.has(name))
}

/**
 * How far the backend's derivative along the reference's direction is from the reference's, as a share of its terms.
 */
export function derivativeError(
  { gradients }: Placed,
  values: Readonly<Record<string, Tensor>>,
  { direction, value }: Derivative,
): number {
  const terms = [...gradients].flatMap(([name, place]) =>
    Array.from(values[place]!.data, (element, index) => element * direction.get(name)![index]!),
  )
  const scale = terms.reduce((sum, term) => sum + Math.abs(term), 1e-3)
  return Math.abs(terms.reduce((sum, term) => sum + term, 0) - value) / scale
}

const largest = (a: number, b: number) => (a >= b ? a : b) // NaN wins

/** The largest difference of an element, as a share of the largest one expected; NaN when there is one. */
export function largestDifference(expected: Tensor, actual: Tensor): number {
  const differences = Array.from(expected.data, (value, index) => Math.abs(actual.data[index]! - value))
  return differences.reduce(largest, 0) / Array.from(expected.data, Math.abs).reduce(largest, 1e-3)
}

export interface Derivative {
  readonly value: number
  /** By parameter. */
  readonly direction: ReadonlyMap<string, Float64Array>
}

/**
 * The derivative of Σ weight·output along a random direction; null where a kink lies so near that two step sizes
 * disagree.
 */
export function referenceDerivative({ graph, weights, gradients }: Placed): Derivative | null {
  const random = seededRandom(-graph.seed)
  const direction = new Map(
    graph.parameters.map(({ name, data }) => [name, Float64Array.from(data, () => random.normal())]),
  )
  const lossAt = (distance: number) => {
    const values = new Map(
      graph.parameters
        .filter(({ name }) => gradients.has(name))
        .map(({ name, data }) => [name, data.map((value, i) => value + distance * direction.get(name)![i]!)]),
    )
    return evaluateGraph(graph, values).reduce((sum, value, index) => sum + weights[index]! * value, 0)
  }
  const [coarse, fine] = [1e-4, 1e-5].map((h) => (lossAt(h) - lossAt(-h)) / (2 * h)) as [number, number]
  return Math.abs(coarse - fine) > 1e-5 * (1 + Math.abs(fine)) ? null : { value: fine, direction }
}
