/**
 * Branches and loops whose course is known when shapes are: a branch becomes its nodes, a loop one copy of its body for
 * each turn.
 *
 * PyTorch's exporters write them for EmbeddingBag, for squeezes of open dimensions and for loops of scripted code. A
 * loop is taken apart turn by turn, because its condition may follow from the turn before. What does not change from
 * turn to turn is made once, so a condition that never changes lets all turns be written at once. Whether a condition
 * is known yet is resolve.ts's to say.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { loopTurnsMax } from '../../protocols/core/limits.ts'
import {
  type Attribute,
  firstOutput,
  int,
  intOf,
  madeName,
  type Node,
  oneOutput,
  type Subgraph,
} from '../onnx/graph.ts'
import { type Constant, int64Constant, numbersOf } from '../onnx/types.ts'

/** What takes the place of a branch or a turn. */
export interface Inlined {
  readonly nodes: readonly Node[]
  readonly constants: ReadonlyMap<string, Constant>
  /** Names that stand for others from now on. */
  readonly aliases: ReadonlyMap<string, string>
}

/** The body `name` of a node with subgraphs. */
export function subgraphOf({ attributes }: Node, name: string): Subgraph {
  const attribute = attributes[name]
  if (attribute?.kind === 'graph') return attribute.value
  throw invalid(`a node with subgraphs has no '${name}'`)
}

/**
 * Checks that the subgraphs of `node`, as the file has it, take and make as many values as it does itself (ONNX,
 * Operators.md, If, Loop and Scan).
 * @throws {SwarmError} MODEL_INVALID when they do not.
 */
export function checkSubgraphs(node: Node): void {
  const { opType, name, inputs, outputs, attributes } = node
  const taken = opType === 'If' ? 0 : inputs.length
  const made = outputs.length + (opType === 'Loop' ? 1 : 0) // whether it goes on
  for (const key of subgraphKeys.get(opType) ?? []) {
    const graph = subgraphOf(node, key)
    if (graph.inputs.length === taken && graph.outputs.length === made) continue
    throw invalid(
      `'${key}' of ${opType} (node '${name}') takes ${graph.inputs.length} values and makes ${graph.outputs.length}, not ${taken} and ${made}`,
    )
  }
  if (turnKey in attributes || scanKey in attributes) throw invalid(`node '${name}' has turns behind it`)
}

const subgraphKeys: ReadonlyMap<string, readonly string[]> = new Map([
  ['If', ['then_branch', 'else_branch']],
  ['Loop', ['body']],
  ['Scan', ['body']],
])

function invalid(problem: string): SwarmError {
  return new SwarmError('MODEL_INVALID', problem, {
    hint: 'Check the file with onnx.checker.check_model(path).',
  })
}

/** Names that `graph` reads and does not make. */
export function capturedBy({ nodes, constants, inputs, outputs }: Subgraph): string[] {
  const own = new Set(['', ...inputs, ...constants.keys(), ...nodes.flatMap((node) => node.outputs)])
  const read = [...nodes.flatMap((node) => node.inputs), ...outputs]
  return [...new Set(read.filter((name) => !own.has(name)))]
}

/** The branch of an If that `isTaken` chooses. Its names are unique in the whole model (unique-names.ts). */
export function inlineBranch(node: Node, isTaken: boolean): Inlined {
  const { nodes, constants, outputs } = subgraphOf(node, isTaken ? 'then_branch' : 'else_branch')
  return {
    nodes,
    constants,
    aliases: named(node.outputs, outputs),
  }
}

/** By those of `outputs` that are not left out, what stands for them: the `values` at their places. */
function named(outputs: readonly string[], values: readonly string[]): Map<string, string> {
  return new Map(outputs.flatMap((output, index) => (output === '' ? [] : [[output, values[index]!]])))
}

/**
 * One turn of a Loop, followed by a Loop of the turns that are left; or what stands after its last turn. `turns` and
 * `goesOn`: the values of its first two inputs, null where they are left out.
 * @throws {SwarmError} MODEL_UNSUPPORTED after `loopTurnsMax` turns, or for a loop that makes an output and never
 * turns.
 */
export function inlineTurn(node: Node, turns: Constant | null, goesOn: Constant | null): Inlined {
  const turn = intOf(node.attributes, turnKey, 0)
  const isOver = (turns !== null && turn >= numbersOf(turns)[0]!) || goesOn?.data[0] === 0
  if (isOver) return afterLastTurn(node)
  checkTurns(node, turn + 1)
  return takenTurn(node, turn)
}

/**
 * @throws {SwarmError} MODEL_UNSUPPORTED when `turns`, of the Loop or Scan `node`, are more than `loopTurnsMax`.
 */
export function checkTurns({ opType, name }: Node, turns: number): void {
  if (turns <= loopTurnsMax) return
  throw new SwarmError(
    'MODEL_UNSUPPORTED',
    `${opType} (node '${name}') turns more than ${loopTurnsMax} times`,
    { hint: 'Express the loop with tensor operations, over a dimension instead of a counter.' },
  )
}

/** Turn `turn` of the Loop `node`, and the Loop of those after it. */
function takenTurn(node: Node, turn: number): Inlined {
  const body = subgraphOf(node, 'body')
  const [number = '', condition = '', ...carried] = body.inputs
  const made = firstOutput(node)
  const prefix = madeName(madeName(made, turn), '')
  const [turnNow, goesOn] = [madeName(made, `turn ${turn}`), madeName(made, `goes on ${turn}`)]
  const once = invariantsOf(body)
  const local = localNames(body, once)
  const given = new Map([
    [number, turnNow],
    [condition, goesOn],
    ...carried.map((name, index) => [name, node.inputs[2 + index]!] as const),
  ])
  const rename = (name: string) => given.get(name) ?? (local.has(name) ? `${prefix}${name}` : name)
  const nodes = body.nodes.flatMap((inner) =>
    once.has(inner) ? (turn === 0 ? [inner] : []) : [renamed(inner, rename, prefix)],
  )
  const constants = new Map<string, Constant>([
    ...(turn === 0 ? body.constants : []),
    [turnNow, { ...int64Constant([turn]), shape: [] }],
    [goesOn, { dtype: 'bool', shape: [], data: Uint8Array.of(1) }],
  ])
  const rest = turnsLeft(node, turn, carried.length, body.outputs.map(rename))
  return { nodes: [...nodes, rest], constants, aliases: new Map() }
}

/** The Loop of the turns behind `turn`, which left `made`: whether it goes on, `carried` values, and what is joined. */
function turnsLeft(node: Node, turn: number, carried: number, made: readonly string[]): Node {
  const { inputs, attributes } = node
  const joins = [...scansOf(node), ...made.slice(1 + carried)]
  return {
    ...node,
    inputs: [inputs[0]!, ...made.slice(0, 1 + carried), ...inputs.slice(2 + carried)],
    attributes: { ...attributes, [turnKey]: int(turn + 1), [scanKey]: { kind: 'strings', value: joins } },
  }
}

/**
 * Attributes with which a Loop that is being taken apart remembers its turns: how many, and what they made, turn by
 * turn.
 */
const turnKey = '/turn'
const scanKey = '/scans'

function scansOf({ attributes }: Node): readonly string[] {
  const attribute = attributes[scanKey]
  return attribute?.kind === 'strings' ? attribute.value : []
}

/** Carried values are those of the last turn; what each turn made is joined along a new first dimension. */
function afterLastTurn(node: Node): Inlined {
  const body = subgraphOf(node, 'body')
  const carried = body.inputs.length - 2
  const aliases = named(node.outputs.slice(0, carried), node.inputs.slice(2))
  const scans = scansOf(node)
  const constants = new Map<string, Constant>()
  const joins = node.outputs.slice(carried).flatMap((output, index) => {
    if (output === '') return []
    const parts = scans.filter((_, place) => place % (node.outputs.length - carried) === index)
    if (parts.length === 0) {
      throw new SwarmError('MODEL_UNSUPPORTED', `Loop (node '${node.name}') never turns`, {
        hint: 'Export without the loop.',
      })
    }
    const axes = madeName(output, 'axes')
    constants.set(axes, int64Constant([0]))
    return joined(parts, output, 0, axes)
  })
  return { nodes: joins, constants, aliases }
}

/** Nodes that join `parts` to `output` along `axis`, a new dimension when `newAxis` names a constant that holds it. */
export function joined(
  parts: readonly string[],
  output: string,
  axis: number,
  newAxis: string | null,
): Node[] {
  const whole = newAxis === null ? parts : parts.map((_, index) => madeName(output, `part ${index}`))
  const widened =
    newAxis === null ? [] : parts.map((part, index) => oneOutput('Unsqueeze', [part, newAxis], whole[index]!))
  return [...widened, oneOutput('Concat', whole, output, { axis: int(axis) })]
}

/** Nodes of a loop's body that give the same in every turn. */
function invariantsOf({ nodes, inputs }: Subgraph): ReadonlySet<Node> {
  const moving = new Set(inputs)
  const once = new Set<Node>()
  for (const node of nodes) {
    if (!node.inputs.some((name) => moving.has(name))) once.add(node)
    else for (const output of node.outputs) moving.add(output)
  }
  return once
}

/** Nodes of `graph` and of all that lies in it, counted once for each body. */
export function nodesWithin(graph: Subgraph): number {
  const counted = withinCounts.get(graph)
  if (counted !== undefined) return counted
  let count = graph.nodes.length
  for (const { attributes } of graph.nodes) {
    for (const attribute of Object.values(attributes)) {
      if (attribute.kind === 'graph') count += nodesWithin(attribute.value)
    }
  }
  withinCounts.set(graph, count)
  return count
}

const withinCounts = new WeakMap<Subgraph, number>()

/** Values of a body, and of what lies in it, that need another name in each turn. */
function localNames({ nodes }: Subgraph, once: ReadonlySet<Node>): ReadonlySet<string> {
  const names = new Set<string>()
  const visit = (node: Node) => {
    for (const name of node.outputs) names.add(name)
    for (const attribute of Object.values(node.attributes)) {
      if (attribute.kind !== 'graph') continue
      for (const name of [...attribute.value.inputs, ...attribute.value.constants.keys()]) names.add(name)
      attribute.value.nodes.forEach(visit)
    }
  }
  for (const node of nodes) if (!once.has(node)) visit(node)
  names.delete('')
  return names
}

/** `node` with its values in other names, and `prefix` before its own. */
function renamed(node: Node, rename: (name: string) => string, prefix: string): Node {
  const attributes = Object.entries(node.attributes).map(([key, attribute]): [string, Attribute] =>
    attribute.kind === 'graph'
      ? [key, { kind: 'graph', value: renamedGraph(attribute.value, rename, prefix) }]
      : [key, attribute],
  )
  return {
    ...node,
    name: node.name && `${prefix}${node.name}`,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
    attributes: Object.fromEntries(attributes),
  }
}

function renamedGraph(graph: Subgraph, rename: (name: string) => string, prefix: string): Subgraph {
  return {
    nodes: graph.nodes.map((node) => renamed(node, rename, prefix)),
    constants: new Map([...graph.constants].map(([name, value]) => [rename(name), value])),
    inputs: graph.inputs.map(rename),
    outputs: graph.outputs.map(rename),
  }
}
