/**
 * What a training program is: what may be asked of it, and the graphs that it promises.
 *
 * All of them take the batch and the parameters as inputs and hold no weights, so that one set of parameters serves them
 * all. Nodes that a graph's outputs do not need are not in it. `compile-program.ts` makes one from a model file,
 * `training-graphs.ts` builds its graphs.
 */
import type { ParameterSpec } from '../../protocols/core/tensor.ts'
import type { LabelWeights } from '../loss/label-weights.ts'
import type { LossKind, LossOptions } from '../loss/loss.ts'
import type { OptimizerSpec } from '../optimizers/spec.ts'
import type { StepMemory } from './memory.ts'
import type { Recomputation } from './recomputation.ts'

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
  /** Samples of one run of a graph. */
  batch: number
  /** Weights and statistics, in the order of the flat vector. */
  parameters: readonly ParameterSpec[]
  /** Elements of the flat vector. */
  parameterCount: number
  /** The model file's own values, f32[parameterCount]. */
  initial: Float32Array
  /** What the graphs take as samples, without the labels. None where the model takes nothing else. */
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
