/** Rows for resizing, sampling at computed places, norms, and windows that are spelled out. */
import { floats, type GradientCase, type Input, integers, none, p, places, row } from './gradient-case.ts'

const scales = (...values: number[]) => [none, floats(...values)]
const sizes = (...values: number[]) => [none, none, integers(...values)]

const resizes = [
  row('whole factors, floor', 'Resize', [p([1, 2, 2, 3]), ...scales(1, 1, 2, 3)], {
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'floor',
  }),
  row('nearest, enlarged by a fraction', 'Resize', [p([1, 2, 3, 2]), ...sizes(1, 2, 5, 3)], {}, 19),
  row('nearest, made smaller', 'Resize', [p([1, 1, 5, 4]), ...scales(1, 1, 0.6, 0.5)], {
    coordinate_transformation_mode: 'asymmetric',
    nearest_mode: 'round_prefer_ceil',
  }),
  ...['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'].map((mode) =>
    row(`linear, ${mode}`, 'Resize', [p([1, 2, 3, 4]), ...sizes(1, 2, 6, 3)], {
      mode: 'linear',
      coordinate_transformation_mode: mode,
    }),
  ),
  row('linear, one spatial axis', 'Resize', [p([2, 2, 3]), ...scales(1, 1, 2.5)], { mode: 'linear' }),
  row('linear, three spatial axes', 'Resize', [p([1, 1, 2, 3, 2]), ...scales(1, 1, 2, 1.5, 2)], {
    mode: 'linear',
  }),
  row('cubic', 'Resize', [p([1, 1, 4, 3]), ...sizes(1, 1, 7, 6)], { mode: 'cubic' }),
  row('cubic, aligned, without what lies outside', 'Resize', [p([1, 1, 4, 3]), ...sizes(1, 1, 6, 5)], {
    mode: 'cubic',
    coordinate_transformation_mode: 'align_corners',
    cubic_coeff_a: -0.5,
    exclude_outside: 1,
  }),
  ...['linear', 'cubic'].flatMap((mode) => [
    row(`${mode}, made smaller without aliases`, 'Resize', [p([1, 1, 7, 5]), ...sizes(1, 1, 3, 2)], {
      mode,
      antialias: 1,
    }),
    row(
      `${mode}, without aliases and what lies outside`,
      'Resize',
      [p([1, 1, 7, 5]), ...scales(1, 1, 0.4, 1.6)],
      {
        mode,
        antialias: 1,
        exclude_outside: 1,
        cubic_coeff_a: -0.5,
      },
    ),
  ]),
  row('linear, in proportion', 'Resize', [p([1, 1, 5, 4]), none, none, integers(7, 7)], {
    mode: 'linear',
    axes: [2, 3],
    keep_aspect_ratio_policy: 'not_larger',
  }),
  row(
    'cropped, and over an edge',
    'Resize',
    [p([1, 2, 4, 5]), floats(0, 0, 0.2, 0.5, 1, 1, 0.9, 1.3), none, integers(1, 2, 3, 4)],
    { mode: 'linear', coordinate_transformation_mode: 'tf_crop_and_resize', extrapolation_value: 0.7 },
    13,
  ),
  row(
    'cropped to one row, by listed axes',
    'Resize',
    [p([1, 2, 4, 5]), floats(0.2, 0.1, 0.7, 0.6), none, integers(1, 3)],
    { mode: 'linear', coordinate_transformation_mode: 'tf_crop_and_resize', axes: [2, 3] },
  ),
  ...['floor', 'round_prefer_floor', 'ceil'].map((nearest_mode) =>
    row(
      `nearest, as TensorFlow had it, ${nearest_mode}`,
      'Resize',
      [p([1, 1, 4, 6]), floats(), floats(1, 1, 0.5, 1.5)],
      { coordinate_transformation_mode: 'tf_half_pixel_for_nn', nearest_mode },
      11,
    ),
  ),
  row('a scale whose product float32 rounds up', 'Resize', [p([1, 1, 5, 2]), ...scales(1, 1, 1.8, 1)], {
    mode: 'linear',
  }),
  row('listed axes', 'Resize', [p([1, 2, 3, 3]), ...scales(2, 2)], { axes: [2, 3] }, 18),
  row('from one element', 'Resize', [p([1, 2, 1, 1]), ...sizes(1, 2, 3, 2)], { mode: 'linear' }),
]

const samples = [
  ...['zeros', 'border', 'reflection'].flatMap((padding_mode) =>
    [0, 1].map((align_corners) =>
      row(
        `linear, ${padding_mode}, corners ${align_corners}`,
        'GridSample',
        [p([1, 2, 3, 4]), p([1, 3, 2, 2], -1.4, 1.4)],
        { mode: 'linear', padding_mode, align_corners },
        20,
      ),
    ),
  ),
  row(
    'by its old name',
    'GridSample',
    [p([2, 1, 4, 3]), p([2, 2, 3, 2], -0.9, 0.9)],
    { mode: 'bilinear' },
    16,
  ),
  ...['zeros', 'border', 'reflection'].map((padding_mode, align_corners) =>
    row(
      `cubic, ${padding_mode}`,
      'GridSample',
      [p([1, 2, 3, 4]), p([1, 3, 2, 2], -1.4, 1.4)],
      { mode: 'cubic', padding_mode, align_corners: align_corners % 2 },
      20,
    ),
  ),
  row('two places', 'AffineGrid', [p([2, 2, 3]), integers(2, 3, 3, 4)], {}, 20),
  row('three axes, aligned', 'AffineGrid', [p([1, 3, 4]), integers(1, 1, 2, 3, 2)], { align_corners: 1 }, 20),
]

const norms = [
  row('squares', 'LpNormalization', [p([3, 4])], { p: 2 }),
  row('magnitudes, an outer axis', 'LpNormalization', [p([3, 4])], { p: 1, axis: 0 }),
  row('three neighbours', 'LRN', [p([2, 5, 2, 3])], { size: 3, alpha: 0.5, beta: 0.6, bias: 1.3 }),
  row('each channel over the batch', 'MeanVarianceNormalization', [p([2, 3, 2, 2])]),
  row('listed axes', 'MeanVarianceNormalization', [p([2, 3, 4])], { axes: [1, 2] }),
  row(
    'scale and bias for each group',
    'GroupNormalization',
    [p([2, 4, 3]), p([2]), p([2])],
    { num_groups: 2 },
    18,
  ),
  row('one image element', 'GroupNormalization', [p([2, 6, 1, 1]), p([6]), p([6])], { num_groups: 2 }, 21),
]

const windows = [
  row('squares', 'GlobalLpPool', [p([2, 3, 3, 2])]),
  row('cubes', 'GlobalLpPool', [p([1, 2, 4], 0.5, 2)], { p: 3 }),
  row('squares with pads', 'LpPool', [p([1, 2, 5, 4])], {
    kernel_shape: [3, 2],
    strides: [2, 1],
    pads: [1, 0, 1, 1],
    positions: [3, 4],
  }),
  row('magnitudes', 'LpPool', [p([2, 1, 6])], { kernel_shape: [3], p: 1, strides: [2], positions: [2] }),
  row('overlapping blocks', 'Col2Im', [p([2, 8, 6]), integers(3, 4), integers(2, 2)], { positions: [2, 3] }),
  row('stride, dilation and pads', 'Col2Im', [p([1, 4, 6]), integers(5, 4), integers(2, 2)], {
    strides: [2, 1],
    dilations: [1, 2],
    pads: [0, 0, 0, 1],
    positions: [2, 3],
  }),
]

const one = (value: number) => places([], value)

const spectra = [
  row('a real signal', 'DFT', [p([2, 5, 1])], { axis: 1 }, 17),
  row('one side, filled up with zeros', 'DFT', [p([2, 5, 1]), one(8)], { axis: 1, onesided: 1 }, 17),
  row('a complex signal, cut, along an inner axis', 'DFT', [p([2, 6, 3, 2]), one(4), one(1)], {}, 20),
  row('back', 'DFT', [p([2, 4, 2])], { inverse: 1 }, 20),
  row('one side, back to a real signal', 'DFT', [p([2, 4, 2])], { inverse: 1, onesided: 1 }, 20),
  row('one side, back to an odd length', 'DFT', [p([2, 3, 2]), one(7)], { inverse: 1, onesided: 1 }, 20),
  row('frames that overlap, with a window', 'STFT', [p([2, 11, 1]), one(3), p([4])], {}, 17),
  row('both sides, without a window', 'STFT', [p([1, 9]), one(2), none, one(3)], { onesided: 0 }, 17),
]

const regions = [
  row(
    'in the image and over its edge',
    'RoiAlign',
    [
      p([2, 2, 5, 6]),
      { kind: 'constant', dtype: 'float32', shape: [3, 4], data: [1, 1, 9, 8, 0, 2, 5, 4, -3, -4, 14, 13] },
      places([3], 1, 0, 1),
    ],
    { output_height: 2, output_width: 3, sampling_ratio: 2, spatial_scale: 0.5 },
    16,
  ),
  row(
    'smaller than an element, as older models have them',
    'RoiAlign',
    [
      p([1, 1, 4, 4]),
      { kind: 'constant', dtype: 'float32', shape: [1, 4], data: [1.2, 2.1, 1.5, 2.2] },
      places([1], 0),
    ],
    {
      output_height: 2,
      output_width: 2,
      sampling_ratio: 1,
      coordinate_transformation_mode: 'output_half_pixel',
    },
    16,
  ),
  row(
    'of a set that the runtime has no kernel for',
    'RoiAlign',
    [
      p([1, 2, 4, 5]),
      { kind: 'constant', dtype: 'float32', shape: [1, 4], data: [0.4, 0.7, 3.2, 3.5] },
      places([1], 0),
    ],
    { output_height: 2, output_width: 2, sampling_ratio: 2 },
    22,
  ),
]

const boxes = (...rows: readonly number[][]): Input => ({
  kind: 'constant',
  dtype: 'float32',
  shape: [rows.length, 5],
  data: rows.flat(),
})

const maxima = [
  row(
    'bins that share elements, or end at the edge',
    'MaxRoiPool',
    [p([2, 2, 6, 7]), boxes([1, 0, 0, 6, 5], [0, 2, 1, 9, 4])],
    {
      pooled_shape: [3, 2],
    },
  ),
  row(
    'scaled, outside the image, and smaller than its bins',
    'MaxRoiPool',
    [p([1, 2, 5, 5]), boxes([0, 4, 2, 7, 9], [0, 20, 20, 30, 30], [0, 4, 4, 4, 4])],
    {
      pooled_shape: [2, 2],
      spatial_scale: 0.5,
    },
  ),
]

/** Offsets that stay away from whole elements, where a bilinear mean has a kink. */
const moved = (...shape: number[]) => p(shape, 0.15, 0.85)

const deformations = [
  row('one group', 'DeformConv', [p([2, 2, 4, 5]), p([3, 2, 2, 2]), moved(2, 8, 3, 4)], {}, 19),
  row(
    'groups of weights and of places, stride, dilation, pads, bias and mask',
    'DeformConv',
    [p([1, 4, 5, 6]), p([2, 2, 3, 2]), moved(1, 24, 3, 6), p([2]), p([1, 12, 3, 6])],
    {
      group: 2,
      offset_group: 2,
      strides: [2, 1],
      dilations: [1, 2],
      pads: [1, 1, 1, 1],
      kernel_shape: [3, 2],
    },
    19,
  ),
]

export const windowCases: readonly GradientCase[] = [
  ...resizes,
  ...samples,
  ...norms,
  ...windows,
  ...spectra,
  ...regions,
  ...maxima,
  ...deformations,
]
