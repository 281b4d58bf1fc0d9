/**
 * Compiles a model file into a training program: graphs for the gradient, for an optimizer step and for evaluation.
 *
 * All three take the batch and the parameters as inputs and hold no weights, so that one set of parameters serves them all.
 * Nodes that a graph's outputs do not need are not in it. Same file, same specification: same bytes.
 * Running graphs, feeding batches and keeping state is the trainer's.
 */
import { assert } from '../protocols/core/assert.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import type { ParameterSpec } from '../protocols/core/tensor.ts'
import type { BackendName } from './backends/backend.ts'
import { addForward, type Mode } from './forward.ts'
import { differentiate } from './gradients/differentiate.ts'
import { gradientFlows } from './gradients/rules.ts'
import { addLoss, type Loss, type LossKind, type LossOptions, labelType } from './loss.ts'
import { elementBytes, peakBytes, type StepMemory } from './memory.ts'
import { Formulas } from './onnx/formulas.ts'
import { type Device, GraphBuilder, type Value } from './onnx/graph-builder.ts'
import { type ImportedModel, importModel, prepare } from './onnx/import-model.ts'
import { readModel } from './onnx/read.ts'
import type { ShapeInference } from './onnx/resolve.ts'
import { sizeOf, type TensorType } from './onnx/types.ts'
import { writeModel } from './onnx/write.ts'
import { operationsOf, stepOperationsOf } from './operations.ts'
import { addStep } from './optimizers/graph-step.ts'
import type { OptimizerSpec } from './optimizers/spec.ts'

import { refuse, unsupportedNodes } from './validate.ts'

export type { ShapeInference } from './onnx/resolve.ts'
export type { OptimizerSpec } from './optimizers/spec.ts'
export { withParameters } from './with-parameters.ts'

export interface TrainingSpec {
  /** Samples of one step, fixed when the program is made; >= 1. */
  batch: number
  /**
   * softmax_cross_entropy: logits [..., classes] and labels int32 [...]; in_model: the output is the loss, the labels are an
   * input; the others: float32 labels of the output's shape.
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
}

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
  /** The label that stands for no prediction; null where every label counts. */
  ignoredLabel: number | null
  /** What one step takes, by estimate. */
  memory: StepMemory
  /** Floating-point operations of a forward pass over the batch, and of a step without its optimizer. */
  operations: number
  stepOperations: number
  /**
   * ONNX. Inputs: the samples, `labels`, every parameter. Outputs: `loss` [], `gradient` f32[parameterCount], where a statistic's
   * entry is its value minus its next one: subtracting the mean of many peers' entries gives the mean of their next values.
   */
  gradientModel: Uint8Array
  /**
   * ONNX. Inputs: the samples, `labels`, `learning_rate` [], `step` [] (f32, from 1), every parameter, every slot. Outputs:
   * `loss` [] (before the step), and for each parameter and slot its next value, named as `carry` says.
   */
  stepModel: Uint8Array
  /**
   * ONNX. Inputs as the gradient's. Outputs, all []: `count` of predictions, `loss_sum` over them, `correct` ones (0 where labels
   * are values).
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
   * ONNX. Inputs: the samples, `labels`, `share` [] (the piece's share of the batch), `kept` [] (0: forget what was added
   * up before; else 1), every parameter, every sum. Outputs: `loss` [] of the piece, and each sum's next value. The sum of a
   * statistic is its value minus its next one, as in the gradient graph.
   */
  accumulateModel: Uint8Array
  accumulateCarry: Readonly<Record<string, string>>
  /** Names of the sums, for each parameter in order; shapes are the parameters'. */
  sumNames: readonly string[]
  /** ONNX. Inputs: `learning_rate` [], `step` [], every parameter, slot and sum. Outputs: as the step graph's, but the loss. */
  applyModel: Uint8Array
}

/**
 * Compiles `model` (ONNX bytes, borrowed) for `spec`. `inference`: the backend that will run the program; it is asked for
 * shapes and constants, and its kind of device decides between forms of equal value.
 * @throws {SwarmError} MODEL_INVALID (truncated, not ONNX, operator set out of range); MODEL_UNSUPPORTED naming operator,
 *   node and remedy; what `inference` throws for a graph it cannot load.
 */
export async function compileProgram(
  model: Uint8Array,
  spec: TrainingSpec,
  inference: ShapeInference & { readonly name: BackendName },
): Promise<TrainingProgram> {
  assert(Number.isInteger(spec.batch) && spec.batch >= 1, `batch of ${spec.batch}`)
  const { outputName, freeze } = spec
  const prepared = prepare(readModel(model), gradientFlows, { outputName, freeze })
  refuse(unsupportedNodes(prepared))
  const imported = await importModel(prepared, spec, inference)
  const device = inference.name === 'webgpu' ? 'gpu' : 'cpu'
  const labels = labelsOf(imported, spec)
  return {
    parameters: imported.parameters,
    parameterCount: imported.initial.length,
    initial: imported.initial,
    inputs: imported.inputs.filter(({ name }) => name !== labels.name).map(asProgramInput),
    labels: asProgramInput(labels),
    classes: classesOf(imported, spec),
    ignoredLabel: spec.lossOptions?.ignoreIndex ?? null,
    operations: operationsOf(imported.nodes),
    stepOperations: stepOperationsOf(imported.nodes, weightNames(imported)),
    gradientModel: gradientGraph(imported, spec, device),
    evaluationModel: evaluationGraph(imported, spec, device),
    ...stepGraph(imported, spec, device),
    split: () => ({
      ...accumulateGraph(imported, spec, device),
      applyModel: applyGraph(imported, spec, device),
    }),
  }
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

function classesOf({ output }: ImportedModel, { loss, lossOptions = {} }: TrainingSpec): number | null {
  if (loss === 'binary_cross_entropy') return 2
  return loss === 'softmax_cross_entropy' ? output.shape.at(lossOptions.classAxis ?? -1)! : null
}

/** Names that the graphs use for themselves; a model's input or parameter may not have them. */
const reserved = 'labels learning_rate step loss gradient loss_sum correct count share kept'.split(' ')

/** A graph with the model and its loss in it. */
interface Stage {
  f: Formulas
  /** Samples, labels, then weights and statistics: what every graph takes. */
  inputs: readonly Value[]
  weights: readonly Value[]
  /** With their values after this batch; none in inference, which measures nothing. */
  statistics: readonly { now: Value; next: Value }[]
  loss: Loss
  /** Gradients of the mean loss by each weight, in order. */
  gradients(): Value[]
}

function openGraph(model: ImportedModel, spec: TrainingSpec, device: Device, mode: Mode): Stage {
  const labelled = labelsOf(model, spec)
  const own = model.inputs.filter(({ name }) => name !== labelled.name || spec.loss !== 'in_model')
  const taken = [...own, ...model.parameters].find(({ name }) => reserved.includes(name))
  if (taken !== undefined) {
    throw new SwarmError('MODEL_UNSUPPORTED', `'${taken.name}' is a name that Starling uses itself`, {
      hint: 'Export with another name for it.',
    })
  }
  const builder = new GraphBuilder(model.opset, device)
  const f = new Formulas(builder)
  const samples = own.map((input) => builder.input(input.name, input))
  const labels = builder.input(labelled.name, labelled)
  const parameters = model.parameters.map(({ name, shape }) =>
    builder.input(name, { dtype: 'float32', shape }),
  )
  const given = new Map([...samples, labels, ...parameters].map((value) => [value.name, value]))
  const { output, nodes, statistics } = addForward(f, model, given, mode)
  const loss = addLoss(f, spec.loss, output, labels, spec.lossOptions)
  const weights = parameters.filter((_, index) => model.parameters[index]!.kind === 'weight')
  return {
    f,
    inputs: [...samples, labels, ...parameters],
    weights,
    statistics: parameters.flatMap((now) => {
      const next = statistics.get(now.name)
      return next === undefined ? [] : [{ now, next }]
    }),
    loss,
    gradients: () => differentiate(f, nodes, output, loss.gradient, weights),
  }
}

function gradientGraph(model: ImportedModel, spec: TrainingSpec, device: Device): Uint8Array {
  const { f, inputs, statistics, loss, gradients } = openGraph(model, spec, device, 'training')
  const changes = statistics.map(({ now, next }) => f.sub(now, next))
  const flat = [...gradients(), ...changes].map((change) => f.reshape(change, [sizeOf(change.shape)]))
  return writeModel(f.builder.finish({ loss: loss.mean, gradient: f.concat(flat, 0) }, inputs))
}

function evaluationGraph(model: ImportedModel, spec: TrainingSpec, device: Device): Uint8Array {
  const { f, inputs, loss } = openGraph(model, spec, device, 'inference')
  const { sum, correct, count } = loss
  return writeModel(f.builder.finish({ loss_sum: sum, correct, count }, inputs))
}

function stepGraph(
  model: ImportedModel,
  spec: TrainingSpec,
  device: Device,
): Pick<TrainingProgram, 'stepModel' | 'slotNames' | 'carry' | 'memory'> {
  const { f, inputs, weights, statistics, loss, gradients } = openGraph(model, spec, device, 'training')
  const update = addUpdate(f, spec.optimizer, { weights, gradients: gradients(), statistics })
  const outputs = { loss: loss.mean, ...update.outputs }
  const graph = f.builder.finish(outputs, [...inputs, ...update.scalars])
  const stateElements = Object.values(update.outputs).reduce((sum, { shape }) => sum + sizeOf(shape), 0)
  const memory = {
    stateBytes: elementBytes * stateElements,
    valueBytes: peakBytes(f.builder.nodes, Object.values(outputs)),
  }
  return { stepModel: writeModel(graph), slotNames: update.slotNames, carry: update.carry, memory }
}

function accumulateGraph(
  model: ImportedModel,
  spec: TrainingSpec,
  device: Device,
): Omit<SplitStep, 'applyModel'> {
  const { f, inputs, weights, statistics, loss, gradients } = openGraph(model, spec, device, 'training')
  const { builder } = f
  const [share, kept] = [builder.input('share', scalar), builder.input('kept', scalar)]
  const weightGradients = gradients()
  const changes = [
    ...weights.map((weight, index) => [weight, weightGradients[index]!] as const),
    ...statistics.map(({ now, next }) => [now, f.sub(now, next)] as const),
  ]
  const outputs: Record<string, Value> = { loss: loss.mean }
  const accumulateCarry: Record<string, string> = {}
  for (const [parameter, change] of changes) {
    const sum = builder.input(sumName(parameter), parameter)
    // not a product with 0: what was added up before may be infinite
    const before = f.where(f.greaterOrEqual(kept, 1), sum, 0)
    outputs[`${sum.name}/next`] = f.add(before, f.mul(change, share))
    accumulateCarry[`${sum.name}/next`] = sum.name
  }
  const accumulateModel = writeModel(builder.finish(outputs, [...inputs, share, kept]))
  return { accumulateModel, accumulateCarry, sumNames: model.parameters.map(sumName) }
}

function applyGraph({ opset, parameters }: ImportedModel, spec: TrainingSpec, device: Device): Uint8Array {
  const f = new Formulas(new GraphBuilder(opset, device))
  const values = parameters.map(({ name, shape, kind }) => {
    const now = f.builder.input(name, { dtype: 'float32', shape })
    return { kind, now, sum: f.builder.input(sumName(now), now) }
  })
  const [weights, statistics] = (['weight', 'statistic'] as const).map((wanted) =>
    values.filter(({ kind }) => kind === wanted),
  ) as [typeof values, typeof values]
  const update = addUpdate(f, spec.optimizer, {
    weights: weights.map(({ now }) => now),
    gradients: weights.map(({ sum }) => sum),
    statistics: statistics.map(({ now, sum }) => ({ now, next: f.sub(now, sum) })),
  })
  return writeModel(f.builder.finish(update.outputs, update.scalars))
}

const scalar: TensorType = { dtype: 'float32', shape: [] }

const sumName = ({ name }: { name: string }): string => `${name}/sum`

/** The optimizer's step as part of a graph. */
interface Update {
  /** Next values of weights, statistics and slots; `carry` says whose. */
  outputs: Readonly<Record<string, Value>>
  carry: Readonly<Record<string, string>>
  slotNames: readonly string[]
  /** The inputs that it added, besides slots. */
  scalars: readonly Value[]
}

function addUpdate(
  f: Formulas,
  spec: OptimizerSpec,
  {
    weights,
    gradients,
    statistics,
  }: { weights: readonly Value[]; gradients: readonly Value[]; statistics: Stage['statistics'] },
): Update {
  const { builder } = f
  const learningRate = builder.input('learning_rate', scalar)
  const step = builder.input('step', scalar)
  const { carried, slotNames } = addStep(f, spec, weights, gradients, { learningRate, step })
  const outputs: Record<string, Value> = {}
  const carry: Record<string, string> = {}
  for (const { now, next } of [...statistics, ...carried]) {
    outputs[`${now.name}/next`] = next
    carry[`${now.name}/next`] = now.name
  }
  return { outputs, carry, slotNames, scalars: [learningRate, step] }
}
