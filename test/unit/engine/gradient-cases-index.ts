/** Rows for operators that pick and put elements by index, running sums and products, and Einsum. */
import { flags, type GradientCase, ids, integers, p, places, reading, row } from './gradient-case.ts'

const scatters: readonly GradientCase[] = [
  ...['none', 'add', 'mul', 'max', 'min'].map((reduction) =>
    row(
      `different places, ${reduction}`,
      'ScatterElements',
      [p([4, 3]), ids([2, 3], 0, 3, 1, 2, -3, 3), p([2, 3])],
      { reduction },
    ),
  ),
  row('places that meet', 'ScatterElements', [p([2, 4]), ids([2, 3], 0, 0, 3, 1, 1, 1), p([2, 3])], {
    axis: -1,
    reduction: 'add',
  }),
  row('factors that meet', 'ScatterElements', [p([2, 4]), ids([2, 3], 0, 0, 3, 1, 1, 1), p([2, 3])], {
    axis: 1,
    reduction: 'mul',
  }),
  ...['none', 'add', 'mul', 'max'].map((reduction) =>
    row(`rows, ${reduction}`, 'ScatterND', [p([4, 3]), places([2, 1], 3, -4), p([2, 3])], { reduction }),
  ),
  row('elements that meet', 'ScatterND', [p([2, 3, 2]), places([3, 2], 0, 1, 1, 2, 0, 1), p([3, 2])], {
    reduction: 'add',
  }),
]

const picks: readonly GradientCase[] = [
  row('repeated rows', 'GatherND', [p([3, 4]), places([2, 2, 1], 0, 2, 2, -1)]),
  row('single elements', 'GatherND', [p([3, 4]), places([3, 2], 0, 1, 2, 3, 0, 1)]),
  row('an index for each of a batch', 'GatherND', [p([2, 3, 4]), places([2, 2, 1], 1, 2, 0, 0)], {
    batch_dims: 1,
  }),
  row('a single row', 'GatherElements', [p([1, 4]), ids([1, 2], -1, 0)], { axis: -1 }),
  reading(2, 0, row('the largest', 'TopK', [p([3, 5]), integers(2)])),
  reading(
    2,
    0,
    row('the smallest of an outer axis', 'TopK', [p([4, 3]), integers(3)], { axis: 0, largest: 0 }),
  ),
  row(
    'places of a pooling',
    'MaxUnpool',
    [p([1, 2, 2, 2]), places([1, 2, 2, 2], 0, 3, 9, 14, 17, 18, 24, 31)],
    { kernel_shape: [2, 2], strides: [2, 2] },
  ),
  row('lengths of their own', 'ReverseSequence', [p([4, 3, 2]), integers(4, 1, 3)]),
  row('batch first', 'ReverseSequence', [p([2, 4]), integers(2, 4)], { time_axis: 1, batch_axis: 0 }),
]

const caches: readonly GradientCase[] = [
  row(
    'a place for each of the batch',
    'TensorScatter',
    [p([2, 5, 3]), p([2, 2, 3]), places([2], 1, 3)],
    { axis: 1 },
    24,
  ),
  row(
    'around the end',
    'TensorScatter',
    [p([2, 2, 4, 2]), p([2, 2, 3, 2]), places([2], 2, 0)],
    { mode: 'circular' },
    24,
  ),
  row('from the start', 'TensorScatter', [p([1, 3, 2]), p([1, 2, 2])], {}, 24),
]

const chosen: readonly GradientCase[] = [
  row('columns', 'Compress', [p([2, 4]), flags([3], 1, 0, 1)], { axis: 1 }),
  row('of all elements', 'Compress', [p([2, 3]), flags([6], 0, 1, 1, 0, 0, 1)]),
]

const scalarAxis = (axis: number) => places([], axis)

const running: readonly GradientCase[] = [
  row('the last axis', 'CumSum', [p([2, 5]), integers(-1)]),
  row('exclusive, from the end', 'CumSum', [p([3, 2]), integers(0)], { exclusive: 1, reverse: 1 }),
  row('the last axis', 'CumProd', [p([2, 5]), scalarAxis(-1)], {}, 26),
  row('exclusive, from the end', 'CumProd', [p([3, 2]), scalarAxis(0)], { exclusive: 1, reverse: 1 }, 26),
]

const einsums = [
  ['ij,jk->ik', [2, 3], [3, 4]],
  ['bij,bjk->bik', [2, 3, 4], [2, 4, 2]],
  ['bhqd,bhkd->bhqk', [2, 2, 3, 4], [2, 2, 2, 4]],
  ['bqhd,bkhd->bhqk', [2, 3, 2, 4], [2, 2, 2, 4]],
  ['i,j->ij', [3], [4]],
  ['ij,ij->', [2, 3], [2, 3]],
  ['bij->bji', [2, 3, 4]],
  ['ij->j', [2, 3]],
  ['ii->i', [3, 3]],
  ['...ij,...jk->...ik', [2, 1, 3, 2], [2, 4, 2, 3]],
  ['b...d,d->b...', [2, 3, 4, 2], [2]],
  ['ij,jk,kl->il', [2, 3], [3, 2], [2, 4]],
  ['bn,anm,bm->ba', [2, 3], [4, 3, 2], [2, 2]],
].map(([equation, ...shapes]) =>
  row(
    String(equation),
    'Einsum',
    (shapes as number[][]).map((shape) => p(shape)),
    { equation: String(equation) },
  ),
)

const others: readonly GradientCase[] = [
  row('one axis cut, one padded', 'CenterCropPad', [p([5, 2, 3]), integers(2, 5)], { axes: [0, -1] }),
  row('all axes', 'CenterCropPad', [p([4, 3]), integers(3, 6)]),
  row('three rows', 'Det', [p([2, 3, 3])], {}, 22),
  row('four rows', 'Det', [p([4, 4])], {}, 22),
]

export const indexCases: readonly GradientCase[] = [
  ...scatters,
  ...picks,
  ...caches,
  ...chosen,
  ...running,
  ...einsums,
  ...others,
]
