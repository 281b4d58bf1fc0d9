/**
 * Puts an imported model's nodes into a builder, in the form that trains fastest.
 *
 * A model can do another thing in training than afterwards: BatchNormalization goes by the batch (batch-statistics.ts)
 * in one mode and by its running statistics in the other.
 *
 * Some operators change their form, never their value: LayerNormalization also gives mean and rate, which its gradient
 * reads, and Gelu its derivative (slopes-ahead.ts); products with matrices become Gemms (products.ts), scores that a mask
 * hides a sum (hidden-scores.ts); an operator whose rule has a spelling is spelled out; a Relu under a MaxPool moves
 * above it (pool-before-relu.ts).
 */

import { blockedConvolution } from '../convolution/blocked-convolution.ts'
import { elementwise } from '../convolution/blocked-layout.ts'
import { hasPlaces, poolBeforeRelu } from '../convolution/pool-before-relu.ts'
import { poolingWithPlaces } from '../convolution/pool-places.ts'
import { convolutionInParts, poolingOfParts } from '../convolution/pooled-convolution.ts'
import { discreteSpelling } from '../gradients/discrete.ts'
import type { Recomputed } from '../gradients/recall.ts'
import { spellingOf, type Use } from '../gradients/rule.ts'
import { ruleOf } from '../gradients/rules.ts'
import { type Formulas, positiveAxis } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import type { ImportedModel } from '../import/import-model.ts'
import { intOf } from '../onnx/graph.ts'
import { type Constant, elementTypes, sizeOf } from '../onnx/types.ts'
import { normaliseByBatch } from './batch-statistics.ts'
import { hiddenBySum } from './hidden-scores.ts'
import { biasedProduct, matrixProduct, turnedGemm } from './products.ts'
import { type Form, Recorder } from './recorder.ts'
import { SlopesAhead } from './slopes-ahead.ts'

/** What of a model is put into a graph. */
export type ForwardModel = Pick<ImportedModel, 'nodes' | 'output' | 'constants' | 'parameters'>

/** A model inside a graph under construction. */
export interface Forward {
  readonly output: Value
  /** The applications to differentiate, in execution order. */
  readonly nodes: readonly TypedNode[]
  /** The model's statistics, by name, as this batch leaves them. Empty in inference. */
  readonly statistics: ReadonlyMap<string, Value>
}

/** What the graph is for: steps, or the evaluation of what they came to. */
export type Mode = 'training' | 'inference'

/** A graph that a model is being added to. */
interface Site {
  readonly f: Formulas
  readonly mode: Mode
  /** By the model's names. */
  readonly values: Map<string, Value>
  /** How often each of the model's values is read. */
  readonly reads: ReadonlyMap<string, number>
  /** The model's nodes that alone read a value, by its name. */
  readonly onlyReaders: ReadonlyMap<string, TypedNode>
  /** The model's node that makes each value. */
  readonly makers: ReadonlyMap<string, TypedNode>
  /** Names of the statistics. */
  readonly measured: ReadonlySet<string>
  /** The statistics that nodes have moved so far. */
  readonly moved: Map<string, Value>
  readonly ahead: SlopesAhead
  readonly recorder: Recorder
}

/**
 * Adds `model` to `f`'s graph, where `given` holds its inputs and parameters, by name, as values already. `recomputed`:
 * what the backward pass makes again.
 */
export function addForward(
  f: Formulas,
  model: ForwardModel,
  given: ReadonlyMap<string, Value>,
  mode: Mode,
  recomputed: Recomputed = new Map(),
): Forward {
  const values = new Map(given)
  for (const [name, constant] of model.constants) values.set(name, f.builder.constant(constant))
  const makers = new Map(
    model.nodes.flatMap((node) =>
      node.outputs.flatMap((output) => (output ? [[output.name, node] as const] : [])),
    ),
  )
  const statistics = model.parameters.filter(({ kind }) => kind === 'statistic')
  const measured = new Set(statistics.map(({ name }) => name))
  const nodes = poolBeforeRelu(model.nodes)
  const reads = countReads({ nodes, output: model.output })
  const site: Site = {
    f,
    mode,
    values,
    reads,
    onlyReaders: new Map(
      nodes.flatMap((node) =>
        node.inputs.flatMap((value) => (value && reads.get(value.name) === 1 ? [[value.name, node]] : [])),
      ),
    ),
    makers,
    measured,
    moved: new Map(),
    ahead: new SlopesAhead(f, { isTraining: mode === 'training', recomputed }),
    recorder: new Recorder(f),
  }
  const added = nodes.flatMap((node) => addNode(site, node))
  return { output: values.get(model.output.name)!, nodes: added, statistics: site.moved }
}

/** How often each value is read, as an input or as the model's output. */
function countReads({ nodes, output }: Pick<ForwardModel, 'nodes' | 'output'>): Map<string, number> {
  const reads = new Map([[output.name, 1]])
  for (const { inputs } of nodes) {
    for (const input of inputs) if (input !== null) reads.set(input.name, (reads.get(input.name) ?? 0) + 1)
  }
  return reads
}

/** Adds one node; returns the applications that stand for it in the backward pass. */
function addNode(site: Site, node: TypedNode): readonly TypedNode[] {
  const { f, values, recorder } = site
  const given = node.inputs.map((value) => (value === null ? null : values.get(value.name)!))
  const inputs = node.opType === 'Conv' ? withoutEmptyBias(f, given) : given
  const { outputs, isSpelledOut } = formOf(site, node, inputs)
  for (const [index, output] of node.outputs.entries()) {
    if (output !== null && outputs[index]) values.set(output.name, outputs[index])
  }
  return recorder.made(outputs, isSpelledOut ? { ...node, inputs, outputs } : null)
}

function formOf(site: Site, node: TypedNode, inputs: readonly (Value | null)[]): Form {
  const { f } = site
  const applied = { ...node, inputs }
  if (node.outputs.every((value) => value === null || sizeOf(value.shape) === 0)) return nothing(f, applied)
  switch (node.opType) {
    case 'Add': {
      const product = biasedProduct(f, applied, { readOnce: isReadOnce(site, node), ahead: site.ahead })
      return product ?? { outputs: plain(f, applied) }
    }
    case 'MatMul':
      return matrixProduct(f, applied, untransposed(site, node.inputs[1]!)) ?? { outputs: plain(f, applied) }
    case 'Conv': {
      const blocked = inParts(site, node, applied) ?? blockedConvolution(f, applied)
      if (blocked !== null) return { outputs: [blocked], isSpelledOut: true }
      return spelledOut(f, applied) ?? { outputs: plain(f, applied) }
    }
    case 'MaxPool': {
      const part = poolingOfParts(f, applied)
      const pooled = part === null ? poolingWithPlaces(f, applied) : [part]
      return pooled === null ? { outputs: plain(f, applied) } : { outputs: pooled, isSpelledOut: true }
    }
    case 'Relu':
      return {
        outputs: [elementwise(f, [applied.inputs[0]!], (x) => f.unary('Relu', x))],
        isSpelledOut: true,
      }
    case 'Gelu': {
      const { outputs } = spelledOut(f, applied) ?? { outputs: plain(f, applied) }
      return { outputs: [...outputs, site.ahead.gelu(applied)], isSpelledOut: true }
    }
    case 'Gemm':
      return turnedGemm(f, applied) ?? { outputs: plain(f, applied) }
    case 'Where':
      return { outputs: [hiddenBySum(f, applied, onlyReader(site, node)) ?? plain(f, applied)[0]!] }
    case 'LayerNormalization':
      return { outputs: layerNormalization(f, applied) }
    case 'BatchNormalization':
      return batchNormalization(site, node, inputs as readonly Value[])
    default:
      return spelledOut(f, applied) ?? { outputs: plain(f, applied) }
  }
}

/**
 * What a node without a single element to compute gives: some of onnxruntime's kernels end the process when they are
 * asked to.
 */
function nothing(f: Formulas, { outputs }: TypedNode): Form {
  const empty = ({ dtype, shape }: Value) =>
    f.builder.constant({ dtype, shape, data: new elementTypes[dtype].array(0) } as Constant)
  return { outputs: outputs.map((value) => value && empty(value)) }
}

/** A convolution that only a pooling reads, in the parts that it pools; null for any other. */
function inParts(site: Site, node: TypedNode, applied: TypedNode): Value | null {
  const pooling = onlyReader(site, node)
  const isInParts = pooling?.opType === 'MaxPool' && !hasPlaces(pooling)
  return isInParts ? convolutionInParts(site.f, applied, pooling) : null
}

/** The one node of the model that reads what `node` makes first, if there is one. */
function onlyReader({ onlyReaders }: Site, { outputs }: TypedNode): TypedNode | undefined {
  return outputs[0] ? onlyReaders.get(outputs[0].name) : undefined
}

/** Operators whose spelling serves elements of any type. */
const spelledForAll: ReadonlySet<string> = new Set(['GatherND', 'ScatterND'])

/** The spelling that the operator's rule has, when it computes in float32; else that of the device. */
function spelledOut(f: Formulas, node: TypedNode): Form | null {
  const rule = ruleOf(node.opType)
  const [first, ...others] = node.outputs.filter((output) => output !== null)
  const isItsOwn = first?.dtype === 'float32' || spelledForAll.has(node.opType)
  const use = useOf(f, node)
  const outputs = (isItsOwn ? spellingOf(rule)?.(use, node.outputs) : null) ?? null
  if (outputs !== null) return { outputs, isSpelledOut: rule.kind !== 'spelled' }
  const discrete = first === undefined || others.length > 0 ? null : discreteSpelling(use, first)
  return discrete === null ? null : { outputs: [discrete], isSpelledOut: true }
}

function useOf(f: Formulas, { opType, name, attributes, inputs }: TypedNode): Use {
  const x = inputs as readonly Value[] // `has` guards the ones left out
  return { f, opType, node: name, attributes, x, has: (index) => (inputs[index] ?? null) !== null }
}

function plain(f: Formulas, node: TypedNode): (Value | null)[] {
  return f.builder.node(node.opType, node.inputs, node.attributes, node.outputs)
}

/**
 * The inputs of a convolution without a bias that is all zeros, and no parameter: PyTorch's exporter writes one for a
 * convolution over three axes without a bias, of two dimensions, which onnxruntime refuses.
 */
function withoutEmptyBias(f: Formulas, inputs: readonly (Value | null)[]): readonly (Value | null)[] {
  const bias = inputs[2] ? f.constantOf(inputs[2]) : null
  const isEmpty = bias?.dtype === 'float32' && (bias.data as Float32Array).every((value) => value === 0)
  return isEmpty ? inputs.slice(0, 2) : inputs
}

/** The matrix whose plain transpose the model's value `input` is, when it is one. */
function untransposed({ makers, values }: Site, input: Value): Value | null {
  const maker = makers.get(input.name)
  const isMatrix = maker?.opType === 'Transpose' && maker.inputs[0]!.shape.length === 2
  return isMatrix ? values.get(maker.inputs[0]!.name)! : null
}

/** Of each input of the model's `node`, whether it is read nowhere else. */
function isReadOnce({ reads }: Site, { inputs }: TypedNode): boolean[] {
  return inputs.map((input) => input !== null && reads.get(input.name) === 1)
}

function layerNormalization(f: Formulas, node: TypedNode): (Value | null)[] {
  const x = node.inputs[0]!
  const axis = positiveAxis(intOf(node.attributes, 'axis', -1), x.shape.length)
  const shape = x.shape.map((size, index) => (index < axis ? size : 1))
  const statistic = { dtype: x.dtype, shape }
  return f.builder.node(node.opType, node.inputs, node.attributes, [x, statistic, statistic])
}

/**
 * By the batch where its statistics are measured, and where the file asks for that even when it is run, as PyTorch's
 * modules without running statistics do; else by the running values.
 */
function batchNormalization(site: Site, node: TypedNode, inputs: readonly Value[]): Form {
  const { f, mode, measured, moved } = site
  const running = [node.inputs[3]!.name, node.inputs[4]!.name]
  const isMeasured = running.every((name) => measured.has(name))
  const isByBatch = isMeasured ? mode === 'training' : intOf(node.attributes, 'training_mode', 0) === 1
  if (!isByBatch) {
    const { training_mode: _, ...attributes } = node.attributes
    return { outputs: f.builder.node(node.opType, inputs, attributes, [node.outputs[0]!]) }
  }
  // a module that stands in the graph twice moves its statistics twice
  const before = running.map((name, index) => moved.get(name) ?? inputs[3 + index]!)
  const result = normaliseByBatch(f, node, [...inputs.slice(0, 3), ...before])
  if (isMeasured) moved.set(running[0]!, result.nextMean).set(running[1]!, result.nextVariance)
  return { outputs: result.outputs, isSpelledOut: true }
}
