/**
 * One name for one value in the whole model, so that the nodes of a branch or a body can stand in the graph around it.
 *
 * ONNX gives names to a graph and what lies inside it: branches beside each other may use the same ones (IR.md, "Names
 * Within a Graph"). A value of a subgraph whose name is taken gets another one here; those of the graph itself, among
 * them all parameters, keep the file's. What is read is found from the inside out, as onnxruntime finds it; each value
 * is made once and before it is read, so no later pass can walk in a circle. What later passes make has a mark in its
 * name, which no name of a file may have.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import {
  type Attribute,
  type Detached,
  type Graph,
  type Model,
  madeMark,
  type Node,
  type Subgraph,
} from '../onnx/graph.ts'

/**
 * `model` with every value, and every node, of its subgraphs under a name of its own.
 * @throws {SwarmError} MODEL_INVALID for a value that is made twice, or read before it is made; MODEL_UNSUPPORTED for
 *   one whose name has the mark of made ones.
 */
export function withUniqueNames(model: Model): Model {
  const inputs = model.graph.inputs.map(({ name }) => name)
  const naming = new Naming()
  const { nodes, outputs } = naming.name({ ...model.graph, inputs }, null)
  return { ...model, graph: { ...model.graph, nodes, outputs }, detached: naming.follow(model.detached) }
}

/** Names of all values that `graph` itself takes, holds or makes. */
export function namesOf({ inputs, constants, nodes }: Graph): Set<string> {
  return new Set([
    ...inputs.map(({ name }) => name),
    ...constants.keys(),
    ...nodes.flatMap(({ outputs }) => outputs),
  ])
}

/** The values of one graph. */
interface Scope {
  /** Names of all that it makes, sooner or later. */
  readonly own: ReadonlySet<string>
  /** By the names of what it has made by now, the unique ones. */
  readonly made: Map<string, string>
  /** Of the graph around it. */
  readonly outer: Scope | null
}

class Naming {
  readonly #taken = new Set<string>()
  /** Names of nodes: onnxruntime takes no two of one name in a graph. */
  readonly #nodes = new Set<string>()
  /** The file's names of values that have got another one, by that. */
  readonly #former = new Map<string, string>()
  #numbered = 0

  /** `graph` in unique names, inside the graph of `outer`; null around the whole. */
  name(graph: Subgraph, outer: Scope | null): Subgraph {
    const { inputs, constants, nodes } = graph
    const own = new Set([...inputs, ...constants.keys(), ...nodes.flatMap(({ outputs }) => outputs)])
    const scope: Scope = { own, made: new Map(), outer }
    // whatever lies inside gives way to the graph itself, whose names are the file's to the end
    if (outer === null) {
      for (const name of own) this.#taken.add(name)
      for (const { name } of nodes) this.#nodes.add(name)
    }
    return {
      inputs: inputs.map((name) => this.#make(scope, name)),
      constants: new Map([...constants].map(([name, value]) => [this.#make(scope, name), value])),
      nodes: nodes.map((node) => this.#nameNode(node, scope)),
      outputs: graph.outputs.map((name) => read(scope, name, 'the graph')),
    }
  }

  /** `detached` under the names that its values have now. */
  follow(detached: Detached): Detached {
    if (detached === null || detached === 'dropped') return detached
    const renamed = [...this.#former].filter(([, name]) => detached.has(name))
    return new Set([...detached, ...renamed.map(([unique]) => unique)])
  }

  #nameNode(node: Node, scope: Scope): Node {
    const reader = `node '${node.name}' (${node.opType})`
    const inputs = node.inputs.map((name) => (name === '' ? '' : read(scope, name, reader)))
    const attributes = Object.entries(node.attributes).map(([key, attribute]): [string, Attribute] =>
      attribute.kind === 'graph'
        ? [key, { kind: 'graph', value: this.name(attribute.value, scope) }]
        : [key, attribute],
    )
    const outputs = node.outputs.map((name) => (name === '' ? '' : this.#make(scope, name)))
    const name = scope.outer === null || node.name === '' ? node.name : this.#free(node.name, this.#nodes)
    return { ...node, name, inputs, outputs, attributes: Object.fromEntries(attributes) }
  }

  /** Notes that `scope` has made `name`. Returns the unique name. */
  #make(scope: Scope, name: string): string {
    if (name.includes(madeMark)) throw marked(name)
    if (scope.made.has(name)) throw invalid(`the value '${name}' is made twice in one graph`)
    const unique = scope.outer === null ? name : this.#free(name, this.#taken)
    scope.made.set(name, unique)
    if (unique !== name) this.#former.set(unique, name)
    return unique
  }

  /** `name`, or one made from it that is not `taken`; it is from now on. A number is tried only once. */
  #free(name: string, taken: Set<string>): string {
    let free = name
    while (taken.has(free)) free = `${name}/${++this.#numbered}`
    taken.add(free)
    return free
  }
}

/** The unique name of what `reader`, inside `scope`, reads as `name`. */
function read(scope: Scope, name: string, reader: string): string {
  for (let at: Scope | null = scope; at !== null; at = at.outer) {
    const unique = at.made.get(name)
    if (unique !== undefined) return unique
    if (at.own.has(name)) break // made, and too late
  }
  throw invalid(`${reader} reads '${name}', which nothing made before it`)
}

function marked(name: string): SwarmError {
  return new SwarmError('MODEL_UNSUPPORTED', `the value '${name}' has '${madeMark}' in its name`, {
    hint: `Rename it: names with '${madeMark}' are kept for values that are made while the model is read.`,
  })
}

function invalid(problem: string): SwarmError {
  return new SwarmError('MODEL_INVALID', problem, {
    hint: 'Check the file with onnx.checker.check_model(path).',
  })
}
