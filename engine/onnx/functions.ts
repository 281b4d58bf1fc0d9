/**
 * Calls of a file's own functions, with what the functions do in their place (ONNX, IR.md, "Functions").
 *
 * PyTorch 2.1 to 2.4 wrote every operator as a call. A function sees nothing of the graph around it: its inputs and
 * outputs take the names that they have in the call, all others that of the call's first output in front, between
 * slashes; where this gives a name that is taken, a number stands between them. A call's attributes stand where its
 * function refers to them. Functions call functions; nodes are counted while they are written, because a few that call
 * each other twice are a million.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { functionDepthMax, graphNodesMax } from '../../protocols/core/limits.ts'
import type { AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto } from './generated/onnx_pb.ts'

/**
 * The nodes of `model`'s graph without a call. The model stays as it is.
 * @throws {SwarmError} MODEL_INVALID for calls without an end, or of more nodes than a graph may have;
 *   MODEL_UNSUPPORTED for a function of another operator set than the model's.
 */
export function withoutCalls(model: ModelProto): readonly NodeProto[] {
  const { graph, functions } = model
  if (functions.length === 0) return graph!.node
  const opset = opsetOf(model)
  const known = new Map(functions.map((one) => [idOf(one.domain, one.name, one.overload), one] as const))
  const other = functions.find((one) => (opsetOf(one) ?? opset) !== opset)
  if (other !== undefined) {
    throw new SwarmError(
      'MODEL_UNSUPPORTED',
      `function '${other.name}' is of operator set ${opsetOf(other)}, its model of ${opset}`,
      { hint: 'Inline it: onnx.inliner.inline_local_functions(model, convert_version=True).' },
    )
  }
  return new Inliner(known, new Set(namesOf(graph!))).expand(graph!.node, 0)
}

class Inliner {
  readonly #functions: ReadonlyMap<string, FunctionProto>
  /** The graph's own names and those given so far. */
  readonly #taken: Set<string>
  #written = 0
  #numbered = 0

  /** `taken`: names that no value of a function gets; the inliner's from now on. */
  constructor(functions: ReadonlyMap<string, FunctionProto>, taken: Set<string>) {
    this.#functions = functions
    this.#taken = taken
  }

  /** `nodes` without a call, in themselves and in their subgraphs. `depth`: calls around them. */
  expand(nodes: readonly NodeProto[], depth: number): NodeProto[] {
    return nodes.flatMap((node) => {
      this.#count()
      const called = this.#functions.get(idOf(node.domain, node.opType, node.overload))
      if (called !== undefined) return this.expand(this.#bodyOf(called, node, depth), depth + 1)
      return [withGraphs(node, (graph) => ({ ...graph, node: this.expand(graph.node, depth) }))]
    })
  }

  /** What `call` of `called` does, in the names of the graph around it. */
  #bodyOf(called: FunctionProto, call: NodeProto, depth: number): NodeProto[] {
    if (depth >= functionDepthMax)
      throw tooLarge(`'${called.name}' is called inside more than ${functionDepthMax} calls`)
    const prefix = this.#prefixOf(called, call)
    const given = new Map([
      ...called.output.map((name, index) => [name, call.output[index] || `${prefix}${name}`] as const),
      ...called.input.map((name, index) => [name, call.input[index] ?? ''] as const),
    ])
    const rename = (name: string) => (name === '' ? '' : (given.get(name) ?? `${prefix}${name}`))
    const values = new Map(
      [...called.attributeProto, ...call.attribute].map((attribute) => [attribute.name, attribute]),
    )
    return called.node.map((node) => renamed(node, rename, values))
  }

  /** What stands in front of the inner names of `call`, which are taken from now on. A number is tried only once. */
  #prefixOf(called: FunctionProto, call: NodeProto): string {
    const inner = [...called.output, ...called.node.flatMap(definedBy)]
    const base = `/${call.output.find((name) => name !== '')}/`
    let prefix = base
    let names = inner.map((name) => `${prefix}${name}`)
    while (names.some((name) => this.#taken.has(name))) {
      this.#numbered++
      prefix = `${base}${this.#numbered}/`
      names = inner.map((name) => `${prefix}${name}`)
    }
    for (const name of names) this.#taken.add(name)
    return prefix
  }

  #count(): void {
    this.#written++
    if (this.#written > graphNodesMax) throw tooLarge(`they make more than ${graphNodesMax} nodes and calls`)
  }
}

/** `node` in other names, with `values` where it refers to attributes of its function. */
function renamed(
  node: NodeProto,
  rename: (name: string) => string,
  values: ReadonlyMap<string, AttributeProto>,
): NodeProto {
  const attribute = node.attribute.flatMap((own) => {
    if (own.refAttrName === '') return [own]
    const value = values.get(own.refAttrName)
    return value === undefined ? [] : [{ ...value, name: own.name }] // left out by the call, with no default
  })
  const names = { name: rename(node.name), input: node.input.map(rename), output: node.output.map(rename) }
  return withGraphs({ ...node, ...names, attribute }, (graph) => renamedGraph(graph, rename, values))
}

function renamedGraph(
  graph: GraphProto,
  rename: (name: string) => string,
  values: ReadonlyMap<string, AttributeProto>,
): GraphProto {
  const named = <Item extends { name: string }>(items: readonly Item[]) =>
    items.map((item) => ({ ...item, name: rename(item.name) }))
  return {
    ...graph,
    node: graph.node.map((node) => renamed(node, rename, values)),
    initializer: named(graph.initializer),
    input: named(graph.input),
    output: named(graph.output),
  }
}

/** Names that `graph` gives to values and nodes, itself and in its subgraphs. */
function namesOf({ initializer, input, node }: GraphProto): string[] {
  return [...[...initializer, ...input].map(({ name }) => name), ...node.flatMap(definedBy)]
}

/** The name of `node`, and those that it gives to its outputs and inside its subgraphs. */
function definedBy({ name, output, attribute }: NodeProto): string[] {
  return [name, ...output, ...attribute.flatMap(({ g }) => (g === undefined ? [] : namesOf(g)))]
}

/** `node` with each graph in it after `change`. */
function withGraphs(node: NodeProto, change: (graph: GraphProto) => GraphProto): NodeProto {
  if (node.attribute.every(({ g }) => g === undefined)) return node
  const attribute = node.attribute.map((own) => (own.g === undefined ? own : { ...own, g: change(own.g) }))
  return { ...node, attribute }
}

function idOf(domain: string, name: string, overload: string): string {
  return JSON.stringify([domain, name, overload])
}

/** The version of ONNX's own operators that `holder` uses; undefined when it uses none. */
function opsetOf({ opsetImport }: Pick<ModelProto, 'opsetImport'>): bigint | undefined {
  return opsetImport.find(({ domain }) => domain === '' || domain === 'ai.onnx')?.version
}

function tooLarge(problem: string): SwarmError {
  return new SwarmError('MODEL_INVALID', `the model's functions are too much: ${problem}`, {
    hint: 'Check the file with onnx.checker.check_model(path).',
  })
}
