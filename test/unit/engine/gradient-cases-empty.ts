/**
 * Rows with axes of no elements, wherever ONNX allows them: what a slice that selects nothing, an empty part of a split
 * or the last, empty batch makes. Not here: a mean over nothing, which is not a number, and windows over an axis
 * without elements.
 */
import {
  flags,
  floats,
  type GradientCase,
  ids,
  integers,
  none,
  p,
  places,
  positive,
  row,
} from './gradient-case.ts'
import { exponentialOperators, unaryOperators } from './operators.ts'

const binary = ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Max', 'Min', 'Sum', 'Mean'].flatMap((op) => [
  row('no rows, a row broadcasts', op, [positive(0, 3), positive(1, 3)]),
  row('a column broadcasts to no columns', op, [positive(2, 1), positive(2, 0)]),
])

const unary = [
  ...unaryOperators,
  ...exponentialOperators,
  'Sqrt',
  'Log',
  'Tan',
  'Asin',
  'Acos',
  'Atanh',
  'Acosh',
  'Cast',
].map((op) => row('no rows', op, [p([0, 3])], op === 'Cast' ? { to: 1 } : {}, 22))

const pointwise = [
  row('no rows', 'Gelu', [p([0, 3])], {}, 20),
  row('no rows', 'PRelu', [p([0, 3]), p([3])]),
  row('no rows', 'Clip', [p([0, 3])]),
  row('no rows', 'Where', [flags([1, 3], 1, 0, 1), p([0, 3]), p([3])]),
  row('no rows', 'Mod', [p([0, 3]), positive(3)], { fmod: 1 }),
]

const products = [
  row('nothing to add up', 'MatMul', [p([2, 0]), p([0, 3])]),
  row('nothing to add up in a batch', 'MatMul', [p([2, 3, 0]), p([2, 0, 2])]),
  row('a vector with nothing to add up', 'MatMul', [p([0]), p([0, 2])]),
  row('no rows', 'MatMul', [p([0, 2]), p([2, 3])]),
  row('no columns', 'MatMul', [p([2, 3]), p([3, 0])]),
  row('an empty batch', 'MatMul', [p([0, 2, 3]), p([3, 2])]),
  row('nothing to add up, with a bias', 'Gemm', [p([2, 0]), p([0, 3]), p([3])]),
  row('no rows', 'Gemm', [p([0, 2]), p([2, 3]), p([3])]),
  row('nothing to add up', 'Einsum', [p([2, 0]), p([0, 3])], { equation: 'ij,jk->ik' }),
  row('no rows', 'Einsum', [p([0, 2]), p([2, 3])], { equation: 'ij,jk->ik' }),
]

/** An empty batch. */
const layers = [
  row('an empty batch', 'Conv', [p([0, 2, 4, 3]), p([3, 2, 3, 2]), p([3])], { pads: [1, 0, 1, 1] }),
  row('an empty batch, two groups', 'Conv', [p([0, 4, 3, 3]), p([2, 2, 2, 2])], { group: 2 }),
  row('an empty batch', 'ConvTranspose', [p([0, 2, 3, 2]), p([2, 3, 2, 2]), p([3])], { strides: [2, 1] }),
  row('an empty batch, tiles', 'MaxPool', [p([0, 2, 4, 4])], { kernel_shape: [2, 2], strides: [2, 2] }),
  row('an empty batch, overlapping', 'MaxPool', [p([0, 2, 4, 4])], { kernel_shape: [3, 3] }),
  row('an empty batch', 'AveragePool', [p([0, 2, 4, 4])], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
  row('an empty batch', 'GlobalAveragePool', [p([0, 2, 3, 3])]),
  row('an empty batch', 'GlobalMaxPool', [p([0, 2, 3, 3])]),
  row('an empty batch', 'LpPool', [p([0, 2, 5])], { kernel_shape: [3], positions: [3] }),
  row('no rows', 'LayerNormalization', [p([0, 5]), p([5]), p([5])]),
  row('no rows', 'RMSNormalization', [p([0, 5]), p([5])], {}, 23),
  row('an empty batch', 'InstanceNormalization', [p([0, 2, 3]), p([2]), p([2])]),
  row('an empty batch', 'GroupNormalization', [p([0, 4, 3]), p([4]), p([4])], { num_groups: 2 }, 21),
  row('no rows', 'LpNormalization', [p([0, 3])]),
  row('an empty batch', 'LRN', [p([0, 4, 3])], { size: 3 }),
  row('no rows', 'Softmax', [p([0, 4])]),
  row('no columns', 'Softmax', [p([2, 0])]),
  row('no rows', 'LogSoftmax', [p([0, 4])]),
  row('no rows', 'NegativeLogLikelihoodLoss', [p([0, 3]), ids([0])], { reduction: 'sum' }),
  row('no rows', 'SoftmaxCrossEntropyLoss', [p([0, 3]), ids([0])], { reduction: 'none' }),
  row('an empty batch', 'Attention', [p([0, 2, 3, 4]), p([0, 2, 5, 4]), p([0, 2, 5, 4])], {}, 23),
  row('an empty batch', 'Resize', [p([0, 1, 2, 2]), none, floats(1, 1, 2, 2)], { mode: 'linear' }),
  row('an empty batch', 'GridSample', [p([0, 1, 3, 3]), p([0, 2, 2, 2], -0.9, 0.9)], {}, 20),
  row('an empty batch', 'AffineGrid', [p([0, 2, 3]), integers(0, 1, 2, 2)], {}, 20),
]

const reductions = [
  ...['ReduceSum', 'ReduceSumSquare', 'ReduceL1', 'ReduceL2', 'ReduceProd'].map((op) =>
    row('over no rows', op, [p([0, 3]), integers(0)], { keepdims: 0 }),
  ),
  ...[
    'ReduceSum',
    'ReduceMean',
    'ReduceMax',
    'ReduceMin',
    'ReduceLogSumExp',
    'ReduceLogSum',
    'ReduceProd',
  ].map((op) => row('of no rows', op, [p([0, 3]), integers(1)], { keepdims: 1 })),
]

const movements = [
  row('the empty axis elsewhere', 'Reshape', [p([0, 3]), integers(3, 0)], { allowzero: 1 }),
  row('no rows', 'Flatten', [p([0, 3, 2])]),
  row('one axis', 'Squeeze', [p([1, 0]), integers(0)]),
  row('one axis', 'Unsqueeze', [p([0, 2]), integers(1)]),
  row('no rows', 'Transpose', [p([0, 2, 3])], { perm: [2, 0, 1] }),
  row('to no rows', 'Expand', [p([1, 3]), integers(0, 3)]),
  row('a column of no rows', 'Expand', [p([0, 1]), integers(0, 3)]),
  row('no repeats', 'Tile', [p([2, 3]), integers(0, 2)]),
  row('of no rows', 'Tile', [p([0, 3]), integers(2, 2)]),
  row('an empty part', 'Concat', [p([2, 3]), p([0, 3]), p([1, 3])], { axis: 0 }),
  row('nothing at all', 'Concat', [p([0, 3]), p([0, 3])], { axis: 0 }),
  row('nothing selected', 'Slice', [p([4, 3]), integers(2), integers(2), integers(0)]),
  row('an end before the start', 'Slice', [p([4, 3]), integers(3), integers(1), integers(0)]),
  row('backwards from before the start', 'Slice', [
    p([4, 3]),
    integers(0),
    integers(2),
    integers(0),
    integers(-1),
  ]),
  row('of no rows', 'Slice', [p([0, 3]), integers(1), integers(9), integers(1)]),
  row('of no rows, every second', 'Slice', [p([0, 3]), integers(0), integers(9), integers(0), integers(2)]),
  row('of no rows, backwards', 'Slice', [p([0, 3]), integers(-1), integers(-9), integers(0), integers(-1)]),
  row('rows around nothing', 'Pad', [p([0, 3]), integers(1, 0, 1, 0)]),
  row('all cut away', 'Pad', [p([2, 3]), integers(-1, 0, -1, 0)]),
  row('no indices', 'Gather', [p([5, 3]), ids([0])]),
  row('of no columns', 'Gather', [p([5, 0]), ids([2], 4, 1)]),
  row('no indices', 'GatherElements', [p([2, 4]), ids([2, 0])], { axis: 1 }),
  row('no tuples', 'GatherND', [p([3, 4]), places([0, 1])]),
  row('of no columns', 'GatherND', [p([3, 0]), places([2, 1], 0, 2)]),
  row('no updates', 'ScatterElements', [p([3, 2]), ids([0, 2]), p([0, 2])], { reduction: 'add' }),
  row('no updates', 'ScatterND', [p([3, 2]), places([0, 1]), p([0, 2])]),
  row('no rows', 'Trilu', [p([0, 3])]),
  row('an empty batch', 'DepthToSpace', [p([0, 4, 2, 2])], { blocksize: 2 }),
  row('an empty batch', 'SpaceToDepth', [p([0, 1, 2, 4])], { blocksize: 2 }),
  ...[0, 1].map((read) => ({
    ...row(`part ${read}, of which the first is empty`, 'Split', [p([2, 3]), integers(0, 3)], { axis: 1 }),
    outputs: 2,
    read,
  })),
  row('no rows', 'CumSum', [p([0, 3]), integers(0)]),
  row('the largest none', 'TopK', [p([3, 4]), integers(0)]),
  row('of no rows', 'TopK', [p([0, 4]), integers(2)]),
  row('of no rows', 'CenterCropPad', [p([0, 3]), integers(0, 2)]),
  row('to no rows', 'CenterCropPad', [p([4, 3]), integers(0, 3)]),
].map((given) => (given.op === 'TopK' ? { ...given, outputs: 2 } : given))

export const emptyCases: readonly GradientCase[] = [
  ...binary,
  ...unary,
  ...pointwise,
  ...products,
  ...layers,
  ...reductions,
  ...movements,
]
