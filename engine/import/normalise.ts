/**
 * Brings exported graphs to one form, so that every later stage meets one spelling of each thing.
 *
 * Constant nodes become constants; Dropout (training happens without it) and Identity disappear, unless it cuts off a
 * gradient (detached.ts); nodes that the chosen output does not need are dropped; operators older than set 18 are
 * rewritten to that set's form (upgrade.ts). Needs no types; what needs them is resolve.ts and rewrite.ts.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { withCuts } from '../onnx/detached.ts'
import {
  type Attribute,
  type Graph,
  type Model,
  type Node,
  neededNodes,
  type Subgraph,
} from '../onnx/graph.ts'
import { type Constant, float32Constant, int64Constant } from '../onnx/types.ts'
import { capturedBy, checkSubgraphs } from './control.ts'
import { upgrade } from './upgrade.ts'

/**
 * `model`'s graph in normal form, cut down to what `output` needs. `merged`: tensors that the exporter had left out
 * because they were equal to another one, to that one; they stand among the constants again, on their own.
 * Names are unique (unique-names.ts).
 * @throws {SwarmError} MODEL_UNSUPPORTED for a constant of a form that this engine does not carry.
 */
export function normalise(
  { graph, opset, roles, detached }: Model,
  output: string,
): { graph: Graph; merged: ReadonlyMap<string, string> } {
  const constants = new Map(graph.constants)
  const merged = new Map<string, string>()
  const aliases = new Map<string, string>()
  const file = { opset, aliases, detached }
  const nodes: Node[] = []
  for (const original of graph.nodes) {
    if (isMergedTensor(original, graph, roles)) {
      const [output, input] = [original.outputs[0]!, original.inputs[0]!]
      merged.set(output, input)
      constants.set(output, graph.constants.get(input)!)
    } else nodes.push(...normaliseNode(original, file, constants))
  }
  const outputs = [aliases.get(output) ?? output]
  const result = { ...graph, nodes: cut(nodes, file), constants, outputs }
  return { graph: prune(result), merged }
}

/** What holds for a graph and all that is inside it. */
interface File extends Pick<Model, 'opset' | 'detached'> {
  /** Values that turned out to be another one. */
  readonly aliases: Map<string, string>
}

/** What becomes of a node. `constants` and the file's aliases take what is none any more. */
function normaliseNode(original: Node, file: File, constants: Map<string, Constant>): Node[] {
  const { opset, aliases } = file
  const node = { ...original, inputs: original.inputs.map((name) => aliases.get(name) ?? name) }
  if (node.domain === '' && node.opType === 'Constant') constants.set(node.outputs[0]!, constantValue(node))
  else if (isPassThrough(node, file)) aliases.set(node.outputs[0]!, node.inputs[0]!)
  else {
    return upgrade(withSubgraphs(node, file), opset, (name, value) => constants.set(name, value))
  }
  return []
}

/** `node` with its subgraphs in normal form too. What they read of the graph around them follows its own inputs. */
function withSubgraphs(node: Node, file: File): Node {
  checkSubgraphs(node)
  const captured = new Set<string>()
  const attributes = Object.entries(node.attributes).map(([key, attribute]): [string, Attribute] => {
    if (attribute.kind !== 'graph') return [key, attribute]
    const constants = new Map(attribute.value.constants)
    const nodes = attribute.value.nodes.flatMap((inner) => normaliseNode(inner, file, constants))
    const outputs = attribute.value.outputs.map((name) => file.aliases.get(name) ?? name)
    const value = prune({ ...attribute.value, nodes: cut(nodes, file), constants, outputs })
    for (const name of capturedBy(value)) captured.add(name)
    return [key, { kind: 'graph', value }]
  })
  if (captured.size === 0) return { ...node, attributes: Object.fromEntries(attributes) }
  return { ...node, inputs: [...node.inputs, ...captured], attributes: Object.fromEntries(attributes) }
}

/**
 * Whether `node` stands for a tensor of the module that TorchScript's exporter found equal to another: it keeps one of
 * the two and makes the other an Identity of it, under its own name in the module. Nodes of the traced code have names
 * with a slash in front, and truly shared tensors have no Identity. What it folded (`onnx::Add_7`: a part of a bias, a
 * weight transposed) is equal to another by chance only where its elements are all alike; else one tensor was folded
 * twice.
 */
function isMergedTensor(node: Node, { constants }: Graph, roles: Model['roles']): boolean {
  const name = node.outputs[0]!
  const tensor = constants.get(node.inputs[0]!)
  if (node.opType !== 'Identity' || tensor === undefined || roles.size > 0) return false
  if (name.startsWith('onnx::')) return isUniform(tensor)
  return name.includes('.') && !name.startsWith('/')
}

/** Whether all elements are the same, as those of a bias are before it is trained. */
function isUniform({ data }: Constant): boolean {
  for (const value of data) if (value !== data[0]) return false
  return true
}

/** `graph` without the nodes and constants that none of its outputs needs. */
function prune<Whole extends Graph | Subgraph>(graph: Whole): Whole {
  const needed = new Set(graph.outputs)
  const nodes = neededNodes(graph.nodes, needed)
  const constants = new Map([...graph.constants].filter(([name]) => needed.has(name)))
  return { ...graph, nodes, constants }
}

function isPassThrough({ domain, opType, outputs }: Node, { detached }: File): boolean {
  if (domain !== '') return false
  const isCut = typeof detached === 'object' && detached?.has(outputs[0]!)
  return opType === 'Dropout' || (opType === 'Identity' && !isCut)
}

/** `nodes` with the cuts that the file does not note. */
function cut(nodes: Node[], { detached }: File): Node[] {
  return detached === null || detached === 'dropped' ? withCuts(nodes) : nodes
}

function constantValue({ name, attributes }: Node): Constant {
  const [form, attribute] = Object.entries(attributes)[0] ?? ['', undefined]
  switch (attribute?.kind) {
    case 'tensor':
      return attribute.value
    case 'float':
      return float32Constant(Float32Array.of(attribute.value), [])
    case 'floats':
      return float32Constant(Float32Array.from(attribute.value), [attribute.value.length])
    case 'int':
      return { ...int64Constant([attribute.value]), shape: [] }
    case 'ints':
      return int64Constant(attribute.value)
    default:
      throw new SwarmError('MODEL_UNSUPPORTED', `constant '${name}' has a value of the form '${form}'`)
  }
}
