/** What folding makes is never more than its bound, and what would be too much is refused before it is tried. */
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { areaOf } from '../../../engine/import/folded-size.ts'
import { checkElements, foldingCost } from '../../../engine/import/folding-cost.ts'
import { type Attributes, float, int, ints, type Node, text } from '../../../engine/onnx/graph.ts'
import { type Constant, float32Constant, int64Constant, sizeOf } from '../../../engine/onnx/types.ts'
import { writeModel } from '../../../engine/onnx/write.ts'

let native: Backend
beforeAll(async () => {
  native = await openNativeBackend({ threads: 1 })
})

interface Case {
  opType: string
  inputs: readonly (Constant | null)[]
  attributes: Attributes
}

const image = (...shape: number[]) =>
  float32Constant(
    Float32Array.from({ length: sizeOf(shape) }, (_, k) => Math.sin(k)),
    shape,
  )
const whole = (...values: number[]) => int64Constant(values)
const scalar = (value: number): Constant => ({ ...whole(value), shape: [] })
const places = (shape: readonly number[], ...values: number[]): Constant => ({ ...whole(...values), shape })
const real = (value: number) => float32Constant(Float32Array.of(value), [])
const floats = (...values: number[]) => float32Constant(Float32Array.from(values), [values.length])
const truths = (...values: number[]): Constant => ({
  dtype: 'bool',
  shape: [values.length],
  data: Uint8Array.from(values),
})

const over = (opType: string, inputs: Case['inputs'], attributes: Attributes = {}): Case => ({
  opType,
  inputs,
  attributes,
})

const nodeOf = ({ opType, inputs, attributes }: Case): Node => ({
  opType,
  domain: '',
  name: `evil ${opType}`,
  inputs: inputs.map((input, index) => (input === null ? '' : `i${index}`)),
  outputs: ['result'],
  attributes,
})

const costOf = (given: Case) =>
  foldingCost(
    nodeOf(given),
    given.inputs.map((constant) => constant && { area: areaOf(constant.shape), constant }),
  )

test.each([
  over('Relu', [image(3, 4)]),
  over('Add', [image(3, 1, 5), image(4, 1)]),
  over('Where', [truths(1, 0, 1), image(2, 1), image(1, 3)]),
  over('MatMul', [image(2, 3, 40), image(40, 5)]),
  over('Gemm', [image(40, 3), image(5, 40)], { transA: int(1), transB: int(1) }),
  over('MatMul', [image(30, 0), image(0, 20)]),
  over('ReduceSum', [image(30, 0), whole(1)]),
  over('Concat', [image(2, 3), image(2, 7)], { axis: int(1) }),
  over('ConstantOfShape', [whole(3, 4, 5)]),
  over('Expand', [image(3, 1), whole(2, 1, 4)]),
  over('Tile', [image(2, 3), whole(4, 5)]),
  over('Range', [scalar(10), scalar(-7), scalar(-2)]),
  over('OneHot', [whole(0, 2, 1), scalar(9), floats(0, 1)]),
  over('Pad', [image(2, 3), whole(1, 2, 3, 4)]),
  over('Pad', [image(2, 3), whole(1, 30), null, whole(-1)]),
  over('Gather', [image(5, 6), places([2, 3, 4], ...new Array(24).fill(1))], { axis: int(-1) }),
  over('GatherND', [image(5, 6, 7), places([2, 3, 1], 0, 1, 2, 3, 4, 0)]),
  over('GatherElements', [image(2, 3), places([2, 8], ...new Array(16).fill(1))], { axis: int(1) }),
  over('Reshape', [image(6, 4), whole(0, 2, -1)]),
  over('Reshape', [image(0, 4), whole(50, 0, 60)], { allowzero: int(1) }),
  over('NonZero', [image(3, 4, 5)]),
  over('Resize', [image(1, 1, 4, 5), null, null, whole(1, 1, 11, 3)], { mode: text('nearest') }),
  over('Resize', [image(1, 1, 4, 5), null, floats(1, 1, 2.6, 3.9)], { mode: text('nearest') }),
  over('Resize', [image(1, 1, 4, 5), null, null, whole(8, 40)], {
    mode: text('nearest'),
    axes: ints([2, 3]),
    keep_aspect_ratio_policy: text('not_smaller'),
  }),
  over('HannWindow', [scalar(31)]),
  over('HammingWindow', [scalar(31)]),
  over('BlackmanWindow', [scalar(31)]),
  over('MelWeightMatrix', [scalar(7), scalar(16), scalar(8000), real(0), real(4000)]),
  over('AffineGrid', [image(2, 3, 4), whole(2, 1, 3, 4, 5)]),
  over('CenterCropPad', [image(3, 4), whole(9)], { axes: ints([-1]) }),
  over('Col2Im', [image(1, 10, 12), whole(3, 8), whole(1, 5)], { strides: ints([1, 1]) }),
  over('MaxUnpool', [image(1, 1, 2, 2), places([1, 1, 2, 2], 0, 2, 8, 10)], {
    kernel_shape: ints([2, 2]),
    strides: ints([2, 2]),
  }),
  over('MaxUnpool', [image(1, 1, 2, 2), places([1, 1, 2, 2], 0, 2, 8, 10), whole(1, 1, 7, 9)], {
    kernel_shape: ints([2, 2]),
    strides: ints([2, 2]),
  }),
  over('Conv', [image(2, 3, 5, 5), image(4, 3, 3, 3)], { pads: ints([2, 1, 0, 2]) }),
  over('ConvTranspose', [image(2, 4, 3, 3), image(4, 3, 2, 2)], {
    strides: ints([3, 2]),
    dilations: ints([2, 1]),
    group: int(2),
  }),
  over('ConvTranspose', [image(1, 1, 3), image(1, 1, 2)], { output_shape: ints([7]), strides: ints([2]) }),
  over('MaxPool', [image(1, 2, 5, 5)], { kernel_shape: ints([3, 3]), pads: ints([2, 2, 2, 2]) }),
  over('AveragePool', [image(1, 2, 5)], { kernel_shape: ints([2]), strides: ints([2]), ceil_mode: int(1) }),
  over('Einsum', [image(2, 3), image(4)], { equation: text('ij,k->kij') }),
  over('TopK', [image(9, 9), whole(4)]),
  over('Trilu', [image(4, 6)]),
])('$opType over constants makes no more than its bound, which is no wild guess', async (given) => {
  const node = nodeOf(given)
  const file = writeModel({
    opset: 20,
    nodes: [node.opType === 'TopK' ? { ...node, outputs: ['result', 'places'] } : node],
    constants: new Map(
      given.inputs.flatMap((input, index) => (input === null ? [] : [[`i${index}`, input]])),
    ),
    inputs: new Map(),
    outputs: new Map([['result', null]]),
  })
  const made = areaOf((await native.evaluateConstants(file)).get('result')!.shape)
  const { elements, operations } = costOf(given)
  expect(elements).toBeGreaterThanOrEqual(made)
  expect(elements).toBeLessThanOrEqual(8 * made + 64)
  expect(operations).toBeGreaterThanOrEqual(made)
})

const huge = 100_000

test.each([
  over('ConstantOfShape', [whole(huge, huge)]),
  over('Resize', [image(1, 1, 1, 1), null, null, whole(1, 1, huge, huge)]),
  over('Resize', [image(1, 1, 1, 1), null, floats(1, 1, huge, huge)]),
  over('HannWindow', [scalar(huge ** 2)]),
  over('HammingWindow', [scalar(huge ** 2)]),
  over('BlackmanWindow', [scalar(huge ** 2)]),
  over('MelWeightMatrix', [scalar(huge), scalar(huge), scalar(8000), real(0), real(4000)]),
  over('MaxUnpool', [image(1, 1, 1, 1), places([1, 1, 1, 1], 0), whole(1, 1, huge, huge)]),
  over('MaxUnpool', [image(1, 1, 1, 1), places([1, 1, 1, 1], 0)], { kernel_shape: ints([huge, huge]) }),
  over('AffineGrid', [image(1, 2, 3), whole(1, 1, huge, huge)]),
  over('CenterCropPad', [image(1, 1), whole(huge, huge)]),
  over('Col2Im', [image(1, 1, 1), whole(huge, huge), whole(1, 1)]),
  over('Conv', [image(1, 1, 1, 1), image(1, 1, 1, 1)], { pads: ints([0, 0, huge, huge]) }),
  over('ConvTranspose', [image(1, 1, 1, 1), image(1, 1, 1, 1)], { output_shape: ints([huge, huge]) }),
  over('ConvTranspose', [image(1, 1, 9, 9), image(1, 1, 1, 1)], { strides: ints([huge, huge]) }),
  over('MaxPool', [image(1, 1, 1, 1)], { kernel_shape: ints([1, 1]), pads: ints([huge, huge, huge, huge]) }),
  over('ReduceSum', [image(huge ** 2, 0), whole(1)]),
  over('Reshape', [image(0), whole(huge, huge, 0)], { allowzero: int(1) }),
  over('Range', [real(0), real(1), real(1e-30)]),
  over('Range', [real(0), real(Number.NaN), real(1)]),
])('$opType of ten thousand million elements is refused', (given) => {
  expect(() => checkElements(nodeOf(given), costOf(given).elements)).toThrow(
    expect.objectContaining({
      code: 'LIMIT_EXCEEDED',
      message: expect.stringContaining(`evil ${given.opType}`),
    }),
  )
})

test.each([
  over('RoiAlign', [image(1, 1, 2, 2), image(1, 4), whole(0)], {
    output_height: int(huge),
    output_width: int(huge),
  }),
  over('DFT', [image(1, 4, 1), scalar(huge)]),
  over('LSTM', [image(9, 1, 1), image(1, 4, 1), image(1, 4, 1)]),
  over('constructor', [image(1)], { alpha: float(1) }),
])('$opType is not folded at all, and named', (given) => {
  expect(() => costOf(given)).toThrow(
    expect.objectContaining({
      code: 'MODEL_UNSUPPORTED',
      message: expect.stringContaining(`evil ${given.opType}`),
    }),
  )
})
