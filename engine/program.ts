/**
 * Compiles a model file into a training program: graphs for the gradient, for an optimizer step and for evaluation.
 *
 * All three take the batch and the parameters as inputs and hold no weights, so that one set of parameters serves them
 * all. Nodes that a graph's outputs do not need are not in it. Same file, same specification: same bytes. Running
 * graphs, feeding batches and keeping state is the trainer's.
 */
import { assert } from '../protocols/core/assert.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import type { ParameterSpec } from '../protocols/core/tensor.ts'
import type { Backend, HalfKernels } from './backends/backend.ts'
import { gradientFlows } from './gradients/rules.ts'
import { type LabelWeights, labelWeightsInModel } from './label-weights.ts'
import { type LossKind, type LossOptions, labelType } from './loss.ts'
import { type StepMemory, stepBytes } from './memory.ts'
import type { Target, Value } from './onnx/graph-builder.ts'
import { type ImportedModel, importModel, prepare } from './onnx/import-model.ts'
import { readModel } from './onnx/read.ts'
import type { ShapeInference } from './onnx/resolve.ts'
import { operationsOf, stepOperationsOf } from './operations.ts'
import type { OptimizerSpec } from './optimizers/spec.ts'
import { planRecomputation, type Recomputation, recomputations } from './recomputation.ts'
import {
  type Blueprint,
  evaluationGraph,
  gradientGraph,
  type StepGraph,
  splitGraphs,
  stepGraph,
} from './training-graphs.ts'
import { refuse, unsupportedNodes } from './validate.ts'

export type { ShapeInference } from './onnx/resolve.ts'
export type { OptimizerSpec } from './optimizers/spec.ts'
export { withParameters } from './with-parameters.ts'

export interface TrainingSpec {
  /** Samples of one step, fixed when the program is made; >= 1. */
  batch: number
  /**
   * softmax_cross_entropy: logits [..., classes] and labels int32 [...]; in_model: the output is the loss, the labels
   * are an input; the others: float32 labels of the output's shape.
   */
  loss: LossKind
  lossOptions?: LossOptions
  /** Default: the model's only output. */
  outputName?: string | undefined
  /** With `in_model`, the input that takes the labels. */
  labelsName?: string | undefined
  /** Sizes of open dimensions besides the batch, by the names that the file gives them. */
  dimensions?: Readonly<Record<string, number>> | undefined
  /** Tensors that are not trained: patterns of their names, where `*` stands for any characters. */
  freeze?: readonly string[] | undefined
  optimizer: OptimizerSpec
  /** Default: `float32`. */
  precision?: PrecisionChoice | undefined
}

/**
 * What the passes of a step compute in; parameters and all that an optimizer does are float32 always. `auto`: float16
 * where the device computes in it. `float16`: also where that is slower, since kernels round what they compute in
 * float32; where not even that works, float32.
 */
export type PrecisionChoice = 'float32' | 'float16' | 'auto'
export type Precision = Exclude<PrecisionChoice, 'auto'>

/** A tensor of samples that the graphs take; the batch is among the dimensions of `shape`, as a rule the first. */
export interface ProgramInput {
  name: string
  dtype: 'float32' | 'int32'
  shape: readonly number[]
}

export interface TrainingProgram {
  /** Weights and statistics, in the order of the flat vector. */
  parameters: readonly ParameterSpec[]
  /** Elements of the flat vector. */
  parameterCount: number
  /** The model file's own values, f32[parameterCount]. */
  initial: Float32Array
  /** What the graphs take as samples, without the labels. */
  inputs: readonly ProgramInput[]
  /** The graphs' input for labels: `labels`, or the model's own. */
  labels: ProgramInput
  /** Classes that the labels choose from; null where they are values. */
  classes: number | null
  /** What labels count in the mean over a batch; 0 for one that stands for no prediction. */
  labelWeights: LabelWeights
  /**
   * With `float16`, `stepModel`, `gradientModel` and the split's `accumulateModel` have one input and one output more.
   */
  precision: Precision
  /** What the backward pass makes again instead of keeping it. */
  recomputation: Recomputation
  /** What one step takes, by estimate. */
  memory: StepMemory
  /**
   * The same with another `recomputation`, and perhaps on a device that computes in `precision`. Takes about as long as
   * compiling.
   */
  memoryWith(recomputation: Recomputation, precision?: Precision): StepMemory
  /** Floating-point operations of a forward pass over the batch, and of a step without its optimizer. */
  operations: number
  stepOperations: number
  /**
   * ONNX. Inputs: the samples, `labels`, every parameter. Outputs: `loss` [], `gradient` f32[parameterCount], where a
   * statistic's entry is its value minus its next one: subtracting the mean of many peers' entries gives the mean of
   * their next values.
   *
   * With float16, here as in the other two: a further input `loss_scale` [], a power of two that the loss is multiplied
   * by on its way back, and not in `loss` and `gradient`; and a further output `gradient_square` [], the squared norm
   * of the gradient. Where that is not finite, nothing that came out is to be used.
   */
  gradientModel: Uint8Array
  /**
   * ONNX. Inputs: the samples, `labels`, `learning_rate` [], `step` [] (f32, from 1), every parameter, every slot.
   * Outputs: `loss` [] (before the step), and for each parameter and slot its next value, named as `carry` says.
   */
  stepModel: Uint8Array
  /**
   * ONNX. Inputs as the gradient's. Outputs, all []: `count` of predictions, `loss_sum` over them, `correct` ones (0
   * where labels are values).
   */
  evaluationModel: Uint8Array
  /** The optimizer's state in the step graph, zero at the start of a run. */
  slotNames: readonly string[]
  /** Outputs of the step graph to the inputs of the next step. */
  carry: Readonly<Record<string, string>>
  /** The same step in two graphs, for a batch that does not fit at once. Made when asked for: most jobs never do. */
  split(): SplitStep
}

/** Step in two: one graph adds up the gradients of pieces of a batch, another steps on the sum. */
export interface SplitStep {
  /**
   * ONNX. Inputs: the samples, `labels`, `share` [] (the piece's share of the batch), `kept` [] (0: forget what was
   * added up before; else 1), every parameter, every sum. Outputs: `loss` [] of the piece, and each sum's next value.
   * The sum of a statistic is its value minus its next one, as in the gradient graph.
   */
  accumulateModel: Uint8Array
  accumulateCarry: Readonly<Record<string, string>>
  /** Names of the sums, for each parameter in order; shapes are the parameters'. */
  sumNames: readonly string[]
  /**
   * ONNX. Inputs: `learning_rate` [], `step` [], every parameter, slot and sum. Outputs: as the step graph's, but the
   * loss.
   */
  applyModel: Uint8Array
}

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
  const plans = new Plans({
    model: imported,
    spec,
    labels,
    labelWeights,
    target,
    half,
    recomputed: new Map(),
  })
  const recomputation = plans.within(memoryBytesMax, recomputationMin)
  const { blueprint, step } = plans.of(recomputation)
  return {
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

/** The step of one model with more or less recomputation. Each is built when it is first asked for. */
class Plans {
  readonly #keeping: { blueprint: Blueprint; step: StepGraph }

  /** `blueprint` recomputes nothing. */
  constructor(blueprint: Blueprint) {
    this.#keeping = { blueprint, step: stepGraph(blueprint) }
  }

  of(recomputation: Recomputation): { blueprint: Blueprint; step: StepGraph } {
    if (recomputation === 'nothing') return this.#keeping
    const recomputed = planRecomputation(this.#keeping.step.kept, recomputation)
    const blueprint = { ...this.#keeping.blueprint, recomputed }
    return { blueprint, step: stepGraph(blueprint) }
  }

  /** The plans in `precision`, for a device that computes in it. */
  in(precision: Precision): Plans {
    const { blueprint } = this.#keeping
    const half = precision === 'float16' ? 'computed' : null
    return half === blueprint.half ? this : new Plans({ ...blueprint, half })
  }

  /**
   * The least recomputation from `from` on whose step takes at most `bytesMax`; where none does, the one that takes
   * least.
   */
  within(bytesMax: number, from: Recomputation): Recomputation {
    let [best, least] = [from, Number.POSITIVE_INFINITY]
    for (const recomputation of recomputations.slice(recomputations.indexOf(from))) {
      const bytes = stepBytes(this.of(recomputation).step.memory)
      if (bytes <= bytesMax) return recomputation
      if (bytes < least) [best, least] = [recomputation, bytes]
    }
    return best
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
