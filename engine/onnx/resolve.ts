/**
 * Gives every value of a graph its type, and computes what does not depend on data or parameters.
 *
 * The runtime infers types and evaluates constants (`ShapeInference`); this file asks it again after each simplification
 * until nothing changes: shape arithmetic becomes constants, constants make reshapes known, known types allow the rewrites
 * of CastLike and of split sequences. Parameters stand as graph inputs while asking: no weight is copied, none is folded.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { type Graph, int, intOf, type Node } from './graph.ts'
import type { TypedNode, Value } from './graph-builder.ts'
import { prune } from './normalise.ts'
import {
  type Constant,
  type ElementArray,
  elementTypes,
  int64Constant,
  isElementType,
  numbersOf,
  type TensorType,
} from './types.ts'
import { writeModel } from './write.ts'

/** What an onnxruntime session tells about graphs. Every `Backend` is one. */
export interface ShapeInference {
  /** Types of all graph outputs of `model`; -1 for a dimension that the runtime could not tell. */
  inferTypes(model: Uint8Array): Promise<ReadonlyMap<string, { dtype: string; shape: readonly number[] }>>
  /** Values of all outputs of a graph without inputs. */
  evaluateConstants(
    model: Uint8Array,
  ): Promise<ReadonlyMap<string, { dtype: string; shape: readonly number[]; data: ArrayBufferView }>>
}

/** A graph of one output whose types are all known; `nodes` depend on data or parameters, `constants` are the rest. */
export interface ResolvedGraph {
  readonly nodes: readonly TypedNode[]
  readonly output: Value
  readonly constants: ReadonlyMap<string, Constant>
}

/** Rounds of asking. Each resolves at least one level of shapes that depend on shapes; exports have at most three. */
const roundsMax = 16

/**
 * Types and folds `graph` at operator set `opset`. `inputs`: types of what stays variable (data and parameters).
 * @throws {SwarmError} MODEL_UNSUPPORTED when a value's type cannot be told; whatever the runtime throws for a bad graph.
 */
export async function resolve(
  graph: Graph,
  opset: number,
  inputs: ReadonlyMap<string, TensorType>,
  inference: ShapeInference,
): Promise<ResolvedGraph> {
  let current = graph
  for (let round = 0; round < roundsMax; round++) {
    const types = await inferTypes(current, opset, inputs, inference)
    const rewritten = rewrite(current, types)
    const folded = await fold(rewritten, opset, types, inputs, inference)
    if (folded === current && !hasOpenTypes(current, types)) return typed(current, types)
    if (folded === current) throw openType(current, types)
    current = folded
  }
  throw new SwarmError(
    'MODEL_UNSUPPORTED',
    `shapes of the model depend on each other through more than ${roundsMax} levels`,
  )
}

type Types = ReadonlyMap<string, { readonly dtype: string; readonly shape: readonly number[] }>

async function inferTypes(
  graph: Graph,
  opset: number,
  inputs: ReadonlyMap<string, TensorType>,
  inference: ShapeInference,
): Promise<Types> {
  const made = graph.nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== ''))
  const model = writeModel({
    opset,
    nodes: graph.nodes,
    constants: graph.constants,
    inputs,
    outputs: new Map(made.map((name) => [name, null])),
  })
  return new Map<string, { dtype: string; shape: readonly number[] }>([
    ...(await inference.inferTypes(model)),
    ...inputs,
    ...graph.constants,
  ])
}

const isOpen = (type: Types extends ReadonlyMap<string, infer T> ? T | undefined : never): boolean =>
  type === undefined || !isElementType(type.dtype) || type.shape.some((size) => size < 0)

function hasOpenTypes(graph: Graph, types: Types): boolean {
  return graph.nodes.some(({ outputs }) => outputs.some((name) => name !== '' && isOpen(types.get(name))))
}

function openType(graph: Graph, types: Types): SwarmError {
  const node = graph.nodes.find(({ outputs }) =>
    outputs.some((name) => name !== '' && isOpen(types.get(name))),
  )!
  return new SwarmError(
    'MODEL_UNSUPPORTED',
    `the shape of '${node.outputs[0]}' (${node.opType}, node '${node.name}') depends on more than the batch size`,
    { hint: 'Export with every dimension fixed except the batch.' },
  )
}

/** Rewrites the nodes whose form depends on types: CastLike to Cast, a split sequence to Split. Same graph when none. */
function rewrite(graph: Graph, types: Types): Graph {
  const splits = new Map<string, Node>()
  const constants = new Map(graph.constants)
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const castLike = node.opType === 'CastLike' ? types.get(node.inputs[1]!)?.dtype : undefined
    const input = types.get(node.inputs[0]!)
    if (castLike !== undefined && isElementType(castLike)) {
      const to = int(elementTypes[castLike].code)
      nodes.push({ ...node, opType: 'Cast', inputs: [node.inputs[0]!], attributes: { to } })
    } else if (node.opType === 'SplitToSequence' && !isOpen(input)) {
      const sizes = partSizes(node, input!.shape, graph.constants)
      const split = splitInto(node, sizes.length)
      constants.set(split.inputs[1]!, int64Constant(sizes))
      splits.set(node.outputs[0]!, split)
      nodes.push(split)
    } else nodes.push(node)
  }
  if (nodes.every((node, index) => node === graph.nodes[index])) return graph
  return selectParts({ ...graph, nodes, constants }, splits)
}

/** Sizes of the parts that SplitToSequence makes: listed, or chunks of one size with a smaller last one. */
function partSizes(node: Node, shape: readonly number[], constants: Graph['constants']): number[] {
  const split = constants.get(node.inputs[1] ?? '')
  if (split === undefined || intOf(node.attributes, 'keepdims', 1) === 0) {
    throw new SwarmError(
      'MODEL_UNSUPPORTED',
      `node '${node.name}' splits a tensor in a way that is not fixed`,
      {
        hint: 'Use torch.split with fixed sizes.',
      },
    )
  }
  const listed = numbersOf(split)
  if (split.shape.length > 0) return listed
  const chunk = listed[0]!
  const size = shape.at(intOf(node.attributes, 'axis', 0))!
  return Array.from({ length: Math.ceil(size / chunk) }, (_, index) => Math.min(chunk, size - index * chunk))
}

function splitInto(node: Node, count: number): Node {
  const name = node.outputs[0]!
  return {
    ...node,
    opType: 'Split',
    inputs: [node.inputs[0]!, `${name}/sizes`],
    outputs: Array.from({ length: count }, (_, index) => `${name}/${index}`),
    attributes: { axis: int(intOf(node.attributes, 'axis', 0)) },
  }
}

/** Replaces `SequenceAt(split, i)` by the i-th output of the Split that took the sequence's place. */
function selectParts(graph: Graph, splits: ReadonlyMap<string, Node>): Graph {
  const aliases = new Map<string, string>()
  const nodes = graph.nodes.flatMap((original) => {
    const node = { ...original, inputs: original.inputs.map((name) => aliases.get(name) ?? name) }
    const split = node.opType === 'SequenceAt' ? splits.get(node.inputs[0]!) : undefined
    const index = graph.constants.get(node.inputs[1] ?? '')
    if (split === undefined || index === undefined) return [node]
    aliases.set(node.outputs[0]!, split.outputs.at(numbersOf(index)[0]!)!)
    return []
  })
  return { ...graph, nodes, outputs: graph.outputs.map((name) => aliases.get(name) ?? name) }
}

/** Replaces all that depends only on constants and known shapes by its value. Same graph when there is nothing. */
async function fold(
  graph: Graph,
  opset: number,
  types: Types,
  inputs: ReadonlyMap<string, TensorType>,
  inference: ShapeInference,
): Promise<Graph> {
  const constants = new Map(graph.constants)
  const constantNodes: Node[] = []
  const otherNodes: Node[] = []
  const computed = new Set<string>()
  for (const node of graph.nodes) {
    const shape = shapeValue(node, types)
    if (shape !== null) constants.set(node.outputs[0]!, shape)
    else if (node.inputs.every((name) => name === '' || constants.has(name) || computed.has(name))) {
      constantNodes.push(node)
      for (const output of node.outputs) computed.add(output)
    } else otherNodes.push(node)
  }
  if (otherNodes.length === graph.nodes.length) return graph
  const read = new Set([...graph.outputs, ...otherNodes.flatMap((node) => node.inputs)])
  const wanted = [...computed].filter((name) => name !== '' && read.has(name))
  if (wanted.length > 0) {
    const subgraph = prune({ nodes: constantNodes, constants, inputs: [], outputs: wanted })
    const model = writeModel({
      opset,
      ...subgraph,
      inputs: new Map(),
      outputs: new Map(wanted.map((name) => [name, null])),
    })
    for (const [name, value] of await inference.evaluateConstants(model))
      constants.set(name, constantOf(name, value))
  }
  const isRead = (name: string) => !inputs.has(name)
  const kept = new Map([...constants].filter(([name]) => isRead(name)))
  return prune({ ...graph, nodes: otherNodes, constants: kept })
}

/** The value of Shape and Size nodes whose input's type is known. */
function shapeValue(node: Node, types: Types): Constant | null {
  const input = types.get(node.inputs[0] ?? '')
  if ((node.opType !== 'Shape' && node.opType !== 'Size') || input === undefined || isOpen(input)) return null
  if (node.opType === 'Size') {
    return { ...int64Constant([input.shape.reduce((product, size) => product * size, 1)]), shape: [] }
  }
  const rank = input.shape.length
  return int64Constant(
    input.shape.slice(intOf(node.attributes, 'start', 0), intOf(node.attributes, 'end', rank)),
  )
}

function constantOf(
  name: string,
  value: { dtype: string; shape: readonly number[]; data: ArrayBufferView },
): Constant {
  const { dtype, shape, data } = value
  if (!isElementType(dtype))
    throw new SwarmError('MODEL_UNSUPPORTED', `constant '${name}' has element type ${dtype}`)
  return { dtype, shape, data: data as ElementArray }
}

function typed(graph: Graph, types: Types): ResolvedGraph {
  const value = (name: string): Value | null => {
    if (name === '') return null
    const { dtype, shape } = types.get(name)!
    return { name, dtype: dtype as Value['dtype'], shape }
  }
  const nodes = graph.nodes.map((node) => ({
    opType: node.opType,
    name: node.name,
    inputs: node.inputs.map(value),
    outputs: node.outputs.map(value),
    attributes: node.attributes,
  }))
  return { nodes, output: value(graph.outputs[0]!)!, constants: graph.constants }
}
