/**
 * Sequences of tensors whose members are known when shapes are: torch.split and chunk, lists that a loop fills,
 * torch.cat of them. A sequence is the list of its members' names; no node of a sequence is left in the graph.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { graphNodesMax } from '../../protocols/core/limits.ts'
import { int, intOf, madeName, type Node } from '../onnx/graph.ts'
import { type Constant, int64Constant, numbersOf } from '../onnx/types.ts'
import { joined } from './control.ts'

/** What a node of sequences turns into: nodes, and what is known by name from now on. */
export interface Unfolded {
  readonly nodes?: readonly Node[]
  readonly members?: readonly string[]
  readonly constants?: ReadonlyMap<string, Constant>
  /** The value that the node's output is. */
  readonly alias?: string
}

/** What is known of the values that a node of sequences reads. */
export interface Known {
  /** Members of the sequence `name`, null when `name` is none yet. */
  membersOf(name: string): readonly string[] | null
  constantOf(name: string): Constant | null
  shapeOf(name: string): readonly number[] | null
}

/** Operators that this file takes out of a graph. */
export const sequenceOperators: ReadonlySet<string> = new Set([
  'SplitToSequence',
  'SequenceAt',
  'SequenceConstruct',
  'SequenceEmpty',
  'SequenceInsert',
  'SequenceErase',
  'SequenceLength',
  'ConcatFromSequence',
])

/** `node` without sequences, or null while what it needs is not known. */
export function unfold(node: Node, known: Known): Unfolded | null {
  const [first = '', second = '', third = ''] = node.inputs
  if (node.opType === 'SequenceEmpty') return { members: [] }
  if (node.opType === 'SequenceConstruct') return { members: node.inputs }
  if (node.opType === 'SplitToSequence') return split(node, known)
  const members = known.membersOf(first)
  if (members === null) return null
  switch (node.opType) {
    case 'SequenceLength':
      return { constants: new Map([[node.outputs[0]!, { ...int64Constant([members.length]), shape: [] }]]) }
    case 'ConcatFromSequence':
      return concat(node, members)
    case 'SequenceAt': {
      const index = known.constantOf(second)
      return index === null ? null : { alias: memberAt(node, members, numbersOf(index)[0]!) }
    }
    case 'SequenceErase': {
      const place = placeOf(known, second, members.length - 1)
      return place === null ? null : { members: members.toSpliced(place, 1) }
    }
    default: {
      const place = placeOf(known, third, members.length)
      return place === null ? null : { members: members.toSpliced(place, 0, second) }
    }
  }
}

/** A position, counted from the end when negative; the end when it is left out. */
function placeOf(known: Known, name: string, end: number): number | null {
  if (name === '') return end
  const constant = known.constantOf(name)
  return constant === null ? null : numbersOf(constant)[0]!
}

function memberAt({ name }: Node, members: readonly string[], index: number): string {
  const member = members.at(index)
  if (member !== undefined) return member
  throw new SwarmError('MODEL_INVALID', `node '${name}' reads member ${index} of ${members.length}`, {
    hint: 'Check the file with onnx.checker.check_model(path).',
  })
}

function concat(node: Node, members: readonly string[]): Unfolded {
  const output = node.outputs[0]!
  const axis = intOf(node.attributes, 'axis', 0)
  if (intOf(node.attributes, 'new_axis', 0) === 0) return { nodes: joined(members, output, axis, null) }
  const axes = madeName(output, 'axes')
  return { nodes: joined(members, output, axis, axes), constants: new Map([[axes, int64Constant([axis])]]) }
}

/** A sequence of parts as one Split. */
function split(node: Node, known: Known): Unfolded | null {
  const shape = known.shapeOf(node.inputs[0]!)
  const listed = node.inputs[1] ? known.constantOf(node.inputs[1]) : null
  if (shape === null || (node.inputs[1] && listed === null)) return null
  const axis = intOf(node.attributes, 'axis', 0)
  const sizes = partSizes(node, shape.at(axis) ?? 0, listed)
  const name = node.outputs[0]!
  const parts = sizes.map((_, index) => madeName(name, index))
  const [listOfSizes, axes] = [madeName(name, 'sizes'), madeName(name, 'axes')]
  const constants = new Map([[listOfSizes, int64Constant(sizes)]])
  const cut: Node = {
    ...node,
    opType: 'Split',
    inputs: [node.inputs[0]!, listOfSizes],
    outputs: parts,
    attributes: { axis: int(axis) },
  }
  if (listed !== null || intOf(node.attributes, 'keepdims', 1) === 1) {
    return { nodes: [cut], members: parts, constants }
  }
  constants.set(axes, int64Constant([axis]))
  const narrow = parts.map((part) => ({
    ...node,
    name: madeName(part, 'narrow'),
    opType: 'Squeeze',
    inputs: [part, axes],
    outputs: [madeName(part, 'narrow')],
    attributes: {},
  }))
  return { nodes: [cut, ...narrow], members: narrow.map(({ outputs }) => outputs[0]!), constants }
}

/**
 * Sizes of the parts of an axis of `size`: as `listed`, or chunks of one size with a smaller last one, or of one
 * without it.
 * @throws {SwarmError} MODEL_INVALID for chunks of none; LIMIT_EXCEEDED for more parts than a graph has nodes.
 */
function partSizes({ name }: Node, size: number, listed: Constant | null): number[] {
  const isList = listed !== null && listed.shape.length > 0
  const chunk = listed === null || isList ? 1 : numbersOf(listed)[0]!
  if (!(chunk >= 1)) {
    throw new SwarmError(
      'MODEL_INVALID',
      `SplitToSequence (node '${name}') makes parts of ${chunk} elements`,
      {
        hint: 'Check the file with onnx.checker.check_model(path).',
      },
    )
  }
  const count = isList ? listed.data.length : Math.ceil(size / chunk)
  if (count > graphNodesMax) {
    throw new SwarmError(
      'LIMIT_EXCEEDED',
      `SplitToSequence (node '${name}') makes ${count} parts; at most ${graphNodesMax} are accepted`,
      { hint: 'Express what is done with the parts with tensor operations.' },
    )
  }
  if (isList) return numbersOf(listed)
  return Array.from({ length: count }, (_, index) => Math.min(chunk, size - index * chunk))
}
