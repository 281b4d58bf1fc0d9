/** Resize, GridSample, AffineGrid and windowed norms of the reference interpreter: one output element at a time. */
import { at, axisOf, build, indicesOf, type Nd, type Plain, sizeOf } from './reference-array.ts'
import type { Operator } from './reference-elementwise.ts'

const text = (attributes: Plain, name: string, otherwise: string) => String(attributes[name] ?? otherwise)
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high)

/** The coordinate formulas of ONNX's Resize, as its table has them. */
const coordinates: Record<string, (x: number, scale: number, size: number, count: number) => number> = {
  half_pixel: (x, scale) => (x + 0.5) / scale - 0.5,
  half_pixel_symmetric: (x, scale, size, count) =>
    (size / 2) * (1 - count / (scale * size)) + (x + 0.5) / scale - 0.5,
  pytorch_half_pixel: (x, scale, _, count) => (count > 1 ? (x + 0.5) / scale - 0.5 : 0),
  tf_half_pixel_for_nn: (x, scale) => (x + 0.5) / scale,
  align_corners: (x, _, size, count) => (count === 1 ? 0 : (x * (size - 1)) / (count - 1)),
  asymmetric: (x, scale) => x / scale,
}

const roundings: Record<string, (x: number) => number> = {
  round_prefer_floor: (x) => (x % 1 === 0.5 ? Math.floor(x) : Math.round(x)),
  round_prefer_ceil: (x) => (x % 1 === 0.5 ? Math.ceil(x) : Math.round(x)),
  floor: Math.floor,
  ceil: Math.ceil,
}

function cubic(d: number, a: number): number {
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0
}

/** Weight of every input element of one axis for the output element at `coordinate`. */
function axisWeights(coordinate: number, size: number, scale: number, attributes: Plain): number[] {
  const weights = new Array<number>(size).fill(0)
  const put = (index: number, weight: number) => {
    weights[clamp(index, 0, size - 1)]! += weight
  }
  const mode = text(attributes, 'mode', 'nearest')
  const a = Number(attributes.cubic_coeff_a ?? -0.75)
  if (attributes.antialias === 1 && scale < 1) {
    // far more elements than the filter reaches, whose weights are zeros
    const around = Array.from({ length: 8 * size }, (_, i) => i - 4 * size)
    const used = attributes.exclude_outside === 1 ? around.filter((i) => i >= 0 && i < size) : around
    const filter = mode === 'linear' ? (d: number) => Math.max(0, 1 - d) : (d: number) => cubic(d, a)
    const weigh = (i: number) => filter(Math.abs(i - coordinate) * scale)
    const total = sum(used.map(weigh))
    for (const index of used) put(index, weigh(index) / total)
    return weights
  }
  if (mode === 'nearest')
    put(roundings[text(attributes, 'nearest_mode', 'round_prefer_floor')]!(coordinate), 1)
  if (mode === 'linear') {
    put(Math.floor(coordinate), 1 - (coordinate - Math.floor(coordinate)))
    put(Math.floor(coordinate) + 1, coordinate - Math.floor(coordinate))
  }
  if (mode === 'cubic') {
    const near = [-1, 0, 1, 2].map((offset) => Math.floor(coordinate) + offset)
    const used = attributes.exclude_outside === 1 ? near.filter((i) => i >= 0 && i < size) : near
    const total =
      attributes.exclude_outside === 1 ? sum(used.map((i) => cubic(Math.abs(coordinate - i), a))) : 1
    for (const index of used) put(index, cubic(Math.abs(coordinate - index), a) / total)
  }
  return weights
}

const resize: Operator = ([x, region, scales, sizes], attributes) => {
  const listed = (attributes.axes as readonly number[] | undefined) ?? x!.shape.map((_, axis) => axis)
  const scale = x!.shape.map(() => 1)
  const shape = [...x!.shape]
  const shares = listed.map((axis, place) => (sizes?.data[place] ?? 0) / x!.shape[axis]!)
  for (const [place, axis] of listed.entries()) {
    const size = sizes?.data[place]
    const isKept = attributes.keep_aspect_ratio_policy === 'not_larger'
    scale[axis] = size === undefined ? scales!.data[place]! : isKept ? Math.min(...shares) : shares[place]!
    shape[axis] = isKept
      ? Math.round(x!.shape[axis]! * scale[axis]!)
      : (size ?? Math.floor(Math.fround(x!.shape[axis]! * scale[axis]!)))
  }
  const name = text(attributes, 'coordinate_transformation_mode', 'half_pixel')
  const mode = (position: number, axis: number) => {
    const [size, count, place] = [x!.shape[axis]!, shape[axis]!, listed.indexOf(axis)]
    if (name !== 'tf_crop_and_resize') return coordinates[name]!(position, scale[axis]!, size, count)
    const [start, end] = place < 0 ? [0, 1] : [region!.data[place]!, region!.data[place + listed.length]!]
    return (size - 1) * (count > 1 ? start + ((end - start) * position) / (count - 1) : (start + end) / 2)
  }
  return build(shape, (index) => {
    const isOutside = index.some((position, axis) => {
      const [coordinate, size] = [mode(position, axis), x!.shape[axis]!]
      const isCropped = name === 'tf_crop_and_resize' && shape[axis] !== size
      return isCropped && (coordinate < 0 || coordinate > size - 1)
    })
    if (isOutside) return Number(attributes.extrapolation_value ?? 0)
    const weights = index.map((position, axis) => {
      const size = x!.shape[axis]!
      if (shape[axis] === size && scale[axis] === 1)
        return Array.from({ length: size }, (_, i) => Number(i === position))
      return axisWeights(mode(position, axis), size, scale[axis]!, attributes)
    })
    return sum(
      [...indicesOf(x!.shape)].map(
        (from) =>
          from.reduce((product, position, axis) => product * weights[axis]![position]!, 1) * at(x!, from),
      ),
    )
  })
}

const isAligned = (attributes: Plain) => attributes.align_corners === 1

const affineGrid: Operator = ([theta, size], attributes) => {
  const [batch, , ...spatial] = [...size!.data] as [number, number, ...number[]]
  const normal = (position: number, length: number) =>
    isAligned(attributes) ? -1 + (2 * position) / (length - 1) : (2 * position + 1) / length - 1
  return build([batch, ...spatial, spatial.length], (index) => {
    const place = [
      ...index
        .slice(1, -1)
        .map((position, axis) => normal(position, spatial[axis]!))
        .reverse(),
      1,
    ]
    return sum(place.map((value, column) => value * at(theta!, [index[0]!, index.at(-1)!, column])))
  })
}

function reflect(x: number, low: number, high: number): number {
  if (low === high) return low
  let value = x
  while (value < low || value > high) value = value < low ? 2 * low - value : 2 * high - value
  return value
}

/** Four elements an axis, each of which padding may show elsewhere. */
function cubicSample(x: Nd, grid: Nd, attributes: Plain): Nd {
  const [, channels, ...size] = x.shape as [number, number, ...number[]]
  const padding = text(attributes, 'padding_mode', 'zeros')
  const shown = (index: number, length: number) => {
    if (padding === 'zeros') return index
    const [low, high] = isAligned(attributes) ? [0, length - 1] : [-0.5, length - 0.5]
    return padding === 'border' ? clamp(index, 0, length - 1) : reflect(index, low, high)
  }
  return build([grid.shape[0]!, channels, ...grid.shape.slice(1, -1)], ([n, c, ...position]) => {
    const taps = size.map((length, axis) => {
      const raw = at(grid, [n!, ...position, size.length - 1 - axis])
      const where = isAligned(attributes) ? ((raw + 1) * (length - 1)) / 2 : ((raw + 1) * length - 1) / 2
      return [-1, 0, 1, 2].map((step) => {
        const index = Math.floor(where) + step
        return { from: shown(index, length), weight: cubic(Math.abs(where - index), -0.75) }
      })
    })
    return sum(
      [...indicesOf(size.map(() => 4))].map((corner) => {
        const chosen = corner.map((tap, axis) => taps[axis]![tap]!)
        const isOutside = chosen.some(({ from }, axis) => from < 0 || from >= size[axis]!)
        const weight = chosen.reduce((product, tap) => product * tap.weight, 1)
        return isOutside ? 0 : weight * at(x, [n!, c!, ...chosen.map(({ from }) => from)])
      }),
    )
  })
}

const gridSample: Operator = ([x, grid], attributes) => {
  const [, channels, ...size] = x!.shape as [number, number, ...number[]]
  const places = grid!.shape.slice(1, -1)
  const padding = text(attributes, 'padding_mode', 'zeros')
  const place = (raw: number, length: number) => {
    const value = isAligned(attributes) ? ((raw + 1) * (length - 1)) / 2 : ((raw + 1) * length - 1) / 2
    if (padding === 'border') return clamp(value, 0, length - 1)
    if (padding === 'zeros') return value
    const [low, high] = isAligned(attributes) ? [0, length - 1] : [-0.5, length - 0.5]
    return clamp(reflect(value, low, high), 0, length - 1)
  }
  if (attributes.mode === 'cubic') return cubicSample(x!, grid!, attributes)
  return build([grid!.shape[0]!, channels, ...places], ([n, c, ...position]) => {
    const where = size.map((length, axis) =>
      place(at(grid!, [n!, ...position, size.length - 1 - axis]), length),
    )
    const isNearest = attributes.mode === 'nearest'
    return sum(
      [...indicesOf(size)].map((from) => {
        const weight = from.reduce((product, element, axis) => {
          const distance = Math.abs(where[axis]! - element)
          if (isNearest) return product * Number(Math.round(where[axis]!) === element)
          return product * Math.max(0, 1 - distance)
        }, 1)
        return weight === 0 ? 0 : weight * at(x!, [n!, c!, ...from])
      }),
    )
  })
}

const power = (values: readonly number[], p: number) => sum(values.map((v) => Math.abs(v) ** p)) ** (1 / p)

/** What each window reads of one image and channel, by bounds check. */
function windowValues(x: Nd, n: number, c: number, position: readonly number[], attributes: Plain): number[] {
  const kernel = attributes.kernel_shape as readonly number[]
  const ones = kernel.map(() => 1)
  const [strides, dilations] = [attributes.strides ?? ones, attributes.dilations ?? ones] as number[][]
  const pads = (attributes.pads as readonly number[] | undefined) ?? kernel.map(() => 0)
  return [...indicesOf(kernel)].flatMap((tap) => {
    const from = tap.map((t, axis) => position[axis]! * strides![axis]! + t * dilations![axis]! - pads[axis]!)
    const isInside = from.every((p, axis) => p >= 0 && p < x.shape[axis + 2]!)
    return isInside ? [at(x, [n, c, ...from])] : []
  })
}

export const samplings: Readonly<Record<string, Operator>> = {
  Resize: resize,
  AffineGrid: affineGrid,
  GridSample: gridSample,
  GlobalLpPool: ([x], attributes) =>
    build([x!.shape[0]!, x!.shape[1]!, ...x!.shape.slice(2).map(() => 1)], ([n, c]) =>
      power(
        [...indicesOf(x!.shape.slice(2))].map((position) => at(x!, [n!, c!, ...position])),
        Number(attributes.p ?? 2),
      ),
    ),
  /** The pseudo-attribute `positions` is the output's size. */
  LpPool: ([x], attributes) =>
    build(
      [x!.shape[0]!, x!.shape[1]!, ...(attributes.positions as readonly number[])],
      ([n, c, ...position]) =>
        power(windowValues(x!, n!, c!, position, attributes), Number(attributes.p ?? 2)),
    ),
  /** As above, `positions`: of the windows. */
  Col2Im: ([x, size, block], attributes) => {
    const [kernel, positions] = [[...block!.data], attributes.positions as readonly number[]]
    const image = [...size!.data]
    const channels = x!.shape[1]! / sizeOf(kernel)
    const ones = kernel.map(() => 1)
    const [strides, dilations] = [attributes.strides ?? ones, attributes.dilations ?? ones] as number[][]
    const pads = (attributes.pads as readonly number[] | undefined) ?? kernel.map(() => 0)
    return build([x!.shape[0]!, channels, ...image], ([n, c, ...to]) => {
      let total = 0
      for (const [tapFlat, tap] of [...indicesOf(kernel)].entries()) {
        for (const [flat, position] of [...indicesOf(positions)].entries()) {
          const lands = tap.every(
            (t, axis) => position[axis]! * strides![axis]! + t * dilations![axis]! - pads[axis]! === to[axis],
          )
          if (lands) total += at(x!, [n!, c! * sizeOf(kernel) + tapFlat, flat])
        }
      }
      return total
    })
  },
  LRN: ([x], a) => {
    const size = Number(a.size)
    return build(x!.shape, (index) => {
      const first = index[1]! - Math.floor((size - 1) / 2)
      const near = Array.from({ length: size }, (_, i) => first + i).filter((c) => c >= 0 && c < x!.shape[1]!)
      const squares = sum(near.map((c) => at(x!, index.with(1, c)) ** 2))
      return (
        at(x!, index) /
        (Number(a.bias ?? 1) + (Number(a.alpha ?? 1e-4) / size) * squares) ** Number(a.beta ?? 0.75)
      )
    })
  },
  LpNormalization: ([x], a) => {
    const axis = axisOf(Number(a.axis ?? -1), x!.shape.length)
    return build(x!.shape, (index) => {
      const row = Array.from({ length: x!.shape[axis]! }, (_, position) => at(x!, index.with(axis, position)))
      return at(x!, index) / power(row, Number(a.p ?? 2))
    })
  },
  MeanVarianceNormalization: ([x], a) => {
    const axes = (a.axes as readonly number[] | undefined) ?? [0, 2, 3]
    const inner = x!.shape.map((size, axis) => (axes.includes(axis) ? size : 1))
    return build(x!.shape, (index) => {
      const values = [...indicesOf(inner)].map((offset) =>
        at(
          x!,
          index.map((position, axis) => (axes.includes(axis) ? offset[axis]! : position)),
        ),
      )
      const mean = sum(values) / values.length
      return (at(x!, index) - mean) / Math.sqrt(sum(values.map((v) => (v - mean) ** 2)) / values.length)
    })
  },
}
