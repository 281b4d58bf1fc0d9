/**
 * What takes a node's place once enough is known of its inputs: Shape and Size of a typed value become constants,
 * CastLike a Cast, sequences are unfolded (sequences.ts), branches and loops with a known course are inlined
 * (control.ts), a Scan becomes a Loop (scan.ts), a Compress a Gather, scales of a Resize sizes (resize-scales.ts).
 *
 * resolve.ts says when; what can only be computed is folded there.
 */
import { assert } from '../../protocols/core/assert.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { sequenceMembersMax, unrolledNodesMax } from '../../protocols/core/limits.ts'
import { int, intOf, madeName, type Node } from '../onnx/graph.ts'
import {
  type Constant,
  elementTypes,
  int64Constant,
  numbersOf,
  sizeOf,
  type TensorType,
} from '../onnx/types.ts'
import { inlineBranch, inlineTurn, nodesWithin, subgraphOf } from './control.ts'
import { isResizedByFractions, sizesByFloat32 } from './resize-scales.ts'
import { scanAsLoop, scannedInput } from './scan.ts'
import { sequenceOperators, unfold } from './sequences.ts'

/** What is known of a graph's values, by name. Grows. */
export interface Knowledge {
  readonly constants: Map<string, Constant>
  /** Of values that are not constants. */
  readonly types: Map<string, TensorType>
  /** The members of sequences. */
  readonly members: Map<string, readonly string[]>
  /** Values that turned out to be another one. */
  readonly aliases: Map<string, string>
  /** Nodes of bodies, and of what lies in those, that loops' turns have looked at. */
  unrolledNodes: number
  /** Members of all sequences. */
  sequenceMembers: number
}

/** Operators that are rewritten as soon as their inputs have types or values. */
export const needsTypes: ReadonlySet<string> = new Set([
  'Shape',
  'Size',
  'CastLike',
  'Compress',
  'If',
  'Loop',
  'Scan',
  ...sequenceOperators,
])

/**
 * What takes `node`'s place: itself, or other nodes, or none when it has become part of `state`: Shape and Size of a
 * typed value, sequences, branches and loops whose course is known.
 */
export function rewrite(state: Knowledge, original: Node): readonly Node[] {
  const node = { ...original, inputs: original.inputs.map((name) => aliasOf(state, name)) }
  const [first = '', second = ''] = node.inputs
  const output = node.outputs[0]!
  const type = state.types.get(first) ?? state.constants.get(first)
  const like = state.types.get(second) ?? state.constants.get(second)
  if (node.opType === 'Shape' && type !== undefined) {
    const [start, end] = [
      intOf(node.attributes, 'start', 0),
      intOf(node.attributes, 'end', type.shape.length),
    ]
    state.constants.set(output, int64Constant(type.shape.slice(start, end)))
    return []
  }
  if (node.opType === 'Size' && type !== undefined) {
    state.constants.set(output, { ...int64Constant([sizeOf(type.shape)]), shape: [] })
    return []
  }
  if (node.opType === 'CastLike' && like !== undefined) {
    const to = int(elementTypes[like.dtype].code)
    return [{ ...node, opType: 'Cast', inputs: [first], attributes: { to } }]
  }
  if (sequenceOperators.has(node.opType)) return withoutSequence(state, node)
  if (node.opType === 'If' || node.opType === 'Loop') return withoutControl(state, node)
  if (node.opType === 'Scan') return withoutScan(state, node)
  if (node.opType === 'Compress') return withoutCompress(state, node)
  if (node.opType === 'Resize') return [withSizes(state, node)]
  return [node]
}

/** The value that `name` turned out to be. */
export function aliasOf({ aliases }: Knowledge, name: string): string {
  let current = name
  for (let next = aliases.get(current); next !== undefined; next = aliases.get(current)) current = next
  return current
}

/** Notes that `name` is `other`, by what `other` itself is: no chain gets long, and none becomes a circle. */
function setAlias(state: Knowledge, name: string, other: string): void {
  const origin = aliasOf(state, other)
  assert(
    origin !== name,
    `'${name}' is made from itself, in a graph whose values are made before they are read`,
  )
  state.aliases.set(name, origin)
}

function checkMost({ opType, name }: Node, what: string, count: number, most: number): void {
  if (count <= most) return
  throw new SwarmError('LIMIT_EXCEEDED', `${opType} (node '${name}') makes more than ${most} ${what}`, {
    hint: 'Express the loop with tensor operations, over a dimension instead of a counter.',
  })
}

function withoutSequence(state: Knowledge, node: Node): readonly Node[] {
  const unfolded = unfold(node, {
    membersOf: (name) => state.members.get(name) ?? null,
    constantOf: (name) => state.constants.get(name) ?? null,
    shapeOf: (name) => (state.types.get(name) ?? state.constants.get(name))?.shape ?? null,
  })
  if (unfolded === null) return [node]
  const output = node.outputs[0]!
  if (unfolded.members !== undefined) {
    state.sequenceMembers += unfolded.members.length
    checkMost(node, 'members of sequences', state.sequenceMembers, sequenceMembersMax)
    state.members.set(output, unfolded.members)
  }
  if (unfolded.alias !== undefined) setAlias(state, output, unfolded.alias)
  for (const [name, constant] of unfolded.constants ?? []) state.constants.set(name, constant)
  return unfolded.nodes ?? []
}

/** What writing a turn takes besides its body, in nodes looked at: its number, its condition, the Loop behind it. */
const nodesPerTurn = 128

/** A branch or a turn in the place of `node`, when the values that choose it are constants by now. */
function withoutControl(state: Knowledge, node: Node): readonly Node[] {
  const [first = '', second = ''] = node.inputs
  const known = (name: string) => (name === '' ? null : state.constants.get(name))
  const [a, b] = [known(first), known(second)]
  if (a === undefined || (node.opType === 'If' && a === null)) return [node]
  if (node.opType === 'Loop' && b === undefined) return [node]
  if (node.opType === 'Loop') {
    state.unrolledNodes += nodesPerTurn + nodesWithin(subgraphOf(node, 'body'))
    checkMost(node, 'nodes of all turns', state.unrolledNodes, unrolledNodesMax)
  }
  const inlined = node.opType === 'If' ? inlineBranch(node, a!.data[0] !== 0) : inlineTurn(node, a, b!)
  for (const [name, constant] of inlined.constants) state.constants.set(name, constant)
  for (const [name, other] of inlined.aliases) setAlias(state, name, other)
  return inlined.nodes
}

/** A Loop in the place of a Scan, when the size of what it scans is known by now. */
function withoutScan(state: Knowledge, node: Node): readonly Node[] {
  const { name, axis } = scannedInput(node)
  const size = (state.types.get(name) ?? state.constants.get(name))?.shape.at(axis)
  if (size === undefined) return [node]
  const { nodes, constants } = scanAsLoop(node, size)
  for (const [constant, value] of constants) state.constants.set(constant, value)
  return nodes
}

/** Sizes in the place of scales that mean another one to kernels than to shape inference. */
function withSizes(state: Knowledge, node: Node): Node {
  const [input = '', region = '', scaleName = ''] = node.inputs
  const [type, scales] = [state.types.get(input), state.constants.get(scaleName)]
  if (type === undefined || scales === undefined || !isResizedByFractions(node, scales)) return node
  const sizes = sizesByFloat32(node, type.shape, scales)
  if (sizes === null) return node
  const name = madeName(node.outputs[0]!, 'sizes')
  state.constants.set(name, int64Constant(sizes))
  return { ...node, inputs: [input, region, '', name] }
}

/** Rows picked by number instead of by truth values, when those are constants by now. */
function withoutCompress(state: Knowledge, node: Node): readonly Node[] {
  const [input = '', condition = ''] = node.inputs
  const output = node.outputs[0]!
  const flags = state.constants.get(condition)
  if (flags === undefined) return [node]
  const kept = int64Constant(numbersOf(flags).flatMap((flag, index) => (flag === 0 ? [] : [index])))
  const places = madeName(output, 'kept')
  state.constants.set(places, kept)
  const { axis } = node.attributes
  const pick = { ...node, opType: 'Gather', inputs: [input, places] }
  if (axis !== undefined) return [pick]
  const [all, flat] = [madeName(output, 'all'), madeName(output, 'flat')]
  state.constants.set(all, int64Constant([-1]))
  return [
    { ...node, opType: 'Reshape', name: flat, inputs: [input, all], outputs: [flat] },
    { ...pick, inputs: [flat, places] },
  ]
}
