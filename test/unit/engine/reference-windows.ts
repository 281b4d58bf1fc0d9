/** Convolutions and poolings of the reference interpreter: one loop for each tap, padding by bounds check. */
import { at, axisOf, build, indicesOf, type Nd, type Plain, sizeOf } from './reference-array.ts'
import type { Operator } from './reference-elementwise.ts'

interface Form {
  strides: readonly number[]
  dilations: readonly number[]
  begin: readonly number[]
  end: readonly number[]
  group: number
}

const list = (value: Plain[string] | undefined, otherwise: readonly number[]) =>
  (value as readonly number[] | undefined) ?? otherwise

function formOf(attributes: Plain, kernel: readonly number[], size: readonly number[]): Form {
  const strides = list(
    attributes.strides,
    kernel.map(() => 1),
  )
  const dilations = list(
    attributes.dilations,
    kernel.map(() => 1),
  )
  const pads = list(
    attributes.pads,
    [...kernel, ...kernel].map(() => 0),
  )
  const form = { strides, dilations, group: Number(attributes.group ?? 1) }
  if (attributes.auto_pad !== 'SAME_UPPER' && attributes.auto_pad !== 'SAME_LOWER') {
    return { ...form, begin: pads.slice(0, kernel.length), end: pads.slice(kernel.length) }
  }
  const total = size.map((length, axis) => {
    const positions = Math.ceil(length / strides[axis]!)
    return Math.max(0, (positions - 1) * strides[axis]! + (kernel[axis]! - 1) * dilations[axis]! + 1 - length)
  })
  const smaller = total.map((count) => Math.floor(count / 2))
  const larger = total.map((count) => Math.ceil(count / 2))
  const isUpper = attributes.auto_pad === 'SAME_UPPER'
  return { ...form, begin: isUpper ? smaller : larger, end: isUpper ? larger : smaller }
}

function outputSize(size: readonly number[], kernel: readonly number[], form: Form, ceil = false): number[] {
  return size.map((length, axis) => {
    const reach = (kernel[axis]! - 1) * form.dilations[axis]! + 1
    const steps = (length + form.begin[axis]! + form.end[axis]! - reach) / form.strides[axis]!
    if (!ceil) return Math.floor(steps) + 1
    const positions = Math.ceil(steps) + 1 // a window that would start in the padding at the end is left out
    return (positions - 1) * form.strides[axis]! >= length + form.begin[axis]! ? positions - 1 : positions
  })
}

/** Input position that tap `tap` reads at `position`, per axis. */
const source = (form: Form, position: readonly number[], tap: readonly number[]) =>
  position.map((p, axis) => p * form.strides[axis]! + tap[axis]! * form.dilations[axis]! - form.begin[axis]!)

const isInside = (index: readonly number[], size: readonly number[]) =>
  index.every((position, axis) => position >= 0 && position < size[axis]!)

const conv: Operator = ([x, w, b], attributes) => {
  const kernel = w!.shape.slice(2)
  const size = x!.shape.slice(2)
  const form = formOf(attributes, kernel, size)
  const perGroup = { in: w!.shape[1]!, out: w!.shape[0]! / form.group }
  return build([x!.shape[0]!, w!.shape[0]!, ...outputSize(size, kernel, form)], ([n, o, ...position]) => {
    let sum = b === undefined ? 0 : b.data[o!]!
    const first = Math.floor(o! / perGroup.out) * perGroup.in
    for (const tap of indicesOf(kernel)) {
      const from = source(form, position, tap)
      if (!isInside(from, size)) continue
      for (let c = 0; c < perGroup.in; c++) sum += at(x!, [n!, first + c, ...from]) * at(w!, [o!, c, ...tap])
    }
    return sum
  })
}

const convTranspose: Operator = ([x, w, b], attributes) => {
  const kernel = w!.shape.slice(2)
  const form = formOf(attributes, kernel, [])
  const extra = list(
    attributes.output_padding,
    kernel.map(() => 0),
  )
  const size = x!.shape.slice(2).map((length, axis) => {
    const reach = (kernel[axis]! - 1) * form.dilations[axis]! + 1
    return (length - 1) * form.strides[axis]! + reach - form.begin[axis]! - form.end[axis]! + extra[axis]!
  })
  const perGroup = { in: x!.shape[1]! / form.group, out: w!.shape[1]! }
  const channels = perGroup.out * form.group
  const y = build([x!.shape[0]!, channels, ...size], ([, o]) => (b === undefined ? 0 : b.data[o!]!))
  for (const [n, c, ...position] of indicesOf(x!.shape)) {
    const group = Math.floor(c! / perGroup.in)
    for (const tap of indicesOf(kernel)) {
      const to = source(form, position, tap)
      if (!isInside(to, size)) continue
      for (let o = 0; o < perGroup.out; o++) {
        const flat = [n!, group * perGroup.out + o, ...to].reduce(
          (offset, p, axis) => offset * y.shape[axis]! + p,
          0,
        )
        y.data[flat]! += at(x!, [n!, c!, ...position]) * at(w!, [c!, o, ...tap])
      }
    }
  }
  return y
}

const pool =
  (reduce: (values: readonly number[], taps: number, isPadCounted: boolean) => number): Operator =>
  ([x], attributes) => {
    const kernel = attributes.kernel_shape as readonly number[]
    const size = x!.shape.slice(2)
    const form = formOf(attributes, kernel, size)
    const positions = outputSize(size, kernel, form, attributes.ceil_mode === 1)
    return build([x!.shape[0]!, x!.shape[1]!, ...positions], ([n, c, ...position]) => {
      const reads = [...indicesOf(kernel)].map((tap) => source(form, position, tap))
      const values = reads.filter((from) => isInside(from, size)).map((from) => at(x!, [n!, c!, ...from]))
      return reduce(values, sizeOf(kernel), attributes.count_include_pad === 1)
    })
  }

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

const globalPool =
  (reduce: (values: readonly number[]) => number): Operator =>
  ([x]) =>
    build([x!.shape[0]!, x!.shape[1]!, ...x!.shape.slice(2).map(() => 1)], ([n, c]) =>
      reduce([...indicesOf(x!.shape.slice(2))].map((position) => at(x!, [n!, c!, ...position]))),
    )

/** Mean and variance over `axes` of each element's slice, then the affine part. */
const normalised =
  (
    axesOf: (x: Nd, attributes: Plain) => number[][],
    scaleOf: (x: Nd, w: Nd, index: number[]) => number,
  ): Operator =>
  (inputs, attributes) => {
    const [x, w, b] = inputs
    const groups = axesOf(x!, attributes)
    const epsilon = Number(attributes.epsilon ?? 1e-5)
    const data = new Float64Array(x!.data.length)
    for (const members of groups) {
      const values = members.map((flat) => x!.data[flat]!)
      const mean = sum(values) / values.length
      const variance = sum(values.map((value) => (value - mean) ** 2)) / values.length
      for (const flat of members) data[flat] = (x!.data[flat]! - mean) / Math.sqrt(variance + epsilon)
    }
    const normal = { shape: x!.shape, data }
    return build(x!.shape, (index) => {
      const bias = b === undefined ? 0 : scaleOf(x!, b, index)
      return at(normal, index) * scaleOf(x!, w!, index) + bias
    })
  }

/** Flat positions grouped by what `keyOf` says of their index. */
function grouped(x: Nd, keyOf: (index: number[]) => string): number[][] {
  const groups = new Map<string, number[]>()
  let flat = 0
  for (const index of indicesOf(x.shape)) {
    const key = keyOf(index)
    groups.set(key, [...(groups.get(key) ?? []), flat++])
  }
  return [...groups.values()]
}

/** One value for a channel, or for as many channels as share it. */
const perChannel = (x: Nd, w: Nd, [, channel]: number[]) =>
  w.data[Math.floor((channel! * w.data.length) / x.shape[1]!)]!
const trailing = (x: Nd, w: Nd, index: number[]) => at(w, index.slice(x.shape.length - w.shape.length))

export const windows: Readonly<Record<string, Operator>> = {
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool((values) => Math.max(...values)),
  AveragePool: pool((values, taps, isPadCounted) => sum(values) / (isPadCounted ? taps : values.length)),
  GlobalAveragePool: globalPool((values) => sum(values) / values.length),
  GlobalMaxPool: globalPool((values) => Math.max(...values)),
  LayerNormalization: normalised(
    (x, a) => grouped(x, (index) => `${index.slice(0, axisOf(Number(a.axis ?? -1), x.shape.length))}`),
    trailing,
  ),
  InstanceNormalization: normalised((x) => grouped(x, ([n, c]) => `${n} ${c}`), perChannel),
  GroupNormalization: normalised(
    (x, a) => grouped(x, ([n, c]) => `${n} ${Math.floor(c! / (x.shape[1]! / Number(a.num_groups)))}`),
    perChannel,
  ),
  RMSNormalization: ([x, w], a) => {
    const lead = axisOf(Number(a.axis ?? -1), x!.shape.length)
    const data = new Float64Array(x!.data.length)
    for (const members of grouped(x!, (index) => `${index.slice(0, lead)}`)) {
      const mean = sum(members.map((flat) => x!.data[flat]! ** 2)) / members.length
      for (const flat of members) data[flat] = x!.data[flat]! / Math.sqrt(mean + Number(a.epsilon ?? 1e-5))
    }
    return build(x!.shape, (index) => at({ shape: x!.shape, data }, index) * trailing(x!, w!, index))
  },
  /** As it trains: the running values that it also takes do not matter. */
  BatchNormalization: ([x, w, b], a) => {
    const rest = x!.shape.slice(2).reduce((product, size) => product * size, 1)
    const channelOf = (place: number) => Math.floor(place / rest) % x!.shape[1]!
    const mean = (values: Float64Array, c: number) => {
      const own = values.filter((_, place) => channelOf(place) === c)
      return own.reduce((sum, value) => sum + value, 0) / own.length
    }
    const means = w!.data.map((_, c) => mean(x!.data, c))
    const squares = x!.data.map((value, place) => (value - means[channelOf(place)]!) ** 2)
    return build(x!.shape, (index) => {
      const c = index[1]!
      const rate = 1 / Math.sqrt(mean(squares, c) + Number(a.epsilon ?? 1e-5))
      return (at(x!, index) - means[c]!) * rate * w!.data[c]! + b!.data[c]!
    })
  },
}
