/**
 * Gives every value of a graph its type, and computes what does not depend on data or parameters.
 *
 * Works from the inputs on, in rounds. Each round turns into constants what is known by now (shapes of typed values, and all that
 * follows from constants alone), then lets the runtime infer the types of all nodes that can follow. A node whose shape depends on a
 * value (Reshape, Slice, ...) waits until that value is a constant: asked too early, the runtime guesses ranks wrong. The
 * runtime (`ShapeInference`) sees only the nodes of a round; no weight is copied and none is folded.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { type Graph, int, intOf, type Node } from './graph.ts'
import type { TypedNode, Value } from './graph-builder.ts'
import {
  type Constant,
  type ElementArray,
  elementTypes,
  int64Constant,
  isElementType,
  numbersOf,
  sizeOf,
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
  const state: State = {
    opset,
    inference,
    constants: new Map(graph.constants),
    types: new Map(inputs),
    parts: new Map(),
    aliases: new Map(),
    typed: [],
  }
  let waiting = graph.nodes
  while (waiting.length > 0) {
    const left = await inferTypes(state, await foldConstants(state, waiting))
    if (left.length === waiting.length) throw stuck(left[0]!)
    waiting = left
  }
  const name = graph.outputs[0]!
  return { nodes: state.typed, output: typedValue(state, name)!, constants: usedConstants(state) }
}

/** What is known so far. */
interface State {
  readonly opset: number
  readonly inference: ShapeInference
  readonly constants: Map<string, Constant>
  /** Of values that are not constants. */
  readonly types: Map<string, TensorType>
  /** Sequences that a split made: their parts. */
  readonly parts: Map<string, readonly string[]>
  /** Values that turned out to be another one. */
  readonly aliases: Map<string, string>
  readonly typed: TypedNode[]
}

/** Turns what can be into constants, and rewrites what only needs types. Returns the nodes that are left. */
async function foldConstants(state: State, nodes: readonly Node[]): Promise<Node[]> {
  const foldable: Node[] = []
  const computed = new Set<string>()
  const left: Node[] = []
  const isConstant = (name: string) => name === '' || state.constants.has(name) || computed.has(name)
  for (const original of nodes) {
    const node = rewrite(state, original)
    if (node === null) continue
    if (node.inputs.every(isConstant)) {
      foldable.push(node)
      for (const output of node.outputs) if (output !== '') computed.add(output)
    } else left.push(node)
  }
  if (foldable.length === 0) return left
  const model = writeModel({
    opset: state.opset,
    nodes: foldable,
    constants: readBy(foldable, state.constants),
    inputs: new Map(),
    outputs: new Map([...computed].map((name) => [name, null])),
  })
  for (const [name, { dtype, shape, data }] of await state.inference.evaluateConstants(model)) {
    if (!isElementType(dtype)) throw unsupportedType(name, dtype)
    state.constants.set(name, { dtype, shape, data: data as ElementArray })
  }
  return left
}

/**
 * `node` in a form that the following stages know, or null when it has become part of `state`: Shape and Size of a typed
 * value, a sequence made by splitting, a part taken from it.
 */
function rewrite(state: State, original: Node): Node | null {
  const node = { ...original, inputs: original.inputs.map((name) => state.aliases.get(name) ?? name) }
  const [first = '', second = ''] = node.inputs
  const output = node.outputs[0]!
  const type = state.types.get(first) ?? state.constants.get(first)
  const like = state.types.get(second) ?? state.constants.get(second)
  const index = state.constants.get(second)
  if (node.opType === 'Shape' && type !== undefined) {
    const [start, end] = [
      intOf(node.attributes, 'start', 0),
      intOf(node.attributes, 'end', type.shape.length),
    ]
    state.constants.set(output, int64Constant(type.shape.slice(start, end)))
    return null
  }
  if (node.opType === 'Size' && type !== undefined) {
    state.constants.set(output, { ...int64Constant([sizeOf(type.shape)]), shape: [] })
    return null
  }
  if (node.opType === 'CastLike' && like !== undefined) {
    const to = int(elementTypes[like.dtype].code)
    return { ...node, opType: 'Cast', inputs: [first], attributes: { to } }
  }
  if (node.opType === 'SplitToSequence' && type !== undefined) return splitOf(state, node, type.shape)
  if (node.opType === 'SequenceAt' && state.parts.has(first) && index !== undefined) {
    state.aliases.set(output, state.parts.get(first)!.at(numbersOf(index)[0]!)!)
    return null
  }
  return node
}

/** A sequence of parts as one Split. Sizes are listed, or chunks of one size with a smaller last one. */
function splitOf(state: State, node: Node, shape: readonly number[]): Node {
  const split = state.constants.get(node.inputs[1] ?? '')
  const axis = intOf(node.attributes, 'axis', 0)
  if (split === undefined || intOf(node.attributes, 'keepdims', 1) === 0) {
    throw new SwarmError(
      'MODEL_UNSUPPORTED',
      `node '${node.name}' splits a tensor in a way that is not fixed`,
      {
        hint: 'Use torch.split with fixed sizes.',
      },
    )
  }
  const [chunk] = numbersOf(split)
  const size = shape.at(axis)!
  const sizes =
    split.shape.length > 0
      ? numbersOf(split)
      : Array.from({ length: Math.ceil(size / chunk!) }, (_, index) =>
          Math.min(chunk!, size - index * chunk!),
        )
  const name = node.outputs[0]!
  const outputs = sizes.map((_, index) => `${name}/${index}`)
  state.parts.set(name, outputs)
  state.constants.set(`${name}/sizes`, int64Constant(sizes))
  const inputs = [node.inputs[0]!, `${name}/sizes`]
  return { ...node, opType: 'Split', inputs, outputs, attributes: { axis: int(axis) } }
}

/** Operators whose result's shape depends on the values of the inputs after the first. */
const shapedByValues =
  /^(Reshape|Expand|Tile|Slice|Pad|Squeeze|Unsqueeze|Split|Resize|TopK|Reduce\w+|CenterCropPad|Col2Im|AffineGrid|MaxUnpool|OneHot)$/

/** Has the runtime infer the types of all nodes that can follow. Returns the nodes that have to wait. */
async function inferTypes(state: State, nodes: readonly Node[]): Promise<Node[]> {
  const ready: Node[] = []
  const made = new Set<string>()
  const waiting: Node[] = []
  const isKnown = (name: string) =>
    name === '' || state.types.has(name) || state.constants.has(name) || made.has(name)
  const isFixed = (name: string) => name === '' || state.constants.has(name)
  for (const node of nodes) {
    const waits =
      needsTypes.has(node.opType) ||
      (shapedByValues.test(node.opType) && !node.inputs.slice(1).every(isFixed))
    if (waits || !node.inputs.every(isKnown)) waiting.push(node)
    else {
      ready.push(node)
      for (const output of node.outputs) if (output !== '') made.add(output)
    }
  }
  if (ready.length === 0) return waiting
  const model = writeModel({
    opset: state.opset,
    nodes: ready,
    constants: readBy(ready, state.constants),
    inputs: readBy(ready, state.types),
    outputs: new Map([...made].map((name) => [name, null])),
  })
  for (const [name, { dtype, shape }] of await state.inference.inferTypes(model)) {
    if (shape.some((size) => size < 0)) throw stuck(ready.find(({ outputs }) => outputs.includes(name))!)
    if (!isElementType(dtype)) throw unsupportedType(name, dtype)
    state.types.set(name, { dtype, shape })
  }
  for (const node of ready) state.typed.push(typedNode(state, node))
  return waiting
}

/** Operators that are rewritten as soon as their inputs have types. */
const needsTypes: ReadonlySet<string> = new Set([
  'Shape',
  'Size',
  'CastLike',
  'SplitToSequence',
  'SequenceAt',
])

function typedNode(state: State, { opType, name, inputs, outputs, attributes }: Node): TypedNode {
  const value = (of: string) => typedValue(state, of)
  return { opType, name, inputs: inputs.map(value), outputs: outputs.map(value), attributes }
}

function typedValue({ types, constants, aliases }: State, original: string): Value | null {
  if (original === '') return null
  const name = aliases.get(original) ?? original
  const { dtype, shape } = (types.get(name) ?? constants.get(name))!
  return { name, dtype, shape }
}

function usedConstants({ constants, typed }: State): Map<string, Constant> {
  const read = new Set(typed.flatMap(({ inputs }) => inputs.map((input) => input?.name)))
  return new Map([...constants].filter(([name]) => read.has(name)))
}

function readBy<Item>(nodes: readonly Node[], items: ReadonlyMap<string, Item>): Map<string, Item> {
  const names = new Set(nodes.flatMap(({ inputs }) => inputs))
  return new Map([...names].flatMap((name) => (items.has(name) ? [[name, items.get(name)!]] : [])))
}

function stuck({ opType, name, outputs }: Node): SwarmError {
  return new SwarmError(
    'MODEL_UNSUPPORTED',
    `the shape of '${outputs[0]}' (${opType}, node '${name}') is not fixed`,
    {
      hint: 'Export with every dimension fixed except the batch.',
    },
  )
}

function unsupportedType(name: string, dtype: string): SwarmError {
  return new SwarmError('MODEL_UNSUPPORTED', `'${name}' has element type ${dtype}`, {
    hint: 'Export the model in float32.',
  })
}
