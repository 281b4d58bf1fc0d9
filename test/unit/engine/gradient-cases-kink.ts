/**
 * Rows at the points where an operator has a kink, a jump or a slope without end, or where its formula divides by what
 * is zero there. No difference tells what a gradient is at such a point; PyTorch's word is compared with.
 */
import { at, type GradientCase, ids, integers, row, scalar } from './gradient-case.ts'

const powers = [
  row('a zero to the powers 0, 1 and 2', 'Pow', [at([3], 0, 0, 0), at([3], 0, 1, 2)]),
  ...[0, 1, 2, 3].map((power) =>
    row(`a zero to the fixed power ${power}`, 'Pow', [at([3], 0, -1.5, 2), scalar(power)]),
  ),
]

/** [operator, values, attributes, operator set] */
const activations = (
  [
    ['Abs', [0, -1, 2]],
    ['Relu', [0, -1, 2]],
    ['LeakyRelu', [0, -1, 2], { alpha: 0.3 }],
    ['Elu', [0, -1, 2], { alpha: 0.7 }],
    ['Celu', [0, -1, 2], { alpha: 0.7 }],
    ['Selu', [0, -1, 2]],
    ['Softsign', [0, -1, 2]],
    ['HardSwish', [-3, 0, 3]],
    ['ThresholdedRelu', [0.5, 0, 2], { alpha: 0.5 }],
    ['Shrink', [0.5, -0.5, 2], { lambd: 0.5 }],
  ] as const
).map(([op, values, attributes = {}]) => row('where it bends', op, [at([3], ...values)], attributes, 22))

const bounds = [
  row('where it bends', 'PRelu', [at([3], 0, -1, 2), at([1], 0.25)]),
  row('at both bounds', 'Clip', [at([4], -1, 1, 0.5, 3), scalar(-1), scalar(1)]),
  row('equal inputs', 'Max', [at([3], 1, -1, 2), at([3], 1, 0, 2)]),
  row('equal inputs', 'Min', [at([3], 1, -1, 2), at([3], 1, 0, 2)]),
  row('a whole multiple', 'Mod', [at([3], 4, -4, 3), at([3], 2, 2, 2)], { fmod: 1 }),
]

const reductions = [
  ...['ReduceMax', 'ReduceMin', 'ReduceL1', 'ReduceL2', 'ReduceLogSumExp'].map((op) =>
    row('nothing but zeros, and equal elements', op, [at([2, 3], 0, 0, 0, 2, 2, -1), integers(1)]),
  ),
  row('one zero and two', 'ReduceProd', [at([3, 3], 0, 0, 2, 0, 3, 2, 1, -1, 2), integers(1)]),
  row('zeros on the way', 'CumProd', [at([2, 4], 0, 0, 2, 3, 2, 0, -1, 3), integers(1)], {}, 26),
]

const windows = [
  row('equal elements of a tile', 'MaxPool', [at([1, 1, 2, 4], 1, 1, 0, 0, 1, 0, 0, 0)], {
    kernel_shape: [2, 2],
    strides: [2, 2],
    positions: [1, 2],
  }),
  row('equal elements of windows', 'MaxPool', [at([1, 1, 2, 4], 1, 1, 0, 0, 1, 0, 0, 0)], {
    kernel_shape: [2, 2],
    positions: [1, 3],
  }),
  ...[1, 2, 3].map((p) =>
    row(`an image of zeros, p = ${p}`, 'GlobalLpPool', [at([1, 2, 2, 2], 0, 0, 0, 0, 1, 0, -1, 2)], { p }),
  ),
  ...[1, 2, 3].map((p) =>
    row(`a window of zeros, p = ${p}`, 'LpPool', [at([1, 1, 2, 4], 0, 0, 1, 2, 0, 0, 0, -1)], {
      kernel_shape: [2, 2],
      strides: [2, 2],
      positions: [1, 2],
      p,
    }),
  ),
]

const picks = [
  ...['mul', 'max', 'min'].map((reduction) =>
    row(
      `zeros and equal elements that meet, ${reduction}`,
      'ScatterElements',
      [at([5], 0, 2, 0, 3, 4), ids([6], 0, 1, 1, 2, 3, 3), at([6], 2, 0, 5, 0, 3, 2)],
      { reduction },
    ),
  ),
]

export const kinkCases: readonly GradientCase[] = [
  ...powers,
  ...activations,
  ...bounds,
  ...reductions,
  ...windows,
  ...picks,
]
