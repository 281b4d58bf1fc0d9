/**
 * One row for each way an operator is used: broadcasting, axes of size one, odd strides and uneven pads, negative axes.
 * Every rule of the table must have a row; gradients.test.ts checks that too.
 */
import {
  flags,
  floats,
  type GradientCase,
  ids,
  integers,
  p,
  positive,
  reading,
  row,
  scalar,
} from './gradient-case.ts'
import { indexCases } from './gradient-cases-index.ts'
import { sequenceCases } from './gradient-cases-sequence.ts'
import { windowCases } from './gradient-cases-window.ts'
import {
  broadcastingOperators,
  exponentialOperators,
  reductionOperators,
  unaryOperators,
} from './operators.ts'

const binary = broadcastingOperators.flatMap((op) => [
  row('equal shapes', op, [p([2, 3]), p([2, 3])]),
  row('the left broadcasts over a new and an old axis', op, [p([3, 1]), p([2, 3, 4])]),
  row('the right is one element', op, [p([2, 3]), p([1])]),
])

const unary = [...unaryOperators, ...exponentialOperators, 'Reciprocal'].map((op) =>
  row('a matrix', op, [op === 'Reciprocal' ? positive(3, 4) : p([3, 4], -3.5, 3.5)], {}, 22),
)

const activations = [
  row('inside its branch', 'Tan', [p([3, 4], -1.2, 1.2)]),
  row('inside its domain', 'Asin', [p([3, 4], -0.9, 0.9)]),
  row('inside its domain', 'Acos', [p([3, 4], -0.9, 0.9)]),
  row('inside its domain', 'Atanh', [p([3, 4], -0.9, 0.9)]),
  row('inside its domain', 'Acosh', [p([3, 4], 1.2, 4)]),
  row('its own threshold', 'ThresholdedRelu', [p([3, 4])], { alpha: 0.4 }),
  row('its own threshold and bias', 'Shrink', [p([3, 4])], { lambd: 0.4, bias: 0.1 }),
  row('a broadcast divisor', 'Mod', [p([2, 3], -5, 5), positive(3)], { fmod: 1 }),
  row('a negative divisor', 'Mod', [p([2, 3], -5, 5), p([2, 3], -2, -0.5)], { fmod: 1 }),
  row('a matrix', 'Log', [positive(3, 4)]),
  row('a matrix', 'Sqrt', [positive(3, 4)]),
  row('to float32', 'Cast', [p([3, 4])], { to: 1 }),
  row('slope 0.3', 'LeakyRelu', [p([3, 4])], { alpha: 0.3 }),
  row('alpha 0.7', 'Elu', [p([3, 4])], { alpha: 0.7 }),
  row('alpha 0.7', 'Celu', [p([3, 4])], { alpha: 0.7 }),
  row('its own slope', 'HardSigmoid', [p([3, 4])], { alpha: 0.4, beta: 0.3 }),
  row('exact', 'Gelu', [p([3, 4], -3, 3)], {}, 20),
  row('by tanh', 'Gelu', [p([3, 4], -3, 3)], { approximate: 'tanh' }, 20),
  row('alpha 1.5', 'Swish', [p([3, 4], -3, 3)], { alpha: 1.5 }, 24),
  row('in a newer set than its own', 'Swish', [p([3, 4], -3, 3)], {}, 26),
  row('a slope for each channel', 'PRelu', [p([2, 3, 4]), p([3, 1])]),
  row('both bounds', 'Clip', [p([3, 4]), scalar(-0.7), scalar(0.9)]),
  row('a lower bound', 'Clip', [p([3, 4]), scalar(-0.2)]),
  row('a base and an exponent for each element', 'Pow', [positive(2, 3), p([2, 3])]),
  row('one exponent', 'Pow', [p([2, 3]), scalar(3)]),
  row('squares', 'Pow', [p([2, 3]), scalar(2)]),
  row('a broadcast denominator', 'Div', [p([2, 3]), positive(3)]),
  row('a broadcast numerator', 'Div', [p([3]), positive(2, 3)]),
  row('three inputs', 'Max', [p([2, 3]), p([3]), p([2, 1])]),
  row('three inputs', 'Mean', [p([2, 3]), p([3]), p([2, 1])]),
  row('an odd number of factors', 'ReduceProd', [p([3, 5]), integers(1)], { keepdims: 0 }),
  row('both sides broadcast', 'Where', [flags([2, 3], 1, 0, 1, 0, 0, 1), p([3]), p([2, 1])]),
]

const linear = [
  row('matrices', 'MatMul', [p([3, 4]), p([4, 5])]),
  row('as many columns as make the other matrix worth turning', 'MatMul', [p([2, 3]), p([3, 257])]),
  row('a batch times a matrix', 'MatMul', [p([2, 3, 4]), p([4, 5])]),
  row('batches of matrices', 'MatMul', [p([2, 2, 3, 4]), p([2, 2, 4, 2])]),
  row('batches that broadcast', 'MatMul', [p([2, 1, 3, 4]), p([3, 4, 2])]),
  row('a matrix times a batch', 'MatMul', [p([3, 4]), p([2, 4, 2])]),
  row('a matrix times a vector', 'MatMul', [p([2, 3, 4]), p([4])]),
  row('a vector times a batch', 'MatMul', [p([4]), p([2, 4, 3])]),
  ...[0, 1].flatMap((transA) =>
    [0, 1].map((transB) =>
      row(
        `transA ${transA}, transB ${transB}, alpha and beta`,
        'Gemm',
        [p(transA === 1 ? [4, 3] : [3, 4]), p(transB === 1 ? [5, 4] : [4, 5]), p([5])],
        { transA, transB, alpha: 0.7, beta: 1.3 },
      ),
    ),
  ),
  row('a column as the third input', 'Gemm', [p([3, 4]), p([4, 5]), p([3, 1])]),
]

const convolutions = [
  row('3x3 with pads and bias', 'Conv', [p([2, 2, 5, 4]), p([3, 2, 3, 3]), p([3])], { pads: [1, 1, 1, 1] }),
  row('stride 2 and 3 with uneven pads', 'Conv', [p([2, 2, 7, 8]), p([3, 2, 3, 2])], {
    strides: [2, 3],
    pads: [1, 0, 2, 1],
  }),
  row('windows that end before the image', 'Conv', [p([1, 2, 6, 7]), p([2, 2, 2, 2])], { strides: [3, 3] }),
  row('dilation', 'Conv', [p([1, 2, 7, 6]), p([2, 2, 3, 2])], { dilations: [2, 3], pads: [2, 1, 0, 2] }),
  row('two groups', 'Conv', [p([2, 4, 4, 4]), p([6, 2, 3, 3]), p([6])], { group: 2, pads: [1, 1, 1, 1] }),
  row('depthwise with dilation and uneven pads', 'Conv', [p([2, 3, 7, 6]), p([3, 1, 3, 2])], {
    group: 3,
    dilations: [2, 3],
    pads: [4, 1, 0, 2],
  }),
  row('depthwise with stride', 'Conv', [p([2, 3, 5, 5]), p([6, 1, 3, 3])], {
    group: 3,
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  }),
  row('1x1', 'Conv', [p([2, 3, 3, 2]), p([4, 3, 1, 1])]),
  row('padded to the same size, more at the end', 'Conv', [p([1, 2, 5, 4]), p([2, 2, 2, 2])], {
    auto_pad: 'SAME_UPPER',
    strides: [2, 1],
  }),
  row('padded to the same size, more at the start', 'Conv', [p([1, 2, 5, 4]), p([2, 2, 2, 2])], {
    auto_pad: 'SAME_LOWER',
  }),
  row('enough channels for a product by tap', 'Conv', [p([2, 16, 5, 4]), p([3, 16, 3, 2]), p([3])], {
    strides: [2, 1],
    pads: [1, 0, 2, 1],
  }),
  row('enough channels, images much wider than their padding', 'Conv', [p([2, 16, 19]), p([2, 16, 3])], {
    strides: [2],
    pads: [1, 1],
  }),
  row('enough channels, taps that read nothing but padding', 'Conv', [p([1, 16, 3]), p([2, 16, 3])], {
    dilations: [4],
    pads: [4, 4],
  }),
  row('enough channels, elements in a line', 'Conv', [p([1, 16, 8, 9]), p([2, 16, 2, 2])], {
    pads: [1, 0, 0, 1],
  }),
  row('enough channels, a line with dilation and fewer rows', 'Conv', [p([1, 16, 4, 10]), p([2, 16, 2, 2])], {
    dilations: [2, 2],
    pads: [0, 2, 0, 0],
  }),
  row('enough channels, a line of three axes', 'Conv', [p([1, 16, 1, 8, 9]), p([1, 16, 1, 2, 2])], {
    pads: [0, 0, 1, 0, 1, 0],
  }),
  row('dilation and enough channels', 'Conv', [p([1, 16, 6]), p([2, 16, 2])], { dilations: [3] }),
  row('one spatial axis', 'Conv', [p([2, 3, 8]), p([4, 3, 3]), p([4])], { strides: [2], pads: [1, 2] }),
  row('three spatial axes', 'Conv', [p([1, 2, 3, 4, 3]), p([2, 2, 2, 2, 2])], { strides: [1, 2, 1] }),
  row('stride 2 with pads', 'ConvTranspose', [p([2, 2, 3, 4]), p([2, 3, 3, 3]), p([3])], {
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  }),
  row('output padding and dilation', 'ConvTranspose', [p([1, 2, 3, 3]), p([2, 2, 2, 3])], {
    strides: [3, 2],
    dilations: [2, 1],
    output_padding: [1, 1],
    pads: [0, 1, 1, 0],
  }),
  row('enough channels for a product by tap', 'ConvTranspose', [p([2, 2, 3, 2]), p([2, 16, 2, 3])], {
    strides: [2, 1],
    pads: [0, 1, 1, 0],
  }),
  row('two groups', 'ConvTranspose', [p([1, 4, 3, 3]), p([4, 2, 2, 2])], { group: 2 }),
  row('depthwise with stride and bias', 'ConvTranspose', [p([2, 3, 3, 2]), p([3, 1, 3, 2]), p([3])], {
    group: 3,
    strides: [2, 1],
    pads: [1, 0, 0, 1],
  }),
  row('one spatial axis', 'ConvTranspose', [p([2, 3, 5]), p([3, 2, 4])], { strides: [3], pads: [1, 2] }),
  row('strides larger than the kernel, pads larger than it too', 'Conv', [p([1, 2, 7, 5]), p([2, 2, 2, 1])], {
    strides: [5, 3],
    pads: [3, 2, 0, 1],
  }),
  row('odd strides, dilation and pads on every side', 'Conv', [p([2, 3, 11]), p([2, 3, 3]), p([2])], {
    strides: [3],
    dilations: [2],
    pads: [2, 3],
  }),
  row('odd strides, pads that cut into the kernel', 'ConvTranspose', [p([1, 2, 3, 2]), p([2, 2, 4, 5])], {
    strides: [3, 5],
    pads: [2, 1, 1, 3],
    output_padding: [2, 1],
  }),
  row('three spatial axes', 'ConvTranspose', [p([1, 2, 2, 3, 2]), p([2, 2, 2, 2, 2])], {
    strides: [1, 2, 2],
  }),
  row(
    'two groups, three spatial axes, pads larger than the kernel',
    'ConvTranspose',
    [p([1, 4, 2, 3, 2]), p([4, 1, 2, 2, 3]), p([2])],
    {
      group: 2,
      strides: [2, 2, 1],
      pads: [1, 2, 0, 0, 1, 1],
      output_padding: [1, 0, 0],
      dilations: [1, 1, 2],
    },
  ),
  row('depthwise, three spatial axes, dilation', 'Conv', [p([1, 2, 4, 5, 3]), p([4, 1, 2, 2, 2])], {
    group: 2,
    dilations: [2, 1, 2],
    pads: [1, 0, 1, 0, 1, 1],
  }),
]

const poolings = [
  row('tiles', 'MaxPool', [p([2, 2, 4, 6])], { kernel_shape: [2, 2], strides: [2, 2] }),
  row('tiles that end before the image', 'MaxPool', [p([1, 2, 5, 7])], {
    kernel_shape: [2, 3],
    strides: [2, 3],
  }),
  row('overlapping windows with pads', 'MaxPool', [p([2, 2, 5, 6])], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
  }),
  row('dilation', 'MaxPool', [p([1, 1, 6, 6])], { kernel_shape: [2, 2], dilations: [2, 3] }),
  row('ceil mode', 'MaxPool', [p([1, 2, 5, 6])], { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }),
  row('odd strides and uneven pads', 'MaxPool', [p([1, 2, 7, 8])], {
    kernel_shape: [3, 4],
    strides: [3, 5],
    pads: [1, 2, 2, 0],
  }),
  row('odd strides and uneven pads', 'AveragePool', [p([1, 2, 7, 8])], {
    kernel_shape: [3, 4],
    strides: [3, 5],
    pads: [1, 2, 2, 0],
  }),
  row('one spatial axis', 'MaxPool', [p([2, 2, 7])], { kernel_shape: [3], strides: [2] }),
  row('three spatial axes', 'MaxPool', [p([1, 2, 3, 4, 3])], { kernel_shape: [2, 3, 2], strides: [1, 1, 2] }),
  row('three spatial axes', 'AveragePool', [p([1, 2, 3, 4, 3])], {
    kernel_shape: [2, 2, 2],
    strides: [1, 2, 1],
  }),
  row('tiles', 'AveragePool', [p([2, 2, 4, 6])], { kernel_shape: [2, 3], strides: [2, 3] }),
  row('pads left out of the count', 'AveragePool', [p([1, 2, 5, 4])], {
    kernel_shape: [3, 3],
    strides: [2, 1],
    pads: [1, 1, 1, 1],
  }),
  row('pads counted', 'AveragePool', [p([1, 2, 5, 4])], {
    kernel_shape: [3, 2],
    pads: [1, 1, 0, 1],
    count_include_pad: 1,
  }),
  row('ceil mode', 'AveragePool', [p([1, 2, 5, 6])], { kernel_shape: [2, 2], strides: [2, 2], ceil_mode: 1 }),
  row('an image', 'GlobalAveragePool', [p([2, 3, 3, 4])]),
  row('an image', 'GlobalMaxPool', [p([2, 3, 3, 4])]),
]

const normalisations = [
  row('the last axis', 'LayerNormalization', [p([2, 3, 5]), p([5]), p([5])]),
  row('two axes, no bias', 'LayerNormalization', [p([2, 3, 4]), p([3, 4])], { axis: 1, epsilon: 0.01 }),
  row('the last axis', 'RMSNormalization', [p([2, 3, 5]), p([5])], { epsilon: 0.01 }, 23),
  row(
    'statistics of the batch',
    'BatchNormalization',
    [p([2, 3, 2, 2]), p([3]), p([3]), floats(0.1, -0.4, 1), floats(0.5, 1, 2)],
    { epsilon: 0.01 },
  ),
  row('each image and channel', 'InstanceNormalization', [p([2, 3, 3, 2]), p([3]), p([3])]),
  row('two groups of channels', 'GroupNormalization', [p([2, 4, 3]), p([4]), p([4])], { num_groups: 2 }, 21),
  row('the last axis', 'Softmax', [p([2, 3, 4])]),
  row('an inner axis', 'Softmax', [p([2, 3, 4])], { axis: 1 }),
  row('an inner axis', 'LogSoftmax', [p([2, 3, 4])], { axis: -2 }),
  row('the mean over pixels', 'SoftmaxCrossEntropyLoss', [p([2, 3, 2]), ids([2, 2], 0, 2, 1, 1)]),
  row(
    'weighted classes, one ignored',
    'SoftmaxCrossEntropyLoss',
    [p([4, 3]), ids([4], 0, 2, 1, 2), floats(0.5, 1, 2)],
    { ignore_index: 1 },
  ),
  row('a sum', 'NegativeLogLikelihoodLoss', [p([3, 4]), ids([3], 3, 0, 2)], { reduction: 'sum' }),
  row('each by itself, one ignored', 'NegativeLogLikelihoodLoss', [p([3, 4]), ids([3], 3, 0, 2)], {
    reduction: 'none',
    ignore_index: 0,
  }),
]

const reductions = [...reductionOperators, 'ReduceLogSum'].flatMap((op) => {
  const input = op === 'ReduceLogSum' ? positive(2, 3, 4) : p([2, 3, 4])
  return [
    row('one axis, dropped', op, [input, integers(-2)], { keepdims: 0 }),
    row('two axes, kept', op, [input, integers(0, 2)], { keepdims: 1 }),
    row('all axes', op, [input], { keepdims: 0 }),
  ]
})

const movements = [
  row('with a free size and a kept one', 'Reshape', [p([2, 3, 4]), integers(0, -1)]),
  row('at axis 2', 'Flatten', [p([2, 3, 2, 2])], { axis: 2 }),
  row('two axes', 'Squeeze', [p([1, 3, 1, 2]), integers(0, -2)]),
  row('two axes', 'Unsqueeze', [p([3, 2]), integers(0, -1)]),
  row('three axes', 'Transpose', [p([2, 3, 4])], { perm: [2, 0, 1] }),
  row('reversed by default', 'Transpose', [p([2, 3, 4])]),
  row('new and old axes', 'Expand', [p([3, 1]), integers(2, 3, 4)]),
  row('every axis', 'Tile', [p([2, 3]), integers(2, 3)]),
  row('three parts', 'Concat', [p([2, 1, 2]), p([2, 3, 2]), p([2, 2, 2])], { axis: -2 }),
  row('from the middle of two axes', 'Slice', [
    p([4, 5]),
    integers(1, -3),
    integers(3, 100),
    integers(0, -1),
  ]),
  row('every second element', 'Slice', [p([5, 3]), integers(1), integers(5), integers(0), integers(2)]),
  row('backwards', 'Slice', [p([5, 3]), integers(-1), integers(-100), integers(0), integers(-2)]),
  row('all axes by default', 'Slice', [p([4, 5]), integers(1, 2), integers(3, 4)]),
  row('uneven pads', 'Pad', [p([2, 3]), integers(1, 0, 2, 1)]),
  row('one axis padded, one cut', 'Pad', [p([3, 4]), integers(1, -1, 0, -2)]),
  row('a listed axis', 'Pad', [p([2, 3]), integers(2, 1), scalar(0.5), integers(-1)]),
  row('mirrored, so that inner elements come twice', 'Pad', [p([3, 4]), integers(1, 3, 2, 2)], {
    mode: 'reflect',
  }),
  row('the edge repeated', 'Pad', [p([2, 3, 2]), integers(0, 2, 1, 0, 1, 3)], { mode: 'edge' }),
  row('around the other end', 'Pad', [p([3, 4]), integers(2, 1, 1, 3)], { mode: 'wrap' }, 19),
  row('repeated rows', 'Gather', [p([5, 3]), ids([2, 3], 0, 4, 4, 1, 0, 4)]),
  row('an inner axis', 'Gather', [p([2, 5, 3]), ids([4], 3, 3, 0, 1)], { axis: 1 }),
  row('one row, counted from the end', 'Gather', [p([2, 5, 3]), ids([], -1)], { axis: 1 }),
  row('neighbouring rows', 'Gather', [p([6, 2]), ids([3], 2, 3, 4)]),
  row('repeated elements', 'GatherElements', [p([2, 4]), ids([2, 3], 0, 3, 3, 1, 1, 0)], { axis: 1 }),
  row('an outer axis, fewer columns', 'GatherElements', [p([4, 3]), ids([2, 2], 0, 3, 3, 1)]),
  row('the lower triangle', 'Trilu', [p([2, 3, 4])], { upper: 0 }),
  row('depth first', 'DepthToSpace', [p([2, 8, 2, 3])], { blocksize: 2, mode: 'DCR' }),
  row('columns first', 'DepthToSpace', [p([1, 12, 2, 2])], { blocksize: 2, mode: 'CRD' }),
  row('blocks of two', 'SpaceToDepth', [p([2, 3, 4, 2])], { blocksize: 2 }),
  ...[0, 1, 2].map((read) =>
    reading(
      3,
      read,
      row(`part ${read} of three unequal ones`, 'Split', [p([2, 6]), integers(1, 3, 2)], { axis: -1 }),
    ),
  ),
]

export const gradientCases: readonly GradientCase[] = [
  ...binary,
  ...unary,
  ...activations,
  ...linear,
  ...convolutions,
  ...poolings,
  ...normalisations,
  ...reductions,
  ...movements,
  ...indexCases,
  ...sequenceCases,
  ...windowCases,
]
