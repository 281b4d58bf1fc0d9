/**
 * Describes a model file before anything is compiled or run: parameters, operators, what cannot be trained and how to
 * mend it. Needs no runtime, so a page or a command line can answer at once. What only shows when shapes are known,
 * `compileProgram` reports.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { gradientFlows, ruleOf } from '../gradients/rules.ts'
import { type PreparedModel, type PrepareOptions, prepare } from '../import/import-model.ts'
import { fixedBatchOf } from '../import/model-inputs.ts'
import type { LossKind } from '../loss/loss.ts'
import type { Graph, Node } from '../onnx/graph.ts'
import { isHalf } from '../onnx/half.ts'
import { readModel } from '../onnx/read.ts'
import type { Constant } from '../onnx/types.ts'
import { exporterWarnings } from './exporter-warnings.ts'
import { gradientWarnings } from './gradient-warnings.ts'

export interface ModelReport {
  readonly opset: number
  readonly inputs: readonly { name: string; dtype: string; shape: readonly (number | string)[] }[]
  /** Samples of one step where the file fixes them; null where the batch is open. */
  readonly fixedBatch: number | null
  readonly outputs: readonly string[]
  readonly parameters: readonly { name: string; shape: readonly number[]; length: number }[]
  readonly parameterCount: number
  /** Nodes between the inputs and the output, by operator. */
  readonly operators: Readonly<Record<string, number>>
  /** Nodes that refuse the model, in execution order. Empty for a model that can be trained. */
  readonly unsupported: readonly UnsupportedNode[]
  /** What trains, and perhaps not as meant: one sentence each, with the remedy. */
  readonly warnings: readonly string[]
  /** What training does otherwise than running the file: one sentence each. */
  readonly notes: readonly string[]
  /** Losses that fit what the output can be; the labels decide between them. */
  readonly losses: readonly LossKind[]
}

export interface UnsupportedNode {
  readonly node: string
  readonly operator: string
  readonly reason: string
  readonly remedy: string
}

export interface ValidateOptions extends PrepareOptions {
  /** The job's; by default, what is said of a loss is said of all that fit the output. */
  loss?: LossKind | undefined
}

/**
 * Describes `model` (ONNX bytes, borrowed).
 * @throws {SwarmError} MODEL_INVALID or MODEL_UNSUPPORTED when the file cannot be read at all, or has several outputs
 *   and `outputName` chooses none.
 */
export function validate(model: Uint8Array, options: ValidateOptions = {}): ModelReport {
  const read = readModel(model)
  const prepared = prepare(read, gradientFlows, options)
  const { graph, parameters: tensors, statistics } = prepared
  const losses = lossesFor(read.outputShapes.get(options.outputName ?? read.graph.outputs[0]!))
  const parameters = [...tensors].map(([name, { shape, data }]) => ({ name, shape, length: data.length }))
  return {
    opset: read.opset,
    inputs: read.graph.inputs,
    fixedBatch: fixedBatchOf(read.graph.inputs),
    outputs: read.graph.outputs,
    parameters,
    parameterCount: parameters.reduce((sum, { length }) => sum + length, 0),
    operators: countOperators(graph),
    unsupported: unsupportedNodes(prepared),
    warnings: [
      ...exporterWarnings(read, graph, tensors),
      ...gradientWarnings(prepared, options.loss === undefined ? losses : [options.loss]),
    ],
    notes: [
      ...batchNotes(graph, statistics),
      ...dropoutNotes(read.graph),
      ...detachedNotes(graph),
      ...halfNotes(read.graph),
      ...integerNotes(read.graph),
    ],
    losses,
  }
}

/** Operators and nodes that one message names; a model that has more is of another kind altogether. */
const namedMax = 8

/**
 * Throws when there are `nodes`.
 * @throws {SwarmError} as {@link refusal} makes it.
 */
export function refuse(nodes: readonly UnsupportedNode[]): void {
  if (nodes.length > 0) throw refusal(nodes)
}

/** MODEL_UNSUPPORTED for `nodes`, at least one: names every operator with its nodes, one on a line. */
export function refusal(nodes: readonly UnsupportedNode[]): SwarmError {
  const byOperator = new Map<string, UnsupportedNode[]>()
  for (const node of nodes) byOperator.set(node.operator, [...(byOperator.get(node.operator) ?? []), node])
  const groups = [...byOperator.values()].map((group) => ({
    ...group[0]!,
    names: group.map(({ node }) => node),
  }))
  const lines = groups.map(({ operator, names, reason }) => `${operator} (${nodesText(names)}): ${reason}`)
  const remedies = [...new Set(groups.map(({ remedy }) => remedy))]
  return new SwarmError(
    'MODEL_UNSUPPORTED',
    groups.length === 1
      ? lines[0]!
      : `the model has ${groups.length} operators that cannot be trained:\n${atMost(lines, '\n')}`,
    { hint: atMost(remedies, ' ') },
  )
}

function nodesText(names: readonly string[]): string {
  const quoted = names.map((name) => `'${name}'`)
  return names.length === 1 ? `node ${quoted[0]}` : `nodes ${atMost(quoted, ', ')}`
}

function atMost(items: readonly string[], separator: string): string {
  const rest = items.length - namedMax
  return [...items.slice(0, namedMax), ...(rest > 0 ? [`and ${rest} more`] : [])].join(separator)
}

/**
 * Nodes whose output moves with a parameter and whose gradient is missing, and random ones wherever they stand; those
 * of branches and loops too, whatever their course.
 */
export function unsupportedNodes({ graph, parameters }: PreparedModel): UnsupportedNode[] {
  const moving = new Set(parameters.keys())
  const found: UnsupportedNode[] = []
  const visit = ({ opType, domain, name, inputs, outputs, attributes }: Node) => {
    const operator = domain === '' ? opType : `${domain}.${opType}`
    const rule = ruleOf(operator)
    const isMoved = inputs.some((input, index) => moving.has(input) && gradientFlows(operator, index))
    if (!isMoved && !(rule.kind === 'missing' && rule.never)) return
    for (const output of outputs) moving.add(output)
    if (rule.kind === 'missing') {
      found.push({ node: name || outputs[0]!, operator, reason: rule.reason, remedy: rule.remedy })
    }
    for (const attribute of Object.values(attributes)) {
      if (attribute.kind !== 'graph') continue
      for (const input of attribute.value.inputs) moving.add(input) // perhaps: a loop hands on what its turns made
      attribute.value.nodes.forEach(visit)
    }
  }
  graph.nodes.forEach(visit)
  return found
}

/** Classes need an axis of two or more; a shape that the file leaves open rules nothing out. */
function lossesFor(shape: readonly (number | string)[] | undefined): LossKind[] {
  const hasClasses = shape === undefined || (shape.length >= 2 && shape.at(-1) !== 1)
  const values = ['mse', 'l1', 'binary_cross_entropy'] as const
  const isLoss = shape?.every((size) => size === 1) ?? true
  return [
    ...(hasClasses ? (['softmax_cross_entropy'] as const) : []),
    ...(isLoss && shape !== undefined ? (['in_model'] as const) : []),
    ...values,
  ]
}

function countOperators(graph: Graph): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { opType } of graph.nodes) counts[opType] = (counts[opType] ?? 0) + 1
  return Object.fromEntries(Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1)))
}

function batchNotes({ nodes }: Graph, statistics: ReadonlyMap<string, Constant>): string[] {
  const normalisations = nodes.filter(({ opType }) => opType === 'BatchNormalization')
  const measured = normalisations.filter(({ inputs }) => statistics.has(inputs[3]!)).length
  if (measured === 0) return []
  return [
    `BatchNormalization (${measured}) trains by the mean and variance of each batch; its running statistics are averaged over the peers`,
  ]
}

function dropoutNotes({ nodes }: Graph): string[] {
  const count = nodes.filter(({ opType }) => opType === 'Dropout').length
  return count === 0 ? [] : [`Dropout (${count}) is left out: training runs without it`]
}

function detachedNotes({ nodes }: Graph): string[] {
  const count = nodes.filter(({ opType }) => opType === 'Identity').length
  return count === 0
    ? []
    : [
        `No gradient flows through ${count} values that the module detached (Identity), by its notes or by guess`,
      ]
}

function halfNotes({ constants }: Graph): string[] {
  const count = [...constants.values()].filter(({ dtype }) => isHalf(dtype)).length
  return count === 0
    ? []
    : [`${count} tensors of 16-bit floats train in float32, and are exported in their own type`]
}

function integerNotes({ nodes, constants }: Graph): string[] {
  const isStored = ({ opType, inputs }: Node) => opType === 'DequantizeLinear' && constants.has(inputs[0]!)
  const count = nodes.filter(isStored).length
  return count === 0
    ? []
    : [`${count} tensors are stored as integers (DequantizeLinear): they stay as they are, with their scales`]
}
