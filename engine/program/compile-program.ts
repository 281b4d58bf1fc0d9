/**
 * Compiles a model file into a training program: graphs for the gradient, for an optimizer step and for evaluation.
 *
 * Same file, same specification: same bytes. What is asked for and what a program promises stands in
 * `training-program.ts`; running graphs, feeding batches and keeping state is the trainer's.
 */
import { assert } from '../../protocols/core/assert.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { Backend, HalfKernels } from '../backends/backend.ts'
import { gradientFlows } from '../gradients/rules.ts'
import type { Target, Value } from '../graph/graph-builder.ts'
import { type ImportedModel, importModel, prepare } from '../import/import-model.ts'
import type { ShapeInference } from '../import/resolve.ts'
import { type LabelWeights, labelWeightsInModel } from '../loss/label-weights.ts'
import { labelType } from '../loss/loss.ts'
import { refuse, unsupportedNodes } from '../model/validate.ts'
import { readModel } from '../onnx/read.ts'
import { operationsOf, stepOperationsOf } from './operations.ts'
import { Plans } from './plans.ts'
import type { Recomputation } from './recomputation.ts'
import { evaluationGraph, gradientGraph, splitGraphs } from './training-graphs.ts'
import type { Precision, ProgramInput, TrainingProgram, TrainingSpec } from './training-program.ts'

export interface CompileOptions {
  /**
   * Bytes that a step may take by estimate: the backward pass recomputes what it must to stay below, and as much as it
   * can where that is not enough. Default: no limit.
   */
  memoryBytesMax?: number
  /** The least that is recomputed. Default: nothing. */
  recomputationMin?: Recomputation
}

/**
 * Compiles `model` (ONNX bytes, borrowed) for `spec`. `inference`: the backend that will run the program; it is asked
 * for shapes and constants, and its kind of device decides between forms of equal value.
 * @throws {SwarmError} MODEL_INVALID (truncated, not ONNX, operator set out of range); MODEL_UNSUPPORTED naming
 *   operator, node and remedy; what `inference` throws for a graph it cannot load.
 */
export async function compileProgram(
  model: Uint8Array,
  spec: TrainingSpec,
  inference: ShapeInference & Pick<Backend, 'name' | 'channelBlock' | 'halfKernels'>,
  { memoryBytesMax = Number.POSITIVE_INFINITY, recomputationMin = 'nothing' }: CompileOptions = {},
): Promise<TrainingProgram> {
  assert(Number.isInteger(spec.batch) && spec.batch >= 1, `batch of ${spec.batch}`)
  const { outputName, freeze } = spec
  const prepared = prepare(readModel(model), gradientFlows, { outputName, freeze })
  refuse(unsupportedNodes(prepared))
  const imported = await importModel(prepared, spec, inference)
  const half = await halfKernelsFor(spec, inference)
  const target: Target = {
    device: inference.name === 'webgpu' ? 'gpu' : 'cpu',
    channelBlock: half === null ? inference.channelBlock : undefined, // blocks are float32
    isSameByThreads: inference.name === 'wasm',
  }
  const labels = labelsOf(imported, spec)
  const labelWeights = labelWeightsOf(imported, spec, labels)
  const blueprint = { model: imported, spec, labels, labelWeights, target, half, recomputed: new Map() }
  const plans = new Plans(blueprint)
  return programOf(plans, plans.within(memoryBytesMax, recomputationMin))
}

function programOf(plans: Plans, recomputation: Recomputation): TrainingProgram {
  const { blueprint, step } = plans.of(recomputation)
  const { model: imported, spec, labels, labelWeights, half } = blueprint
  return {
    batch: spec.batch,
    parameters: imported.parameters,
    parameterCount: imported.initial.length,
    initial: imported.initial,
    inputs: imported.inputs.filter(({ name }) => name !== labels.name).map(asProgramInput),
    labels: asProgramInput(labels),
    classes: classesOf(imported, spec),
    labelWeights,
    operations: operationsOf(imported.nodes),
    stepOperations: stepOperationsOf(imported.nodes, weightNames(imported)),
    precision: precisionOf(half),
    recomputation,
    memory: step.memory,
    memoryWith: (other, precision) =>
      (precision === undefined ? plans : plans.in(precision)).of(other).step.memory,
    gradientModel: gradientGraph(blueprint),
    evaluationModel: evaluationGraph(blueprint),
    stepModel: step.write(),
    slotNames: step.slotNames,
    carry: step.carry,
    split: () => splitGraphs(blueprint),
  }
}

/** How `backend` computes in float16, when `precision` asks for that and it can; else null. */
async function halfKernelsFor(
  { precision = 'float32' }: TrainingSpec,
  backend: Pick<Backend, 'halfKernels'>,
): Promise<HalfKernels | null> {
  if (precision === 'float32') return null
  const kernels = await backend.halfKernels()
  return precision === 'auto' && kernels === 'emulated' ? null : kernels
}

function precisionOf(half: HalfKernels | null): Precision {
  return half === null ? 'float32' : 'float16'
}

function weightNames({ parameters }: ImportedModel): ReadonlySet<string> {
  return new Set(parameters.filter(({ kind }) => kind === 'weight').map(({ name }) => name))
}

function asProgramInput({ name, dtype, shape }: Value): ProgramInput {
  return { name, dtype: dtype as ProgramInput['dtype'], shape }
}

/**
 * The input for labels. One that the model has itself must be named by the job where it cannot be told.
 * @throws {SwarmError} MODEL_UNSUPPORTED
 */
function labelsOf({ inputs, output }: ImportedModel, { loss, lossOptions, labelsName }: TrainingSpec): Value {
  const type = labelType(loss, output.shape, lossOptions)
  if (type !== null) return { name: 'labels', ...type }
  const name = labelsName ?? 'labels'
  const own = inputs.find((input) => input.name === name)
  if (own !== undefined) return own
  const names = inputs.map((input) => input.name).join("', '")
  throw new SwarmError('MODEL_UNSUPPORTED', `the model's loss reads no input '${name}' (it has '${names}')`, {
    hint: 'Name the input that takes the labels as model.labels in the job file.',
  })
}

function labelWeightsOf(
  model: ImportedModel,
  { loss, lossOptions }: TrainingSpec,
  labels: Value,
): LabelWeights {
  if (loss === 'in_model') return labelWeightsInModel(model, labels.name)
  return new Map(lossOptions?.ignoreIndex === undefined ? [] : [[lossOptions.ignoreIndex, 0]])
}

function classesOf({ output }: ImportedModel, { loss, lossOptions = {} }: TrainingSpec): number | null {
  if (loss === 'binary_cross_entropy') return 2
  return loss === 'softmax_cross_entropy' ? output.shape.at(lossOptions.classAxis ?? -1)! : null
}
