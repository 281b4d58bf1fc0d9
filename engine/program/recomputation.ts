/**
 * Chooses which values of the forward pass are kept for the backward pass, and which are made again there
 * (gradients/recall.ts makes them): memory for time.
 *
 * The forward pass is cut into segments (Chen et al., "Training deep nets with sublinear memory cost", 2016). What is
 * read across a cut is kept; what lies between two cuts is dropped, and made again when the backward pass comes to its
 * segment. The last segment is kept whole, since it would be made again at once. So the most that is alive is about
 *     what is kept + the largest segment
 * and the cuts are chosen to make that small: for several sizes that a segment may have, the cuts that keep to it and
 * have least read across them, a shortest path.
 *
 * `cheap` keeps the results of matrix products and convolutions, and makes activations, normalisations, softmax and
 * pooling again; `everything` makes all again, which costs at most one more forward pass.
 */
import { type Recomputed, waitingInput } from '../gradients/recall.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'
import { bytesPerElement, viewRoots } from './memory.ts'

/** What the backward pass makes again, from nothing to as much as it can. */
export const recomputations = ['nothing', 'cheap', 'everything'] as const
export type Recomputation = (typeof recomputations)[number]

/** A training graph that keeps everything. */
export interface KeptGraph {
  /** In execution order, those that an output needs. */
  readonly forward: readonly TypedNode[]
  readonly backward: readonly TypedNode[]
  /** Nodes of the forward pass that no output needs: rules may look through them for what they are made of. */
  readonly unread: readonly TypedNode[]
  /** Names of the inputs that hold samples and labels: what depends on none of them is not worth a copy. */
  readonly samples: ReadonlySet<string>
  isConstant(value: Value): boolean
}

/** Operators whose results `cheap` keeps: their time grows with a dimension that the result does not have. */
const products: ReadonlySet<string> = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul'])

/**
 * A value this much smaller than the largest is kept: statistics of rows and channels, costly to make and cheap to
 * have.
 */
const smallShare = 1 / 64

/** Places for cuts that are looked at; the search takes their square. A GPT-2 of 48 layers has about a thousand. */
const placesMax = 2_000

/** Numbers of segments that are tried: their least size falls by a third or less from one to the next. */
const segmentCounts = [2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128]

/** The values of `graph` that its backward pass shall make again, for `what`; empty when nothing is gained. */
export function planRecomputation(graph: KeptGraph, what: Exclude<Recomputation, 'nothing'>): Recomputed {
  const tensors = tensorsOf(graph, what)
  const cuts = chooseCuts(tensors, graph.forward.length)
  const recomputed = new Map<string, number>()
  for (const tensor of tensors) {
    const segment = segmentOf(tensor, cuts)
    if (!tensor.isCopyable || segment === cuts.length || crosses(tensor, cuts)) continue
    for (const name of tensor.names) recomputed.set(name, segment)
  }
  for (const { inputs, outputs } of graph.unread) {
    const segments = inputs.flatMap((value) => (value && recomputed.get(value.name)) ?? [])
    if (segments.length === 0) continue
    for (const value of outputs) if (value !== null) recomputed.set(value.name, Math.max(...segments))
  }
  return recomputed
}

/** A value of the forward pass that has memory of its own, with its views. */
interface Tensor {
  readonly names: string[]
  readonly bytes: number
  /** Place in the forward pass of the node that makes it, and of the last that reads it. */
  readonly madeAt: number
  readUntil: number
  /** Whether it may be made again. */
  readonly isCopyable: boolean
  /** Whether the backward pass reads it, or a copy of something is made from it. */
  isNeeded: boolean
}

function tensorsOf(graph: KeptGraph, what: Recomputation): Tensor[] {
  const { forward, backward } = graph
  const rootOf = viewRoots(forward)
  const byRoot = new Map<string, Tensor>()
  const moving = new Set(graph.samples)
  const largest = Math.max(0, ...forward.flatMap(({ outputs }) => outputs.map((value) => bytesOf(value))))
  // a view that is a root is one of an input, whose memory is there anyway
  const isWorth = (value: Value) => rootOf(value.name) === value.name && bytesOf(value) > smallShare * largest
  const read = new Set(backward.flatMap(({ inputs }) => inputs.map((value) => value?.name)))
  for (const [place, node] of forward.entries()) {
    const isMoving = node.inputs.some((value) => value !== null && moving.has(value.name))
    for (const value of node.inputs) {
      const tensor = value === null ? undefined : byRoot.get(rootOf(value.name))
      if (tensor !== undefined) tensor.readUntil = place
    }
    for (const value of node.outputs) {
      if (value === null) continue
      if (isMoving) moving.add(value.name)
      const root = byRoot.get(rootOf(value.name))
      const tensor = root ?? {
        names: [],
        bytes: bytesOf(value),
        madeAt: place,
        readUntil: place,
        isCopyable: isMoving && canBeCopied(node, value, graph, what) && isWorth(value),
        isNeeded: false,
      }
      tensor.names.push(value.name)
      if (read.has(value.name)) tensor.isNeeded = true
      byRoot.set(rootOf(value.name), tensor)
    }
  }
  for (const { inputs, outputs } of forward.toReversed()) {
    const made = outputs.map((value) => byRoot.get(rootOf(value?.name ?? '')))
    if (!made.some((tensor) => tensor?.isNeeded && tensor.isCopyable)) continue
    for (const value of inputs) {
      const tensor = byRoot.get(rootOf(value?.name ?? ''))
      if (tensor !== undefined) tensor.isNeeded = true
    }
  }
  return [...byRoot.values()]
}

/** A copy of a node of its own stretch holds one of its inputs up, which must not be larger than what is made. */
function canBeCopied(node: TypedNode, value: Value, { isConstant }: KeptGraph, what: Recomputation): boolean {
  if (value.dtype !== 'float32' || (what === 'cheap' && products.has(node.opType))) return false
  const place = waitingInput(node, isConstant)
  return place !== null && bytesOf(node.inputs[place]!) <= bytesOf(value)
}

function bytesOf(value: Value | null): number {
  return value === null ? 0 : bytesPerElement(value.dtype) * sizeOf(value.shape)
}

/** The segment of `tensor`: how many cuts lie before the node that makes it. */
function segmentOf({ madeAt }: Tensor, cuts: readonly number[]): number {
  return cuts.filter((cut) => cut <= madeAt).length
}

/** Whether `tensor` is read behind a cut that it was made before. */
function crosses({ madeAt, readUntil }: Tensor, cuts: readonly number[]): boolean {
  return cuts.some((cut) => madeAt < cut && cut <= readUntil)
}

/**
 * Places in the forward pass, ascending, each before the node of that number: those with the least {@link aliveBytes}.
 */
function chooseCuts(tensors: readonly Tensor[], length: number): number[] {
  const dropped = tensors.filter(({ isCopyable, isNeeded }) => isCopyable && isNeeded)
  const crossing = crossingBytes(dropped, length)
  const places = placesFor(crossing)
  const before = bytesBefore(dropped, length)
  let best: number[] = []
  let least = aliveBytes(dropped, best)
  for (const count of segmentCounts) {
    const cuts = cheapestCuts(places, crossing, before, before[length]! / count)
    const bytes = aliveBytes(dropped, cuts)
    if (bytes < least) [best, least] = [cuts, bytes]
  }
  return best
}

/** The most of `dropped` that is alive at once with `cuts`: what crosses them, and the rest of the largest segment. */
function aliveBytes(dropped: readonly Tensor[], cuts: readonly number[]): number {
  let kept = 0
  const segments = new Array<number>(cuts.length + 1).fill(0)
  for (const tensor of dropped) {
    if (crosses(tensor, cuts)) kept += tensor.bytes
    else segments[segmentOf(tensor, cuts)]! += tensor.bytes
  }
  return kept + Math.max(...segments)
}

/** For each place, the bytes made before it and read behind it. */
function crossingBytes(tensors: readonly Tensor[], length: number): number[] {
  const changes = new Array<number>(length + 2).fill(0)
  for (const { bytes, madeAt, readUntil } of tensors) {
    changes[madeAt + 1]! += bytes
    changes[readUntil + 1]! -= bytes
  }
  let sum = 0
  return changes.slice(0, length + 1).map((change) => (sum += change))
}

/** For each place, the bytes made before it. */
function bytesBefore(tensors: readonly Tensor[], length: number): number[] {
  const made = new Array<number>(length + 1).fill(0)
  for (const { bytes, madeAt } of tensors) made[madeAt + 1]! += bytes
  let sum = 0
  return made.map((bytes) => (sum += bytes))
}

/** Places where no more is read across than beside them, between the first and the last place. */
function placesFor(crossing: readonly number[]): number[] {
  const inner = crossing.slice(1, -1).flatMap((bytes, index) => {
    const [before, after] = [crossing[index]!, crossing[index + 2]!]
    return bytes <= before && bytes <= after ? [index + 1] : []
  })
  const step = Math.ceil(inner.length / placesMax)
  return [0, ...inner.filter((_, index) => index % step === 0), crossing.length - 1]
}

/**
 * The cuts among `places` that have least read across them while no segment makes more than `bytesMax`, where that can
 * be.
 */
function cheapestCuts(
  places: readonly number[],
  crossing: readonly number[],
  before: readonly number[],
  bytesMax: number,
): number[] {
  const costs = [0]
  const previous = [0]
  for (let end = 1; end < places.length; end++) {
    let [cost, from] = [Number.POSITIVE_INFINITY, end - 1]
    for (let start = end - 1; start >= 0; start--) {
      const bytes = before[places[end]!]! - before[places[start]!]!
      if (bytes > bytesMax && start < end - 1) break
      if (costs[start]! < cost) [cost, from] = [costs[start]!, start]
    }
    costs.push(cost + crossing[places[end]!]!)
    previous.push(from)
  }
  const cuts: number[] = []
  for (let at = previous.at(-1)!; at > 0; at = previous[at]!) cuts.unshift(places[at]!)
  return cuts
}
