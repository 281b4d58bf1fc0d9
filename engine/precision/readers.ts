/**
 * What the readers of a value want of it, found by going through a training graph from its end: whether anybody reads
 * it in half, whether only the graph's outputs come of it, and how many of its elements are added up. What follows for
 * a node is mixed.ts's.
 */
import type { GraphBuilder, TypedNode, Value } from '../graph/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'
import type { PrecisionClass } from './classes.ts'

/** A training graph in float32, to be written in float16. */
export interface FullGraph {
  /** Only read. */
  readonly builder: GraphBuilder
  /** All of the graph's; they stay float32. */
  readonly inputs: readonly Value[]
  /** Values that stay float32. */
  readonly outputs: readonly Value[]
  /** Nodes that stay float32, whatever their operator: the loss. */
  readonly pinned: ReadonlySet<TypedNode>
}

/** Who reads what a node makes, as far as it decides about the node's form. */
export interface Readers {
  /** Nodes whose results nobody reads in half. */
  readonly wantedFull: ReadonlySet<TypedNode>
  /** Those of them whose results are read by the graph's outputs alone, through moves and sums. */
  readonly ending: ReadonlySet<TypedNode>
}

/** `classOf`: of a node of the graph. */
export function readersOf(
  { builder, outputs }: FullGraph,
  classOf: (node: TypedNode) => PrecisionClass,
): Readers {
  const [wantedFull, ending] = [new Set<TypedNode>(), new Set<TypedNode>()]
  /** Names of values that somebody reads; that somebody reads in half; that a node reads which is not ending. */
  const read = new Set(outputs.map(({ name }) => name))
  const [readInHalf, readOn] = [new Set<string>(), new Set<string>()]
  for (const node of builder.nodes.toReversed()) {
    const results = node.outputs.filter((value) => value?.dtype === 'float32') as Value[]
    const kind = classOf(node)
    const hasReaders = results.some(({ name }) => read.has(name))
    const isWanted = hasReaders && results.every(({ name }) => !readInHalf.has(name))
    const isEnding =
      (kind === 'exact' || kind === 'arithmetic') &&
      hasReaders &&
      results.every(({ name }) => !readOn.has(name))
    if (isWanted) wantedFull.add(node)
    if (isEnding) ending.add(node)
    const readsFull = kind === 'full' || kind === 'bounded' || isEnding || (kind === 'exact' && isWanted)
    for (const value of node.inputs) {
      if (value === null) continue
      read.add(value.name)
      if (!readsFull) readInHalf.add(value.name)
      if (!isEnding) readOn.add(value.name)
    }
  }
  return { wantedFull, ending }
}

/** For each value that a sum alone reads, how many of its elements are added up to one. */
export function summedElements({ builder, outputs }: FullGraph): ReadonlyMap<string, number> {
  const readers = new Map<string, TypedNode[]>()
  for (const node of builder.nodes) {
    for (const value of node.inputs) {
      if (value !== null) readers.set(value.name, [...(readers.get(value.name) ?? []), node])
    }
  }
  for (const { name } of outputs) readers.delete(name)
  const summed = new Map<string, number>()
  for (const [name, [sum, other]] of readers) {
    if (sum!.opType !== 'ReduceSum' || other !== undefined) continue
    summed.set(name, sizeOf(sum!.inputs[0]!.shape) / Math.max(1, sizeOf(sum!.outputs[0]!.shape)))
  }
  return summed
}
