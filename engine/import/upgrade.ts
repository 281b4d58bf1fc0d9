/**
 * Nodes of older operator sets in the form of set 18, and rare forms of any set in the usual one (ONNX, Changelog.md).
 *
 * Axes of reductions, Squeeze and Unsqueeze, and sizes of Split became inputs; Softmax lost its flattening;
 * BatchNormalization told by its outputs that it was in training mode, RoiAlign had no half pixels. Sequences with the
 * batch first, which no runtime computes, are turned. What a file leaves to a default is written out where the default
 * has changed.
 */
import {
  type Attribute,
  type Attributes,
  firstOutput,
  int,
  intOf,
  ints,
  intsOf,
  madeName,
  type Node,
  oneOutput,
  text,
  textOf,
} from '../onnx/graph.ts'
import { type Constant, float32Constant, int64Constant } from '../onnx/types.ts'

/** Takes a constant that an upgraded node reads. */
export type AddConstant = (name: string, value: Constant) => void

const axesBecameInput: Readonly<Record<string, number>> = {
  Squeeze: 13,
  Unsqueeze: 13,
  ReduceSum: 13,
  ReduceL1: 18,
  ReduceL2: 18,
  ReduceLogSum: 18,
  ReduceLogSumExp: 18,
  ReduceMax: 18,
  ReduceMean: 18,
  ReduceMin: 18,
  ReduceProd: 18,
  ReduceSumSquare: 18,
}

/** What stands for `node`, of operator set `opset`. */
export function upgrade(node: Node, opset: number, add: AddConstant): Node[] {
  if (node.domain !== '') return [node]
  if (opset < (axesBecameInput[node.opType] ?? 0)) return [attributeToInput(node, 'axes', add)]
  switch (node.opType) {
    case 'Split':
      return [splitByInput(node, opset, add)]
    case 'Softmax':
    case 'LogSoftmax':
    case 'Hardmax':
      return opset < 13 ? flattenedSoftmax(node) : [node]
    case 'BatchNormalization':
      return [opset < 14 ? withMode(node) : node]
    case 'RoiAlign':
      return [
        opset < 16 ? withDefault(node, 'coordinate_transformation_mode', text('output_half_pixel')) : node,
      ]
    case 'RNN':
    case 'GRU':
    case 'LSTM':
      return intOf(node.attributes, 'layout', 0) === 1 ? timeFirst(node) : [node]
    case 'Resize':
      return [halfPixels(node)]
    case 'MeanVarianceNormalization':
      return meanVariance(node, add)
    default:
      return [node]
  }
}

function splitByInput(node: Node, opset: number, add: AddConstant): Node {
  const split = opset < 13 ? attributeToInput(node, 'split', add) : node
  if (split.inputs.length > 1 || opset >= 18) return split
  return { ...split, attributes: { ...split.attributes, num_outputs: int(node.outputs.length) } }
}

function attributeToInput(node: Node, name: string, add: AddConstant): Node {
  const values = intsOf(node.attributes, name)
  if (values === null) return node
  const constant = madeName(node.outputs[0]!, name)
  add(constant, int64Constant(values))
  return { ...node, inputs: [node.inputs[0]!, constant], attributes: without(node.attributes, name) }
}

function withDefault(node: Node, name: string, value: Attribute): Node {
  return { ...node, attributes: { [name]: value, ...node.attributes } }
}

/**
 * Before set 14 a BatchNormalization was in training mode when it had more than one output: y, the running values, and
 * two that it kept for a gradient, which nobody reads any more.
 */
function withMode(node: Node): Node {
  if (node.outputs.slice(1).every((output) => output === ''))
    return { ...node, outputs: node.outputs.slice(0, 1) }
  return { ...withDefault(node, 'training_mode', int(1)), outputs: node.outputs.slice(0, 3) }
}

/**
 * Sets before 13 had `tf_half_pixel_for_nn`, which other exporters write to this day: the places of `half_pixel`, half
 * an element further, which the way of rounding makes up for.
 */
function halfPixels(node: Node): Node {
  const word = (name: string, otherwise: string) => textOf(node.attributes, name, otherwise)
  const isTensorFlows = word('coordinate_transformation_mode', '') === 'tf_half_pixel_for_nn'
  const rounding = roundingBehind[word('nearest_mode', 'round_prefer_floor')]
  if (!isTensorFlows || word('mode', 'nearest') !== 'nearest' || rounding === undefined) return node
  const changed = { coordinate_transformation_mode: text('half_pixel'), nearest_mode: text(rounding) }
  return { ...node, attributes: { ...node.attributes, ...changed } }
}

/** By a way of rounding, the one that gives the same half an element before. */
const roundingBehind: Readonly<Record<string, string>> = {
  floor: 'round_prefer_ceil',
  round_prefer_floor: 'ceil',
}

/** Before set 13 a softmax ran over all axes from `axis` on, taken as one. */
function flattenedSoftmax(node: Node): Node[] {
  const [input, output] = [node.inputs[0]!, node.outputs[0]!]
  const [shape, flat, result] = [
    madeName(output, 'shape'),
    madeName(output, 'flat'),
    madeName(output, 'result'),
  ]
  return [
    oneOutput('Shape', [input], shape),
    oneOutput('Flatten', [input], flat, { axis: int(intOf(node.attributes, 'axis', 1)) }),
    oneOutput(node.opType, [flat], result, { axis: int(-1) }),
    oneOutput('Reshape', [result, shape], output),
  ]
}

/** A recurrent node with the batch first in sequences and states, as one with time and directions first. */
function timeFirst(node: Node): Node[] {
  const turned = (name: string) => madeName(madeName(firstOutput(node), 'turned'), name)
  const isTurned = (index: number) => index === 0 || index === 5 || index === 6
  const turn = (input: string, output: string, perm: readonly number[]) =>
    oneOutput('Transpose', [input], output, { perm: ints(perm) })
  const inputs = node.inputs.map((name, index) => (name !== '' && isTurned(index) ? turned(name) : name))
  const outputs = node.outputs.map((name) => (name === '' ? '' : turned(name)))
  return [
    ...node.inputs.flatMap((name, index) =>
      inputs[index] === name ? [] : [turn(name, inputs[index]!, [1, 0, 2])],
    ),
    { ...node, inputs, outputs, attributes: without(node.attributes, 'layout') },
    ...node.outputs.flatMap((name, index) =>
      name === '' ? [] : [turn(outputs[index]!, name, index === 0 ? [2, 0, 1, 3] : [1, 0, 2])],
    ),
  ]
}

/** (x - mean)/(deviation + 1e-9), as onnxruntime has it; its shape cannot be inferred, so it is gone before. */
function meanVariance(node: Node, add: AddConstant): Node[] {
  const [input, output] = [node.inputs[0]!, node.outputs[0]!]
  const value = (name: string) => madeName(output, name)
  add(value('axes'), int64Constant(intsOf(node.attributes, 'axes') ?? [0, 2, 3]))
  add(value('epsilon'), float32Constant(Float32Array.of(1e-9), []))
  return [
    oneOutput('ReduceMean', [input, value('axes')], value('mean')),
    oneOutput('Sub', [input, value('mean')], value('centred')),
    oneOutput('Mul', [value('centred'), value('centred')], value('squares')),
    oneOutput('ReduceMean', [value('squares'), value('axes')], value('variance')),
    oneOutput('Sqrt', [value('variance')], value('root')),
    oneOutput('Add', [value('root'), value('epsilon')], value('deviation')),
    oneOutput('Div', [value('centred'), value('deviation')], output),
  ]
}

function without(attributes: Attributes, name: string): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([key]) => key !== name))
}
