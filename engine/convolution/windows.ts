/**
 * The geometry that convolutions and poolings share: a window slides over the spatial axes of
 * `[batch, channels, ...spatial]`.
 *
 * One window position reads `kernel` *taps* per axis; tap t of all positions together is a strided slice of the padded
 * input. Gradients are built from taps: no indices, no int64, alike on all backends.
 */
import { assert } from '../../protocols/core/assert.ts'
import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { type Attributes, int, ints, intsOf, text, textOf } from '../onnx/graph.ts'
import type { TensorType } from '../onnx/types.ts'

/** A window's form; each list has one entry per spatial axis. */
export interface Windows {
  readonly kernel: readonly number[]
  readonly strides: readonly number[]
  readonly dilations: readonly number[]
  /** Padding before the first element. */
  readonly begin: readonly number[]
  /** Padding after the last element that the windows really reach; negative when they end before it. */
  readonly end: readonly number[]
  /** Spatial size of the input and of the output (number of window positions). */
  readonly inputSize: readonly number[]
  readonly outputSize: readonly number[]
}

/**
 * The windows of an operator with `attributes` and `kernel`, from `input` to `output` (both with batch and channels).
 */
export function windowsOf(
  attributes: Attributes,
  kernel: readonly number[],
  input: TensorType,
  output: TensorType,
): Windows {
  const inputSize = input.shape.slice(2)
  const outputSize = output.shape.slice(2)
  const strides = intsOf(attributes, 'strides') ?? kernel.map(() => 1)
  const dilations = intsOf(attributes, 'dilations') ?? kernel.map(() => 1)
  const reach = kernel.map(
    (size, axis) => (outputSize[axis]! - 1) * strides[axis]! + dilations[axis]! * (size - 1) + 1,
  )
  const begin = paddingBefore(attributes, reach, inputSize)
  const end = reach.map((size, axis) => size - inputSize[axis]! - begin[axis]!)
  return { kernel, strides, dilations, begin, end, inputSize, outputSize }
}

function paddingBefore(
  attributes: Attributes,
  reach: readonly number[],
  inputSize: readonly number[],
): number[] {
  const auto = textOf(attributes, 'auto_pad', 'NOTSET')
  if (auto === 'SAME_UPPER' || auto === 'SAME_LOWER') {
    return reach.map((size, axis) => {
      const total = Math.max(0, size - inputSize[axis]!)
      return auto === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2)
    })
  }
  const pads = auto === 'VALID' ? null : intsOf(attributes, 'pads')
  return pads === null ? reach.map(() => 0) : pads.slice(0, reach.length)
}

/** Whether the windows of two spatial axes lie side by side without gap, overlap or padding. */
export function areTiles({ kernel, strides, dilations, begin, end }: Windows): boolean {
  return (
    kernel.length === 2 &&
    kernel.every((size, axis) => size === strides[axis] && (dilations[axis] === 1 || size === 1)) &&
    begin.every((count) => count === 0) &&
    end.every((count) => count <= 0)
  )
}

/** `[batch, channels, ...outputSize]` with each element repeated over its tile. */
export function repeatOverTiles(f: Formulas, values: Value, { kernel }: Windows): Value {
  const scales = f.tensor(Float32Array.of(1, 1, ...kernel), [2 + kernel.length])
  const attributes = {
    mode: text('nearest'),
    coordinate_transformation_mode: text('asymmetric'),
    nearest_mode: text('floor'),
  }
  const shape = values.shape.map((size, axis) => size * (kernel[axis - 2] ?? 1))
  return f.builder.node('Resize', [values, null, scales], attributes, [{ dtype: values.dtype, shape }])[0]!
}

/** Offsets of all taps of a window, the last axis fastest. */
export function tapsOf(kernel: readonly number[]): number[][] {
  return kernel.reduce<number[][]>(
    (taps, size) => taps.flatMap((tap) => Array.from({ length: size }, (_, offset) => [...tap, offset])),
    [[]],
  )
}

/** `x` without the elements at the end that no window reads, for windows without padding there. */
export function cutToReach(f: Formulas, x: Value, { end, inputSize }: Windows): Value {
  const cuts = inputSize.map((size, axis) => ({
    axis: axis + 2,
    start: 0,
    count: size + Math.min(0, end[axis]!),
  }))
  return f.slice(x, cuts)
}

/** `x` with its spatial axes padded with `filling` as far as the windows reach, and cut where they end earlier. */
export function padForWindows(f: Formulas, x: Value, windows: Windows, filling: number): Value {
  const after = windows.end.map((count) => Math.max(0, count))
  return f.pad(cutToReach(f, x, windows), [0, 0, ...windows.begin], [0, 0, ...after], filling)
}

/** What tap `tap` reads at every window position: `[batch, channels, ...outputSize]` out of the padded input. */
export function readTap(f: Formulas, padded: Value, tap: readonly number[], windows: Windows): Value {
  const { strides, dilations, outputSize } = windows
  return f.slice(
    padded,
    outputSize.map((count, axis) => ({
      axis: axis + 2,
      start: tap[axis]! * dilations[axis]!,
      count,
      step: strides[axis]!,
    })),
  )
}

/** Along one axis, where a tap reads elements and no padding. */
export interface Inside {
  /** The first window position at which it does. */
  readonly position: number
  /** How many positions follow each other from there; perhaps none. */
  readonly count: number
  /** What it reads at the first one. */
  readonly element: number
}

/** For each axis, where tap `tap` reads inside the input. */
export function insideOf(tap: readonly number[], windows: Windows): Inside[] {
  const { strides, dilations, begin, inputSize, outputSize } = windows
  return outputSize.map((positions, axis) => {
    const [stride, shift] = [strides[axis]!, tap[axis]! * dilations[axis]! - begin[axis]!]
    const position = Math.max(0, Math.ceil(-shift / stride))
    const last = Math.min(positions - 1, Math.floor((inputSize[axis]! - 1 - shift) / stride))
    return { position, count: Math.max(0, last - position + 1), element: position * stride + shift }
  })
}

/** What a tap reads of `x` `[batch, channels, ...inputSize]`, without the padding: `[batch, channels, ...counts]`. */
export function readInside(f: Formulas, x: Value, inside: readonly Inside[], { strides }: Windows): Value {
  return f.slice(
    x,
    inside.map(({ element, count }, axis) => ({
      axis: axis + 2,
      start: element,
      count,
      step: strides[axis]!,
    })),
  )
}

/**
 * What window positions, `values` `[batch, channels, ...outputSize]`, have where a tap reads inside:
 * `[batch, channels, ...counts]`.
 */
export function positionsInside(f: Formulas, values: Value, inside: readonly Inside[]): Value {
  return f.slice(
    values,
    inside.map(({ position, count }, axis) => ({ axis: axis + 2, start: position, count })),
  )
}

/**
 * The transpose of a convolution with these windows: `values` `[batch, inChannels, ...outputSize]` spread back through
 * `weight` `[inChannels, outChannels / group, ...kernel]` to `[batch, outChannels, ...inputSize]`.
 */
export function spread(f: Formulas, values: Value, weight: Value, windows: Windows, group: number): Value {
  const { begin, end, strides, dilations, kernel, inputSize } = windows
  const missing = end.map((count) => Math.max(0, -count))
  const isReachable = missing.every((count, axis) => count < Math.max(strides[axis]!, dilations[axis]!))
  assert(isReachable, `windows leave [${missing}] elements at the end unread`)
  const attributes = {
    kernel_shape: ints(kernel),
    strides: ints(strides),
    dilations: ints(dilations),
    pads: ints([...begin, ...end.map((count) => Math.max(0, count))]),
    output_padding: ints(missing),
    group: int(group),
  }
  const shape = [values.shape[0]!, weight.shape[1]! * group, ...inputSize]
  return f.builder.emit('ConvTranspose', [values, weight], attributes, { dtype: values.dtype, shape })
}
