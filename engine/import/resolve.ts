/**
 * Gives every value of a graph its type, and computes what does not depend on data or parameters.
 *
 * Works from the inputs on, in rounds. Each round turns into constants what is known by now (shapes of typed values,
 * and all that follows from constants alone), then lets the runtime infer the types of all nodes that can follow. A
 * node whose shape depends on a value (Reshape, Slice, ...) waits until that value is a constant: asked too early, the
 * runtime guesses ranks wrong. The runtime (`ShapeInference`) sees only the nodes of a round; no weight is copied and
 * none is folded.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { foldedUnseenMax, graphNodesMax, resolvingLooksMax } from '../../protocols/core/limits.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import type { Graph, Node } from '../onnx/graph.ts'
import { type Constant, type ElementArray, isElementType, type TensorType } from '../onnx/types.ts'
import { writeModel } from '../onnx/write.ts'
import { areaOf, type Folded, type FoldedInputs } from './folded-size.ts'
import { checkBytes, checkElements, checkOperations, foldingCost } from './folding-cost.ts'
import { checkSize } from './model-inputs.ts'
import { isResizedByFractions } from './resize-scales.ts'
import { aliasOf, type Knowledge, needsTypes, rewrite } from './rewrite.ts'

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
 * @throws {SwarmError} MODEL_UNSUPPORTED when a value's type cannot be told; whatever the runtime throws for a bad
 * graph.
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
    members: new Map(),
    aliases: new Map(),
    typed: [],
    foldedOperations: 0,
    foldedBytes: 0,
    looks: 0,
    unrolledNodes: 0,
    sequenceMembers: 0,
  }
  let waiting = graph.nodes
  while (waiting.length > 0) {
    const before = knowledge(state)
    const left = await inferTypes(state, await foldConstants(state, waiting))
    if (knowledge(state) === before) throw stuck(left[0]!)
    waiting = left
  }
  return {
    nodes: state.typed,
    output: typedValue(state, graph.outputs[0]!)!,
    constants: usedConstants(state),
  }
}

/** What is known so far. */
interface State extends Knowledge {
  readonly opset: number
  readonly inference: ShapeInference
  readonly typed: TypedNode[]
  /** Operations that folding has taken, at most. */
  foldedOperations: number
  /** Bytes of all that was folded, at most. */
  foldedBytes: number
  /** Nodes looked at, in all rounds. */
  looks: number
}

/** Grows with whatever is learnt about a graph. */
function knowledge({ constants, types, members, aliases }: Knowledge): number {
  return constants.size + types.size + members.size + aliases.size
}

/**
 * Turns what can be into constants, and rewrites what only needs types, until nothing more follows. Returns the nodes
 * left.
 */
async function foldConstants(state: State, nodes: readonly Node[]): Promise<Node[]> {
  let left: readonly Node[] = nodes
  for (;;) {
    const foldable: Node[] = []
    left = rewriteAll(state, left, foldable)
    if (foldable.length === 0) return [...left]
    const computed = foldable.flatMap(({ outputs }) => outputs.filter((output) => output !== ''))
    const model = writeModel({
      opset: state.opset,
      nodes: foldable,
      constants: readBy(foldable, state.constants),
      inputs: new Map(),
      outputs: new Map(computed.map((name) => [name, null])),
    })
    for (const [name, { dtype, shape, data }] of await state.inference.evaluateConstants(model)) {
      if (!isElementType(dtype)) throw unsupportedType(name, dtype)
      state.constants.set(name, { dtype, shape, data: data as ElementArray })
    }
  }
}

/** `nodes` in a form that the following stages know; those that follow from constants alone go to `foldable`. */
function rewriteAll(state: State, nodes: readonly Node[], foldable: Node[]): Node[] {
  /** Elements that the results of this round can have. */
  const computed = new Map<string, number>()
  const left: Node[] = []
  const queue = [...nodes].reverse()
  for (let original = queue.pop(); original !== undefined; original = queue.pop()) {
    checkLooks(++state.looks)
    const rewritten = rewrite(state, original)
    if (rewritten.length !== 1 || rewritten[0]!.attributes !== original.attributes) {
      queue.push(...rewritten.toReversed()) // the new ones may be rewritten again
      checkNodes(queue.length + left.length)
      continue
    }
    const node = rewritten[0]!
    const bound = needsTypes.has(node.opType) ? null : foldedBound(state, node, computed)
    if (bound === null) left.push(node)
    else {
      foldable.push(node)
      for (const output of node.outputs) computed.set(output, bound)
    }
  }
  return left
}

/**
 * Elements that folding `node` can make; null when it cannot be folded in this round: an input is not known, or is
 * computed in this round and the result, or the work, could be large.
 * @throws {SwarmError} LIMIT_EXCEEDED when it is more than may be folded.
 */
function foldedBound(state: State, node: Node, computed: ReadonlyMap<string, number>): number | null {
  const inputs = node.inputs.map((name) => foldedInput(state, name, computed))
  if (inputs.includes(undefined)) return null
  const { elements, operations } = foldingCost(node, inputs as FoldedInputs)
  if (node.inputs.every((name) => name === '' || state.constants.has(name))) checkElements(node, elements)
  else if (!(Math.max(elements, operations) <= foldedUnseenMax)) return null
  state.foldedOperations += operations
  checkOperations(node, state.foldedOperations)
  state.foldedBytes += elements * elementBytes(inputs[0]?.constant ?? null)
  checkBytes(node, state.foldedBytes)
  return elements
}

/** Bytes of an element that an operator makes of `first`, its first input: that one's, and at least a float's. */
function elementBytes(first: Constant | null): number {
  return Math.max(Float32Array.BYTES_PER_ELEMENT, first?.data.BYTES_PER_ELEMENT ?? 0)
}

/** What is known of the value `name`; null when it is left out, undefined while it depends on what is not known. */
function foldedInput(
  { constants }: State,
  name: string,
  computed: ReadonlyMap<string, number>,
): Folded | null | undefined {
  if (name === '') return null
  const constant = constants.get(name) ?? null
  const area = constant === null ? computed.get(name) : areaOf(constant.shape)
  return area === undefined ? undefined : { area, constant }
}

/** Operators whose result's shape depends on the values of the inputs after the first; a MaxUnpool's after the second. */
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
    const [input = '', , scales = ''] = node.inputs
    const waits =
      needsTypes.has(node.opType) ||
      (isResizedByFractions(node, state.constants.get(scales)) && !state.types.has(input)) ||
      (shapedByValues.test(node.opType) &&
        !node.inputs.slice(node.opType === 'MaxUnpool' ? 2 : 1).every(isFixed))
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
    checkSize(name, shape)
    state.types.set(name, { dtype, shape })
  }
  for (const node of ready) state.typed.push(typedNode(state, node))
  return waiting
}

function typedNode(state: State, { opType, name, inputs, outputs, attributes }: Node): TypedNode {
  const value = (of: string) => typedValue(state, of)
  return { opType, name, inputs: inputs.map(value), outputs: outputs.map(value), attributes }
}

function typedValue(state: State, original: string): Value | null {
  if (original === '') return null
  const { types, constants } = state
  const name = aliasOf(state, original)
  const type = types.get(name) ?? constants.get(name)
  if (type === undefined) throw new SwarmError('MODEL_UNSUPPORTED', `'${original}' is no tensor`)
  return { name, dtype: type.dtype, shape: type.shape }
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
  if (['If', 'Loop', 'Scan'].includes(opType)) {
    return new SwarmError('MODEL_UNSUPPORTED', `${opType} (node '${name}') depends on data`, {
      hint: 'Export with fixed shapes so that loops unroll and branches disappear.',
    })
  }
  return new SwarmError(
    'MODEL_UNSUPPORTED',
    `the shape of '${outputs[0]}' (${opType}, node '${name}') is not fixed`,
    {
      hint: 'Export with every dimension fixed except the batch.',
    },
  )
}

function checkNodes(nodes: number): void {
  if (nodes <= graphNodesMax) return
  throw new SwarmError('MODEL_UNSUPPORTED', `the model's loops unroll to more than ${graphNodesMax} nodes`, {
    hint: 'Express the loop with tensor operations, over a dimension instead of a counter.',
  })
}

function checkLooks(looks: number): void {
  if (looks <= resolvingLooksMax) return
  throw new SwarmError(
    'LIMIT_EXCEEDED',
    `the model's shapes follow from each other in too many rounds: more than ${resolvingLooksMax} looks at its nodes`,
    { hint: 'Export with every dimension fixed except the batch.' },
  )
}

function unsupportedType(name: string, dtype: string): SwarmError {
  return new SwarmError('MODEL_UNSUPPORTED', `'${name}' has element type ${dtype}`, {
    hint: 'Export the model in float32.',
  })
}
