/**
 * From a model file to a graph that can be differentiated: one data input of a fixed batch, one output, parameters apart
 * from constants, every type known.
 *
 * What counts as a parameter: a float32 tensor of the file through which the output can be moved, of one dimension or more
 * and finite. Where PyTorch's exporter noted that a tensor was a buffer or a constant, it is none. Scalars are constants:
 * exporters write literals of the source code as such. The running mean and variance that a BatchNormalization reads from the
 * file are statistics: not trained, but measured while training.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { parametersMax } from '../../protocols/core/limits.ts'
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import { type Graph, type GraphInput, int, type Model } from './graph.ts'
import type { Value } from './graph-builder.ts'
import { normalise, opsetTarget } from './normalise.ts'
import { ownStatistics } from './own-statistics.ts'
import { type ResolvedGraph, resolve, type ShapeInference } from './resolve.ts'
import { type Constant, elementTypes, sizeOf, type TensorType } from './types.ts'

export interface ImportOptions {
  /** Samples of one step: the size of the input's first dimension. */
  batch: number
  /** Default: the model's only input. */
  inputName?: string
}

export interface ImportedModel extends ResolvedGraph {
  /** The operator set of `nodes`. */
  readonly opset: number
  /** int32 where the file says int64. */
  readonly input: Value
  /** Weights in the order of the file, then statistics in that order. */
  readonly parameters: readonly ParameterSpec[]
  /** The file's own values of all parameters, one after the other. */
  readonly initial: Float32Array
}

/** A file read, brought to normal form, with its parameters found: what `prepare` returns and `importModel` takes. */
export interface PreparedModel {
  readonly model: Model
  readonly graph: Graph
  /** The weights, in the order of the file; those that the exporter had merged come last. */
  readonly parameters: ReadonlyMap<string, Constant>
  /** As `parameters`: what training measures. */
  readonly statistics: ReadonlyMap<string, Constant>
}

/** Whether the loss moves with input `index` of operator `opType`. */
export type Flows = (opType: string, index: number) => boolean

/**
 * The part of importing that needs no runtime. `outputName`: default the model's only one.
 * @throws {SwarmError} MODEL_INVALID when the graph is inconsistent; MODEL_UNSUPPORTED when no output or several can be meant.
 */
export function prepare(model: Model, flows: Flows, outputName?: string): PreparedModel {
  const { graph: normal, merged } = normalise(
    model,
    choose('output', model.graph.outputs, outputName, (name) => name),
  )
  const { graph, copies } = ownStatistics(normal)
  const names = [...model.graph.constants.keys(), ...merged.keys(), ...copies]
  const parameters = parameterTensors(graph, model, names, flows)
  const measured = statisticNames(graph)
  const isStatistic = (name: string) => measured.has(name) && !parameters.has(name)
  return { model, graph, parameters, statistics: constantsOf(graph, names.filter(isStatistic)) }
}

/**
 * Imports a model whose nodes all have a gradient. `inference` is an onnxruntime session's view of graphs.
 * @throws {SwarmError} MODEL_UNSUPPORTED when the model has no parameters, several inputs of which none is chosen, open
 *   dimensions besides the batch, or a batch size of its own.
 */
export async function importModel(
  { model, graph, parameters: weights, statistics }: PreparedModel,
  options: ImportOptions,
  inference: ShapeInference,
): Promise<ImportedModel> {
  const declared = choose('input', model.graph.inputs, options.inputName, ({ name }) => name)
  const input = inputValue(declared, options.batch)
  const opset = Math.max(opsetTarget, model.opset)
  const { parameters, initial } = layOut(weights, statistics)
  const tensors = new Map([...weights, ...statistics])
  const inputs = new Map<string, TensorType>([[input.name, input], ...tensors])
  const constants = new Map([...graph.constants].filter(([name]) => !tensors.has(name)))
  const resolved = await resolve({ ...withNarrowIds(graph, declared), constants }, opset, inputs, inference)
  checkOutput(resolved)
  return { ...resolved, opset, input, parameters, initial }
}

function parameterTensors(
  graph: Graph,
  model: Model,
  names: readonly string[],
  flows: Flows,
): Map<string, Constant> {
  const reached = new Set(graph.outputs)
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => reached.has(name))) continue
    for (const [index, name] of node.inputs.entries()) if (flows(node.opType, index)) reached.add(name)
  }
  const isParameter = (name: string, constant: Constant) =>
    reached.has(name) &&
    constant.dtype === 'float32' &&
    (model.roles.get(name) ?? 'PARAMETER') === 'PARAMETER' &&
    (model.roles.has(name) || constant.shape.length > 0) &&
    (constant.data as Float32Array).every(Number.isFinite)
  const candidates = constantsOf(graph, names)
  return new Map([...candidates].filter(([name, constant]) => isParameter(name, constant)))
}

/** Tensors that a BatchNormalization takes as its running mean and variance. */
function statisticNames({ nodes, constants }: Graph): Set<string> {
  const normalisations = nodes.filter(({ opType }) => opType === 'BatchNormalization')
  const read = normalisations.flatMap(({ inputs }) => inputs.slice(3, 5))
  return new Set(read.filter((name) => constants.get(name)?.dtype === 'float32'))
}

/** Those of `names` that `graph` still needs. */
function constantsOf({ constants }: Graph, names: readonly string[]): Map<string, Constant> {
  return new Map(names.flatMap((name) => (constants.has(name) ? [[name, constants.get(name)!]] : [])))
}

function layOut(
  weights: ReadonlyMap<string, Constant>,
  statistics: ReadonlyMap<string, Constant>,
): { parameters: ParameterSpec[]; initial: Float32Array } {
  const parameters: ParameterSpec[] = []
  let offset = 0
  for (const kind of ['weight', 'statistic'] as const) {
    for (const [name, { shape, data }] of kind === 'weight' ? weights : statistics) {
      parameters.push({ name, kind, shape, offset, length: data.length })
      offset += data.length
    }
  }
  if (weights.size === 0) {
    throw new SwarmError('MODEL_UNSUPPORTED', 'the model has no parameters that its output depends on', {
      hint: 'Export with the weights inside: torch.onnx.export(..., external_data=False).',
    })
  }
  if (offset > parametersMax) {
    throw new SwarmError(
      'MODEL_UNSUPPORTED',
      `the model has ${offset} parameters; at most ${parametersMax} can be trained`,
    )
  }
  const initial = new Float32Array(offset)
  for (const { name, offset: start } of parameters)
    initial.set((weights.get(name) ?? statistics.get(name))!.data as Float32Array, start)
  return { parameters, initial }
}

function choose<Item>(
  kind: 'input' | 'output',
  items: readonly Item[],
  wanted: string | undefined,
  nameOf: (item: Item) => string,
): Item {
  const names = items.map(nameOf).join("', '")
  const found = wanted === undefined ? items : items.filter((item) => nameOf(item) === wanted)
  if (found.length === 1) return found[0]!
  const problem = wanted === undefined ? `has ${items.length} ${kind}s` : `has no ${kind} '${wanted}'`
  throw new SwarmError('MODEL_UNSUPPORTED', `the model ${problem} ('${names}')`, {
    hint:
      kind === 'input'
        ? 'Export a forward function that takes one tensor.'
        : 'Name the output that the loss shall use, or export a forward function that returns one tensor.',
  })
}

function inputValue({ name, dtype, shape }: GraphInput, batch: number): Value {
  if (dtype !== 'float32' && dtype !== 'int32' && dtype !== 'int64') {
    throw new SwarmError('MODEL_UNSUPPORTED', `input '${name}' is ${dtype}`, {
      hint: 'Export with float32 samples or integer token ids.',
    })
  }
  const [first, ...rest] = shape
  if (first === undefined) throw new SwarmError('MODEL_UNSUPPORTED', `input '${name}' is a scalar`)
  if (typeof first === 'number' && first !== batch) {
    throw new SwarmError('MODEL_UNSUPPORTED', `input '${name}' has a fixed batch of ${first}, not ${batch}`, {
      hint: `Export with an open first dimension: dynamic_shapes=({0: torch.export.Dim('batch')},), or train with batch ${first}.`,
    })
  }
  const fixed = rest.map((size, index) => {
    if (typeof size === 'number' && size > 0) return size
    throw new SwarmError(
      'MODEL_UNSUPPORTED',
      `dimension ${index + 1} ('${size}') of input '${name}' is open`,
      {
        hint: 'Export with every dimension fixed except the batch.',
      },
    )
  })
  return { name, dtype: dtype === 'int64' ? 'int32' : dtype, shape: [batch, ...fixed] }
}

const takesInt32 = new Set(['Gather', 'GatherElements', 'Shape', 'Cast'])

/** int64 ids become int32, which every backend computes with; operators that insist on int64 get a cast. */
function withNarrowIds(graph: Graph, { name, dtype }: GraphInput): Graph {
  if (dtype !== 'int64') return graph
  const wide = `${name}/int64`
  const nodes = graph.nodes.map((node) =>
    takesInt32.has(node.opType)
      ? node
      : { ...node, inputs: node.inputs.map((input) => (input === name ? wide : input)) },
  )
  if (nodes.every((node) => !node.inputs.includes(wide))) return graph
  const to = int(elementTypes.int64.code)
  const cast = { opType: 'Cast', domain: '', name: wide, inputs: [name], outputs: [wide], attributes: { to } }
  return { ...graph, nodes: [cast, ...nodes] }
}

function checkOutput({ output, nodes }: ResolvedGraph): void {
  if (output.dtype === 'float32' && nodes.length > 0 && sizeOf(output.shape) > 0) return
  throw new SwarmError(
    'MODEL_UNSUPPORTED',
    `output '${output.name}' (${output.dtype} [${output.shape}]) is not a float32 tensor`,
    {
      hint: 'Export the model up to its logits or predictions.',
    },
  )
}
