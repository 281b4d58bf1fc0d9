/**
 * The graphs of a training program: gradient, optimizer step, evaluation, and the step in two parts. Each is the model
 * with its loss, opened anew, and what is asked of it; values of the forward pass have the same names in all of them.
 *
 * What a program promises of its graphs stands in training-program.ts; what is recomputed on the way back is chosen
 * in recomputation.ts.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import type { HalfKernels } from '../backends/backend.ts'
import { differentiate } from '../gradients/differentiate.ts'
import type { Recomputed } from '../gradients/recall.ts'
import { Formulas } from '../graph/formulas.ts'
import { GraphBuilder, type Target, type TypedNode, type Value } from '../graph/graph-builder.ts'
import type { ImportedModel } from '../import/import-model.ts'
import type { LabelWeights } from '../loss/label-weights.ts'
import { addLoss, type Loss } from '../loss/loss.ts'
import { madeName, neededNodes } from '../onnx/graph.ts'
import { sizeOf, type TensorType } from '../onnx/types.ts'
import { writeModel } from '../onnx/write.ts'
import { squaredNorm } from '../optimizers/graph-optimizer.ts'
import { addStep } from '../optimizers/graph-step.ts'
import type { OptimizerSpec } from '../optimizers/spec.ts'
import { mixedPrecision } from '../precision/mixed.ts'
import { addForward, type Mode } from './forward.ts'
import { bytesPerElement, constantBytes, peakBytes, type StepMemory } from './memory.ts'
import type { KeptGraph } from './recomputation.ts'
import type { SplitStep, TrainingProgram, TrainingSpec } from './training-program.ts'

/** What all graphs of a program are made from. */
export interface Blueprint {
  readonly model: ImportedModel
  readonly spec: TrainingSpec
  /** The input for labels: one of the model's with the loss `in_model`, else the graphs' own. */
  readonly labels: Value
  readonly labelWeights: LabelWeights
  readonly target: Target
  readonly recomputed: Recomputed
  /** How forward and backward pass compute in float16; null: they compute in float32. An evaluation always does. */
  readonly half: HalfKernels | null
}

/** Names that the graphs use for themselves; a model's input or parameter may not have them. */
const reserved =
  'labels learning_rate step loss gradient loss_sum correct count share kept loss_scale gradient_square'.split(
    ' ',
  )

/** A graph with the model and its loss in it. */
interface Stage {
  readonly f: Formulas
  readonly samples: readonly Value[]
  /** Samples, labels, then weights and statistics: what every graph takes. */
  readonly inputs: readonly Value[]
  readonly weights: readonly Value[]
  /** With their values after this batch; none in inference, which measures nothing. */
  readonly statistics: readonly { now: Value; next: Value }[]
  readonly loss: Loss
  /** The nodes of the loss, value and gradient. */
  readonly lossNodes: readonly TypedNode[]
  /** How many nodes there are before the backward pass. */
  readonly forwardCount: number
  /** Gradients by each weight, in order, when `seed` is the gradient of the model's output. */
  gradients(seed: Value): Value[]
}

function openGraph(blueprint: Blueprint, mode: Mode): Stage {
  const { model, spec, labels: labelled, labelWeights, target, recomputed } = blueprint
  const own = model.inputs.filter(({ name }) => name !== labelled.name || spec.loss !== 'in_model')
  const taken = [...own, ...model.parameters].find(({ name }) => reserved.includes(name))
  if (taken !== undefined) {
    throw new SwarmError('MODEL_UNSUPPORTED', `'${taken.name}' is a name that Starling uses itself`, {
      hint: 'Export with another name for it.',
    })
  }
  const builder = new GraphBuilder(model.opset, target)
  const f = new Formulas(builder)
  const samples = own.map((input) => builder.input(input.name, input))
  const labels = builder.input(labelled.name, labelled)
  const parameters = model.parameters.map(({ name, shape }) =>
    builder.input(name, { dtype: 'float32', shape }),
  )
  const given = new Map([...samples, labels, ...parameters].map((value) => [value.name, value]))
  const { output, nodes, statistics } = addForward(f, model, given, mode, recomputed)
  const modelCount = builder.nodes.length
  const loss = addLoss(f, spec.loss, output, labels, { ...spec.lossOptions, labelWeights })
  const weights = parameters.filter((_, index) => model.parameters[index]!.kind === 'weight')
  return {
    f,
    samples: [...samples, labels],
    inputs: [...samples, labels, ...parameters],
    weights,
    statistics: parameters.flatMap((now) => {
      const next = statistics.get(now.name)
      return next === undefined ? [] : [{ now, next }]
    }),
    loss,
    lossNodes: builder.nodes.slice(modelCount),
    forwardCount: builder.nodes.length,
    gradients: (seed) => differentiate(f, nodes, output, seed, weights, recomputed),
  }
}

/** A model with its loss and the backward pass, all in float32 for who goes on from here. */
interface Differentiated extends Pick<Stage, 'weights' | 'statistics'> {
  readonly f: Formulas
  /** What the graph takes, without what is added to it from here. */
  readonly inputs: readonly Value[]
  /** Outputs of every graph with a backward pass: `loss` [], and with float16 `gradient_square` []. */
  readonly outputs: Readonly<Record<string, Value>>
  /** Gradients of the mean loss by each weight, in order. */
  readonly gradients: readonly Value[]
  /** For planning what to recompute, when it recomputes nothing itself. */
  readonly kept: KeptGraph
}

function differentiated(blueprint: Blueprint): Differentiated {
  const stage = openGraph(blueprint, 'training')
  const { f, inputs, weights, statistics, loss } = stage
  if (blueprint.half === null) {
    const gradients = stage.gradients(loss.gradient)
    const outputs = { loss: loss.mean }
    return { f, inputs, outputs, weights, statistics, gradients, kept: keptGraph(stage, gradients) }
  }
  const scale = f.builder.input('loss_scale', scalar)
  const scaled = stage.gradients(f.mul(loss.gradient, scale))
  const mixed = mixedPrecision(
    {
      builder: f.builder,
      inputs: [...inputs, scale],
      outputs: [loss.mean, ...scaled, ...statistics.map(({ next }) => next)],
      pinned: new Set(stage.lossNodes),
    },
    blueprint.half,
  )
  const share = mixed.f.reciprocal(scale)
  const gradients = scaled.map((gradient) => mixed.f.mul(mixed.of(gradient), share))
  return {
    f: mixed.f,
    inputs: [...inputs, scale],
    outputs: { loss: mixed.of(loss.mean), gradient_square: squaredNorm(mixed.f, gradients) },
    weights,
    statistics: statistics.map(({ now, next }) => ({ now, next: mixed.of(next) })),
    gradients,
    kept: keptGraph(stage, scaled),
  }
}

function keptGraph(
  { f: { builder }, samples, statistics, loss, forwardCount }: Stage,
  gradients: readonly Value[],
): KeptGraph {
  const results = [loss.mean, ...gradients, ...statistics.map(({ next }) => next)]
  const nodes = neededNodes(builder.nodes, new Set(results.map(({ name }) => name)))
  const early = new Set(builder.nodes.slice(0, forwardCount))
  const needed = new Set(nodes)
  return {
    forward: nodes.filter((node) => early.has(node)),
    backward: nodes.filter((node) => !early.has(node)),
    unread: [...early].filter((node) => !needed.has(node)),
    samples: new Set(samples.map(({ name }) => name)),
    isConstant: (value) => builder.constantOf(value) !== null,
  }
}

/** {@link TrainingProgram.gradientModel} */
export function gradientGraph(blueprint: Blueprint): Uint8Array {
  const { f, inputs, statistics, outputs, gradients } = differentiated(blueprint)
  const changes = statistics.map(({ now, next }) => f.sub(now, next))
  const flat = [...gradients, ...changes].map((change) => f.reshape(change, [sizeOf(change.shape)]))
  return writeModel(f.builder.finish({ ...outputs, gradient: f.concat(flat, 0) }, inputs))
}

/** {@link TrainingProgram.evaluationModel} */
export function evaluationGraph(blueprint: Blueprint): Uint8Array {
  const { f, inputs, loss } = openGraph(blueprint, 'inference')
  const { sum, correct, count } = loss
  return writeModel(f.builder.finish({ loss_sum: sum, correct, count }, inputs))
}

/** The graph of an optimizer step, not written yet. */
export interface StepGraph extends Pick<TrainingProgram, 'slotNames' | 'carry'> {
  readonly memory: StepMemory
  /** For planning what to recompute, when it recomputes nothing itself. */
  readonly kept: KeptGraph
  /** {@link TrainingProgram.stepModel} */
  write(): Uint8Array
}

export function stepGraph(blueprint: Blueprint): StepGraph {
  const { f, inputs, weights, statistics, gradients, kept, ...made } = differentiated(blueprint)
  const update = addUpdate(f, blueprint.spec.optimizer, { weights, gradients, statistics })
  const outputs = { ...made.outputs, ...update.outputs }
  const stateElements = Object.values(update.outputs).reduce((sum, { shape }) => sum + sizeOf(shape), 0)
  return {
    slotNames: update.slotNames,
    carry: update.carry,
    memory: {
      stateBytes: bytesPerElement('float32') * stateElements,
      constantBytes: constantBytes(f.builder.nodes, Object.values(outputs), f.constantOf.bind(f)),
      valueBytes: peakBytes(f.builder.nodes, Object.values(outputs)),
    },
    kept,
    write: () => writeModel(f.builder.finish(outputs, [...inputs, ...update.scalars])),
  }
}

/** {@link TrainingProgram.split} */
export function splitGraphs(blueprint: Blueprint): SplitStep {
  return { ...accumulateGraph(blueprint), applyModel: applyGraph(blueprint) }
}

function accumulateGraph(blueprint: Blueprint): Omit<SplitStep, 'applyModel'> {
  const { f, inputs, weights, statistics, gradients, ...made } = differentiated(blueprint)
  const { builder } = f
  const [share, kept] = [builder.input('share', scalar), builder.input('kept', scalar)]
  const changes = [
    ...weights.map((weight, index) => [weight, gradients[index]!] as const),
    ...statistics.map(({ now, next }) => [now, f.sub(now, next)] as const),
  ]
  const outputs: Record<string, Value> = { ...made.outputs }
  const accumulateCarry: Record<string, string> = {}
  for (const [parameter, change] of changes) {
    const sum = builder.input(sumName(parameter), parameter)
    // not a product with 0: what was added up before may be infinite
    const before = f.where(f.greaterOrEqual(kept, 1), sum, 0)
    outputs[madeName(sum.name, 'next')] = f.add(before, f.mul(change, share))
    accumulateCarry[madeName(sum.name, 'next')] = sum.name
  }
  const accumulateModel = writeModel(builder.finish(outputs, [...inputs, share, kept]))
  return { accumulateModel, accumulateCarry, sumNames: blueprint.model.parameters.map(sumName) }
}

function applyGraph({ model, spec, target }: Blueprint): Uint8Array {
  const f = new Formulas(new GraphBuilder(model.opset, target))
  const values = model.parameters.map(({ name, shape, kind }) => {
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

const sumName = ({ name }: { name: string }): string => madeName(name, 'sum')

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
    outputs[madeName(now.name, 'next')] = next
    carry[madeName(now.name, 'next')] = now.name
  }
  return { outputs, carry, slotNames, scalars: [learningRate, step] }
}
