/**
 * How large the result of folding a node can be, and how much work it is, before anything is folded: a file of a
 * hundred bytes can ask for a constant of a terabyte, or for a product of an hour, and the runtime that folds can be
 * neither bounded nor stopped.
 *
 * A bound, not the size: operators that grow are computed from the values they read, all others are taken to broadcast.
 * Operators that grow otherwise (Conv of constants, Einsum, Resize) are bounded by the product of their inputs.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { foldedElementsMax, foldedOperationsMax } from '../../protocols/core/limits.ts'
import { intOf, intsOf, type Node } from './graph.ts'
import { type Constant, numbersOf, sizeOf } from './types.ts'

/** Operators whose result has as many elements as the values of an input say. */
const growing: ReadonlySet<string> = new Set([
  'ConstantOfShape',
  'Expand',
  'Tile',
  'Range',
  'OneHot',
  'Pad',
  'Resize',
  'Upsample',
])

/** Operators of several inputs that multiply, where they are no broadcast. */
const multiplying: ReadonlySet<string> = new Set(['Einsum', 'Conv', 'ConvTranspose'])

/**
 * Elements that every output of `node` can have at most, when its inputs have `sizes` elements (0 for one left out);
 * infinite where only their values tell.
 */
export function boundBySizes({ opType }: Node, sizes: readonly number[]): number {
  if (growing.has(opType)) return Number.POSITIVE_INFINITY
  const product = sizes.reduce((bound, size) => bound * Math.max(1, size), 1)
  const sum = sizes.reduce((bound, size) => bound + size, 0)
  return Math.max(product, sum)
}

/**
 * As {@link boundBySizes}, of a node whose inputs are known; null is one left out.
 * @throws {SwarmError} LIMIT_EXCEEDED when it is more than may be folded.
 */
export function checkFolded(node: Node, inputs: readonly (Constant | null)[]): number {
  const bound = boundByValues(node, inputs)
  if (bound <= foldedElementsMax) return bound
  throw new SwarmError(
    'LIMIT_EXCEEDED',
    `${node.opType} (node '${node.name}') makes a constant of up to ${bound} elements; at most ${foldedElementsMax} are folded`,
    { hint: 'Export the model without constants that are repeated or filled to such a size.' },
  )
}

/**
 * Operators that walk over their inputs again for each step or each row: their work is bounded by the product of two
 * inputs.
 */
const walking: ReadonlySet<string> = new Set([
  'LSTM',
  'GRU',
  'RNN',
  'Attention',
  'Det',
  'GridSample',
  'DeformConv',
])

/**
 * Operations that folding `node` can take, when its results have at most `made` elements and its inputs `sizes`;
 * `inputs` is null where an input is left out or not known yet.
 */
export function boundOperations(
  node: Node,
  inputs: readonly (Constant | null)[],
  sizes: readonly number[],
  made: number,
): number {
  const [first = 0, second = 0] = sizes.toSorted((a, b) => b - a)
  const each = first + made * sizeOf(intsOf(node.attributes, 'kernel_shape') ?? [])
  if (walking.has(node.opType)) return each + first * Math.max(first, second)
  if (node.opType !== 'MatMul' && node.opType !== 'Gemm') return each
  const shared = inputs[0] ? Math.max(1, ...inputs[0].shape.slice(-2)) : first
  return made * shared
}

/**
 * @throws {SwarmError} LIMIT_EXCEEDED when `operations`, of a whole model up to `node`, are more than may be folded.
 */
export function checkOperations({ opType, name }: Node, operations: number): void {
  if (operations <= foldedOperationsMax) return
  throw new SwarmError(
    'LIMIT_EXCEEDED',
    `constants up to ${opType} (node '${name}') take up to ${operations} operations; at most ${foldedOperationsMax} are folded`,
    { hint: 'Export the model with its constants computed, or make what they are computed from an input.' },
  )
}

function boundByValues(node: Node, inputs: readonly (Constant | null)[]): number {
  const [x, second, third] = inputs.map((input) => input ?? null)
  const known = inputs.filter((input) => input !== null)
  const sizes = known.map(({ shape }) => sizeOf(shape))
  const values = (constant: Constant | null | undefined) => (constant ? numbersOf(constant) : [])
  switch (node.opType) {
    case 'ConstantOfShape':
      return sizeOf(values(x))
    case 'Expand':
      return broadcastSize([x?.shape ?? [], values(second)])
    case 'Tile':
      return sizeOf(x?.shape ?? []) * sizeOf(values(second))
    case 'Range': {
      const [[start = 0], [limit = 0], [delta = 1]] = [values(x), values(second), values(third)]
      return Math.max(0, Math.ceil((limit - start) / delta))
    }
    case 'OneHot':
      return sizeOf(x?.shape ?? []) * Math.max(1, values(second)[0] ?? 1)
    case 'Pad':
      return padded(x?.shape ?? [], values(second))
    case 'Gather': {
      const axis = intOf(node.attributes, 'axis', 0)
      return (sizeOf(x?.shape ?? []) / Math.max(1, x?.shape.at(axis) ?? 1)) * sizeOf(second?.shape ?? [])
    }
    case 'Resize':
    case 'Upsample':
      return known.reduce((bound, input) => bound * Math.max(1, ...values(input).slice(0, 8)), sizes[0] ?? 0)
    default:
      if (multiplying.has(node.opType)) return boundBySizes(node, sizes)
      return Math.max(
        broadcastSize(known.map(({ shape }) => shape)),
        boundBySizes(node, sizes.slice(0, 1)),
        sumOf(sizes),
      )
  }
}

/** Elements after numpy's broadcasting; of shapes that do not broadcast, at least as many as either has. */
function broadcastSize(shapes: readonly (readonly number[])[]): number {
  const rank = Math.max(0, ...shapes.map(({ length }) => length))
  const sizes = Array.from({ length: rank }, (_, axis) =>
    Math.max(1, ...shapes.map((shape) => shape[axis - rank + shape.length] ?? 1)),
  )
  return sizeOf(sizes)
}

/** `pads`: for each axis the elements before it, then for each those after it. */
function padded(shape: readonly number[], pads: readonly number[]): number {
  const half = pads.length / 2
  return sizeOf(
    shape.map((size, axis) => size + Math.max(0, pads[axis] ?? 0) + Math.max(0, pads[axis + half] ?? 0)),
  )
}

function sumOf(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0)
}
