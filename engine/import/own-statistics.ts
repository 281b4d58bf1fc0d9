/**
 * Gives each BatchNormalization a running mean and variance of its own.
 *
 * Exporters merge equal tensors, and in a fresh model all running means are zeros and all variances ones, as biases and
 * scales are. Statistics that modules share would be moved by all of them, and one that is also a weight would be
 * trained. A module that stands in the graph several times shares scale, bias and statistics, and keeps them shared.
 */
import type { Graph, Node } from '../onnx/graph.ts'
import type { Constant } from '../onnx/types.ts'

/** Inputs of a BatchNormalization that are statistics, and how PyTorch names them. */
const slots = [
  [3, 'running_mean'],
  [4, 'running_var'],
] as const

/**
 * The name of a copy that the node with the first output `output` gets for its statistic `slot`. It goes into the file
 * that is written back, so it has no mark (graph.ts), and is one by which ownerOf finds the node.
 */
function ownName(output: string, slot: (typeof slots)[number][1]): string {
  return `${output}/${slot}`
}

/** Stands behind the name of a copy, as often as it takes to be no name of the file. */
const another = '+'

/**
 * `graph` with statistics that only one module reads. `taken`: names of the file's values. `copies`: the names that
 * the graph has got for that.
 */
export function ownStatistics(
  graph: Graph,
  taken: ReadonlySet<string>,
): { graph: Graph; copies: readonly string[] } {
  const copied = new Map<string, Constant>()
  const readers = readersOf(graph.nodes)
  const nodes = graph.nodes.map((node) => {
    if (node.opType !== 'BatchNormalization') return node
    const inputs = [...node.inputs]
    for (const [index, slot] of slots) {
      const constant = graph.constants.get(node.inputs[index]!)
      if (constant === undefined || readers.get(node.inputs[index]!)!.size < 2) continue
      let name = ownName(node.outputs[0]!, slot)
      while (taken.has(name)) name += another
      inputs[index] = name
      copied.set(name, constant)
    }
    return { ...node, inputs }
  })
  const constants = new Map([...graph.constants, ...copied])
  return { graph: { ...graph, nodes, constants }, copies: [...copied.keys()] }
}

/**
 * Finds the input that a statistic's copy named `name` belongs to, among nodes as a file has them.
 * @returns the node and the input's index; null when `name` is not such a name.
 */
export function ownerOf<Found extends { opType: string; output: readonly string[] }>(
  nodes: readonly Found[],
  name: string,
): { node: Found; index: number } | null {
  let plain = name
  while (plain.endsWith(another)) plain = plain.slice(0, -another.length)
  for (const node of nodes) {
    if (node.opType !== 'BatchNormalization') continue
    const slot = slots.find(([, kind]) => ownName(node.output[0]!, kind) === plain)
    if (slot !== undefined) return { node, index: slot[0] }
  }
  return null
}

/** By the names of tensors, who reads them: modules with the place of the input, and all other nodes as one. */
function readersOf(nodes: readonly Node[]): ReadonlyMap<string, ReadonlySet<string>> {
  const readers = new Map<string, Set<string>>()
  for (const { opType, inputs } of nodes) {
    const module = opType === 'BatchNormalization' ? `${inputs.slice(1)}` : null
    for (const [index, input] of inputs.entries()) {
      const known = readers.get(input) ?? new Set()
      readers.set(input, known.add(module === null ? '' : `${index} ${module}`))
    }
  }
  return readers
}
