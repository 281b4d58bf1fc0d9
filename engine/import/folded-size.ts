/**
 * Bounds of what folding makes, and of the work, from what is known of a node's inputs: one for each way in which
 * operators grow (ONNX, Operators.md). foldable.ts says which operator grows how.
 *
 * A bound, not the size. An axis of none counts as 1: what has no elements may come to have them (a sum over the empty
 * axis).
 */
import { intOf, intsOf, type Node, textOf } from '../onnx/graph.ts'
import { type Constant, numbersOf } from '../onnx/types.ts'

/** What is known of an input that is folded: its value, or only how large it can be. */
export interface Folded {
  /** Elements, at most; each axis counts as one at least. */
  readonly area: number
  /** null when it is computed in the same round. */
  readonly constant: Constant | null
}

/** The inputs of a node, null for one left out. */
export type FoldedInputs = readonly (Folded | null)[]

/** Elements of each result, at most; infinite when only a value that is not known yet can tell. */
export type Elements = (node: Node, inputs: FoldedInputs) => number

/** Operations, at most, of a node whose results have at most `made` elements. */
export type Operations = (node: Node, inputs: FoldedInputs, made: number) => number

/** Elements of `shape`, with 1 for what is less. */
export function areaOf(shape: readonly number[]): number {
  return shape.reduce((area, size) => area * Math.max(1, size), 1)
}

/** Numbers of an input that holds sizes; no kernel of onnxruntime takes more dimensions. */
const sizesMax = 64

/** The values of input `index`: a shape, pads, one number. null when they are not known, or too many for that. */
function valuesOf(inputs: FoldedInputs, index: number): number[] | null {
  const constant = inputs[index]?.constant
  return constant && constant.data.length <= sizesMax ? numbersOf(constant) : null
}

/** The shape of input `index`; null when it is not known. */
function shapeOf(inputs: FoldedInputs, index: number): readonly number[] | null {
  return inputs[index]?.constant?.shape ?? null
}

const unknown = Number.POSITIVE_INFINITY

function areas(inputs: FoldedInputs): number[] {
  return inputs.flatMap((input) => (input === null ? [] : [input.area]))
}

function largest(inputs: FoldedInputs): number {
  return Math.max(1, ...areas(inputs))
}

/** As many as the first input has. */
export const first: Elements = (_, [x]) => x?.area ?? 1

/** As many as input `index` has. */
export const asMany =
  (index: number): Elements =>
  (_, inputs) =>
    inputs[index]?.area ?? 1

/** `times` as many as the first input has. */
export const times =
  (factor: number): Elements =>
  (node, inputs) =>
    factor * first(node, inputs)

/** All that the inputs have. */
export const sum: Elements = (_, inputs) => areas(inputs).reduce((bound, area) => bound + area, 0)

/** One for each choice of an element from every input. */
export const product: Elements = (_, inputs) => areas(inputs).reduce((bound, area) => bound * area, 1)

/** After numpy's broadcasting; of shapes that do not broadcast, at least as many as either has. */
export const broadcast: Elements = (node, inputs) => {
  const given = inputs.filter((input) => input !== null)
  const shapes = given.flatMap(({ constant }) => (constant === null ? [] : [constant.shape]))
  return shapes.length === given.length ? broadcastArea(shapes) : product(node, inputs)
}

function broadcastArea(shapes: readonly (readonly number[])[]): number {
  const rank = Math.max(0, ...shapes.map(({ length }) => length))
  const sizes = Array.from({ length: rank }, (_, axis) =>
    Math.max(1, ...shapes.map((shape) => shape[axis - rank + shape.length] ?? 1)),
  )
  return areaOf(sizes)
}

/** A matrix for each pair of matrices, after broadcasting. */
export const multiplied: Elements = (node, inputs) => {
  const [a, b] = [shapeOf(inputs, 0), shapeOf(inputs, 1)]
  if (a === null || b === null) return product(node, inputs)
  return broadcastArea([[...a.slice(0, -1), 1], b.length < 2 ? [1] : b.with(-2, 1)])
}

/** A row for each row, or column, of the first matrix, a column for each of the second. */
export const multipliedPlain: Elements = (node, inputs) => {
  const [a, b] = [shapeOf(inputs, 0), shapeOf(inputs, 1)]
  if (a === null || b === null) return product(node, inputs)
  const isTurned = (name: string) => intOf(node.attributes, name, 0) !== 0
  return areaOf([a[isTurned('transA') ? 1 : 0] ?? 1, b[isTurned('transB') ? 0 : 1] ?? 1])
}

/** What the values of input `index` say: `size` of them. */
export const filled =
  (index: number, size: (values: readonly number[]) => number = areaOf): Elements =>
  (_, inputs) => {
    const values = valuesOf(inputs, index)
    return values === null ? unknown : size(values)
  }

/** The first input, as often as the values of the second say. */
export const repeated: Elements = (node, inputs) => first(node, inputs) * filled(1)(node, inputs)

/** The first input against the shape that the second holds. */
export const expanded: Elements = (node, inputs) => {
  const [shape, given] = [shapeOf(inputs, 0), valuesOf(inputs, 1)]
  return shape === null || given === null ? repeated(node, inputs) : broadcastArea([shape, given])
}

/** From `start` to `limit` by `delta`. */
export const counted: Elements = (_, inputs) => {
  const [start, limit, delta] = [0, 1, 2].map((index) => valuesOf(inputs, index)?.[0])
  if (start === undefined || limit === undefined || delta === undefined) return unknown
  return Math.max(1, Math.ceil((limit - start) / delta))
}

/** As before; but what has no elements has whatever area it is given. */
export const reshaped: Elements = (node, inputs) => {
  const constant = inputs[0]?.constant
  return constant && constant.data.length > 0 ? first(node, inputs) : repeated(node, inputs)
}

/** Slices of the first input along one axis, one for each element of the second. */
export const gathered: Elements = (node, inputs) => {
  const shape = shapeOf(inputs, 0)
  if (shape === null) return product(node, inputs)
  const size = shape.at(intOf(node.attributes, 'axis', 0)) ?? 1
  return (areaOf(shape) / Math.max(1, size)) * asMany(1)(node, inputs)
}

/** Slices of the first input, one for each row of the second, which counts in its first dimensions. */
export const gatheredByRows: Elements = (node, inputs) => {
  const [shape, rows] = [shapeOf(inputs, 0), shapeOf(inputs, 1)]
  if (shape === null || rows === null) return product(node, inputs)
  const indexed = intOf(node.attributes, 'batch_dims', 0) + (rows.at(-1) ?? 1)
  return areaOf(rows.slice(0, -1)) * areaOf(shape.slice(indexed))
}

/** From the shape of the first input and values of others, where it is known. */
const byShape =
  (size: (shape: readonly number[], node: Node, inputs: FoldedInputs) => number): Elements =>
  (node, inputs) => {
    const shape = shapeOf(inputs, 0)
    return shape === null ? unknown : size(shape, node, inputs)
  }

/** Sizes of `shape`, where that of each of `axes` (default: all) becomes what `change` makes of it and its value. */
function withAxes(
  shape: readonly number[],
  axes: readonly number[] | null,
  values: readonly number[],
  change: (size: number, value: number) => number,
): number[] {
  const changed = [...shape]
  for (const [place, value] of values.entries()) {
    const axis = axes?.[place] ?? place
    const at = axis < 0 ? axis + shape.length : axis
    changed[at] = change(changed[at] ?? 1, value)
  }
  return changed
}

/** With its second input's pads: for each axis the elements before it, then for each those after it. */
export const padded = byShape((shape, _, inputs) => {
  const pads = valuesOf(inputs, 1)
  const axes = inputs[3] ? valuesOf(inputs, 3) : shape.map((__, axis) => axis)
  if (pads === null || axes === null) return unknown
  const half = pads.length / 2
  const added = axes.map((_, place) => Math.max(0, pads[place] ?? 0) + Math.max(0, pads[place + half] ?? 0))
  return areaOf(withAxes(shape, axes, added, (size, value) => size + value))
})

/** Cut or padded to the sizes that the second input holds. */
export const centred = byShape((shape, { attributes }, inputs) => {
  const sizes = valuesOf(inputs, 1)
  return sizes === null ? unknown : areaOf(withAxes(shape, intsOf(attributes, 'axes'), sizes, Math.max))
})

/** To sizes, or by scales; where the picture keeps its aspect, by the largest of these. */
export const resized = byShape((shape, { attributes }, inputs) => {
  const axes = intsOf(attributes, 'axes')
  const given = valuesOf(inputs, inputs[3] ? 3 : 2)
  if (given === null) return unknown
  if (!inputs[3]) return areaOf(withAxes(shape, axes, given, (size, scale) => size * scale + 1))
  const isStretched = textOf(attributes, 'keep_aspect_ratio_policy', 'stretch') === 'stretch'
  const scales = given.map((value, place) => value / Math.max(1, shape.at(axes?.[place] ?? place) ?? 1))
  const scale = Math.max(...scales)
  return areaOf(withAxes(shape, axes, given, (size, value) => (isStretched ? value : size * scale + 1)))
})

/** `shape` with the pads of a window: for each spatial axis those before it, then for each those after it. */
function windowed(shape: readonly number[], { attributes }: Node): number[] {
  const pads = intsOf(attributes, 'pads') ?? []
  const spatial = shape.length - 2
  const added = (axis: number) => Math.max(0, pads[axis] ?? 0) + Math.max(0, pads[axis + spatial] ?? 0)
  // one more, where a window that begins inside may end outside
  return shape.map((size, axis) => (axis < 2 ? size : size + added(axis - 2) + 1))
}

/** A place for every window on the first input: strides only make it fewer. */
export const pooled = byShape((shape, node) => areaOf(windowed(shape, node)))

/** As pooled, in the channels of the filter `[out, in, ...kernel]`. */
export const convolved = byShape((shape, node, inputs) => {
  const filter = shapeOf(inputs, 1)
  return filter === null
    ? unknown
    : areaOf([shape[0] ?? 1, filter[0] ?? 1, ...windowed(shape, node).slice(2)])
})

/** What strides and a kernel spread an axis of `size` to. */
function spread(size: number, axis: number, { attributes }: Node, kernel: readonly number[]): number {
  const of = (name: string, otherwise: number) => intsOf(attributes, name)?.[axis] ?? otherwise
  const reach = of('dilations', 1) * (Math.max(1, kernel[axis] ?? 1) - 1) + 1
  return Math.max(1, size) * Math.max(1, of('strides', 1)) + reach + Math.max(0, of('output_padding', 0))
}

/** The image behind a convolution by the filter `[in, out / groups, ...kernel]`. */
export const deconvolved = byShape((shape, node, inputs) => {
  const filter = shapeOf(inputs, 1)
  if (filter === null) return unknown
  const channels = (filter[1] ?? 1) * Math.max(1, intOf(node.attributes, 'group', 1))
  const given = intsOf(node.attributes, 'output_shape') ?? []
  const sizes = shape.slice(2).map((size, axis, { length }) => {
    return Math.max(spread(size, axis, node, filter.slice(2)), given.at(axis - length) ?? 0)
  })
  return areaOf([shape[0] ?? 1, channels, ...sizes])
})

/** The image behind a pooling, or one of the sizes that the third input holds. */
export const unpooled = byShape((shape, node, inputs) => {
  if (inputs[2]) return filled(2)(node, inputs)
  const kernel = intsOf(node.attributes, 'kernel_shape') ?? []
  const sizes = shape.slice(2).map((size, axis) => spread(size, axis, node, kernel))
  return areaOf([...shape.slice(0, 2), ...sizes])
})

/** An image of the sizes that the second input holds, in all channels of the first's columns. */
export const fromColumns = byShape(
  (shape, node, inputs) => areaOf(shape.slice(0, 2)) * filled(1)(node, inputs),
)

/** A weight for each bin and frequency. */
export const melWeights: Elements = (node, inputs) => filled(0)(node, inputs) * filled(1)(node, inputs)

/** Each element is written once, and what is read is read once. */
export const once: Operations = (_, inputs, made) => largest(inputs) + made

/** Each element is compared with as many as a sort of 2^32 does. */
export const sorting: Operations = (_, inputs, made) => 32 * (largest(inputs) + made)

/** The sum of a whole row for each element. */
export const rowByColumn: Operations = (_, inputs, made) => {
  const shape = shapeOf(inputs, 0)
  return made * (shape === null ? (inputs[0]?.area ?? 1) : Math.max(1, ...shape.slice(-2)))
}

/** A window of the attribute `kernel_shape` for each element. */
export const windows: Operations = ({ attributes }, inputs, made) =>
  largest(inputs) + made * areaOf(intsOf(attributes, 'kernel_shape') ?? [])

/** For each element a filter but for its `axis`, the results' channels. */
export const filters =
  (axis: 0 | 1): Operations =>
  (_, inputs, made) => {
    const filter = shapeOf(inputs, 1)
    return filter === null ? unknown : made * areaOf(filter.toSpliced(axis, 1))
  }

/** A cubic sample for each element: 4 of each axis, 64 of a volume. */
export const samples: Operations = (_, inputs, made) => largest(inputs) + 64 * made

/** A product and a sum for each choice of elements. */
export const choices: Operations = (_, __, made) => 2 * made
