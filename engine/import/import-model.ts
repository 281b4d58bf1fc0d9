/**
 * From a model file to a graph that can be differentiated: inputs of a fixed batch, one output, weights and statistics
 * apart from constants, every type known.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import { parametersMax } from '../../protocols/core/limits.ts'
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import type { Value } from '../graph/graph-builder.ts'
import { type Graph, int, type Model, madeName } from '../onnx/graph.ts'
import { type Constant, elementTypes, sizeOf, type TensorType } from '../onnx/types.ts'
import { fixInputs, type InputSizes, type ModelInput } from './model-inputs.ts'
import { narrowIntegers } from './narrow.ts'
import { normalise } from './normalise.ts'
import { isNewer, opsetRead, opsetWritten } from './opsets.ts'
import { ownStatistics } from './own-statistics.ts'
import { type ResolvedGraph, resolve, type ShapeInference } from './resolve.ts'
import { type Flows, trainableTensors } from './trainable.ts'
import { namesOf, withUniqueNames } from './unique-names.ts'
import { isWhole, withBatchOfOne, withWholeSamples } from './whole-samples.ts'
import { widen } from './widen.ts'

export interface ImportedModel extends ResolvedGraph {
  /** The operator set of `nodes`. */
  readonly opset: number
  /** Those that the output needs, in the order of the file; float32, or int32 for whole numbers and truth values. */
  readonly inputs: readonly Value[]
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
  /** Tensors that would be parameters or statistics if the job did not freeze them. */
  readonly frozen: readonly string[]
  /** Tensors that would be parameters if the output moved with them; what the graph does not read is among them. */
  readonly unmoving: readonly string[]
}

export interface PrepareOptions {
  /** Default: the model's only output. */
  outputName?: string | undefined
  /** Patterns of tensor names that are not trained (trainable.ts). */
  freeze?: readonly string[] | undefined
}

/**
 * The part of importing that needs no runtime.
 * @throws {SwarmError} MODEL_INVALID when the graph is inconsistent; MODEL_UNSUPPORTED when no output or several can be
 *   meant, or a pattern freezes nothing.
 */
export function prepare(
  file: Model,
  flows: Flows,
  { outputName, freeze = [] }: PrepareOptions = {},
): PreparedModel {
  const model = withUniqueNames(widen(file))
  const { graph: normal, merged } = normalise(model, chooseOutput(model.graph.outputs, outputName))
  const { graph, copies } = ownStatistics(normal, namesOf(model.graph))
  const names = [...model.graph.constants.keys(), ...merged.keys(), ...copies]
  const { weights, statistics, frozen, unmoving } = trainableTensors(
    { graph, roles: model.roles, names },
    flows,
    freeze,
  )
  return { model, graph, parameters: weights, statistics, frozen, unmoving }
}

/**
 * Imports a model whose nodes all have a gradient. `inference` is an onnxruntime session's view of graphs.
 * @throws {SwarmError} MODEL_UNSUPPORTED when the model has no parameters, open dimensions besides the batch that
 *   `sizes` does not fix, or a batch size of its own.
 */
export async function importModel(
  { model, graph, parameters: weights, statistics, unmoving }: PreparedModel,
  sizes: InputSizes,
  inference: ShapeInference,
): Promise<ImportedModel> {
  const read = new Set(graph.nodes.flatMap((node) => node.inputs))
  const inputs = fixInputs(
    graph.inputs.filter(({ name }) => read.has(name)),
    sizes,
  )
  const opset = opsetRead(graph.nodes, model.opset)
  if (weights.size === 0) throw noParameters(unmoving)
  const { parameters, initial } = layOut(weights, statistics)
  const tensors = new Map([...weights, ...statistics])
  const constants = new Map([...graph.constants].filter(([name]) => !tensors.has(name)))
  const variable = new Map<string, TensorType>(
    inputs.map(({ declared, value }) => [
      value.name,
      declared.dtype === 'bool' ? value : { ...declared, shape: value.shape },
    ]),
  )
  for (const [name, tensor] of tensors) variable.set(name, tensor)
  const whole = withTruthValues(withWholeSamples({ ...graph, constants }, inputs), inputs)
  const typed = await resolve(whole, opset, variable, inference)
  checkOutput(typed)
  const resolved = inputs.some(isWhole) ? withBatchOfOne(typed) : typed
  const wide = inputs.filter(({ declared }) => declared.dtype === 'int64').map(({ value }) => value.name)
  return {
    ...narrowIntegers(resolved, wide),
    opset: writtenOpset(resolved, opset),
    inputs: inputs.map(({ value }) => value),
    parameters,
    initial,
  }
}

/** `unmoving`: tensors that look like weights and do not move the output. */
function noParameters(unmoving: readonly string[]): SwarmError {
  return new SwarmError('MODEL_UNSUPPORTED', 'the model has no parameters that its output moves with', {
    hint:
      unmoving.length === 0
        ? 'Export with the weights inside: torch.onnx.export(..., external_data=False).'
        : `Export the output before it is rounded, compared or picked (ArgMax): no gradient comes to '${unmoving[0]}'.`,
  })
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

function chooseOutput(names: readonly string[], wanted: string | undefined): string {
  const found = wanted === undefined ? names : names.filter((name) => name === wanted)
  if (found.length === 1) return found[0]!
  const problem = wanted === undefined ? `has ${names.length} outputs` : `has no output '${wanted}'`
  throw new SwarmError('MODEL_UNSUPPORTED', `the model ${problem} ('${names.join("', '")}')`, {
    hint: 'Name the output that the loss shall use as model.output in the job file, or export a forward function that returns one tensor.',
  })
}

/** Samples are numbers; a mask of truth values is made from them by a cast. */
function withTruthValues(graph: Graph, inputs: readonly ModelInput[]): Graph {
  const masks = new Map(
    inputs.flatMap(({ declared, value: { name } }) =>
      declared.dtype === 'bool' ? [[name, madeName(name, 'bool')] as const] : [],
    ),
  )
  if (masks.size === 0) return graph
  const casts = [...masks].map(([name, mask]) => {
    const to = int(elementTypes.bool.code)
    return { opType: 'Cast', domain: '', name: mask, inputs: [name], outputs: [mask], attributes: { to } }
  })
  const nodes = graph.nodes.map((node) => ({
    ...node,
    inputs: node.inputs.map((input) => masks.get(input) ?? input),
  }))
  return { ...graph, nodes: [...casts, ...nodes] }
}

/**
 * Older than the model's where that changes nothing: WebGPU has more kernels. Newer operators stay only where they
 * count.
 */
function writtenOpset({ nodes }: ResolvedGraph, opset: number): number {
  const isNew = nodes.some(
    ({ opType, outputs }) => isNewer(opType) && outputs.some((value) => value?.dtype !== 'float32'),
  )
  return isNew ? opset : Math.min(opset, opsetWritten)
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
