/** Steps of the larger operators: products, convolutions, poolings, normalisations, attention, recurrent layers. */
import type { Plain } from '../reference-array.ts'
import type { Known, Site, Step } from './random-graph.ts'
import { among, below, flip } from './site-words.ts'

const spatial = ({ shape }: Known) => shape.length > 2 && shape.length < 6
const each = (site: Site, x: Known, bound: number, from = 0) =>
  x.shape.slice(2).map(() => from + below(site, bound))

const product: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  if (x === null) return null
  const inner = x.shape.at(-1)!
  const lead = x.shape.length > 2 && flip(site) ? [flip(site) ? 1 : x.shape.at(-3)!] : []
  const shape = below(site, 5) === 0 ? [inner] : [...lead, inner, 1 + below(site, 4)]
  return { op: 'MatMul', inputs: [x, site.parameter(shape, -1, 1)] }
}

const gemm: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length === 2)
  if (x === null) return null
  const [transA, transB, columns] = [below(site, 2), below(site, 2), 1 + below(site, 4)]
  const inner = x.shape[transA === 1 ? 0 : 1]!
  const weight = site.parameter(transB === 1 ? [columns, inner] : [inner, columns], -1, 1)
  const bias = flip(site) ? [site.parameter([columns])] : []
  return { op: 'Gemm', inputs: [x, weight, ...bias], attributes: { transA, transB, alpha: 0.5, beta: 1.5 } }
}

const einsum: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length === 3)
  if (x === null) return null
  const [a, b, c] = x.shape as [number, number, number]
  const [equation, shape] = among<[string, number[]]>(site, [
    ['abc,cd->abd', [c, 2]],
    ['abc,adc->abd', [a, 3, c]],
    ['abc,b->ac', [b]],
    ['abc,bcd->ad', [b, c, 2]],
    ['abc,ad->bcd', [a, 2]],
  ])
  return { op: 'Einsum', inputs: [x, site.parameter(shape, -1, 1)], attributes: { equation } }
}

const softmax: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length > 0)
  return (
    x && {
      op: among(site, ['Softmax', 'LogSoftmax']),
      inputs: [x],
      attributes: { axis: below(site, x.shape.length) },
    }
  )
}

/** A norm over two or three nearly equal elements has no digits left in float32. */
const isSpread = ({ data }: Known) => new Set(data).size === data.length

const layerNorm: Step = (site) => {
  const x = site.pick((value) => (value.shape.at(-1) ?? 0) > 2 && isSpread(value))
  if (x === null) return null
  const width = [x.shape.at(-1)!]
  const scale = site.parameter(width)
  if (flip(site)) return { op: 'RMSNormalization', inputs: [x, scale], attributes: { epsilon: 0.1 } }
  return { op: 'LayerNormalization', inputs: [x, scale, site.parameter(width)], attributes: { epsilon: 0.1 } }
}

const channelNorm: Step = (site) => {
  const x = site.pick(
    (value) => spatial(value) && value.shape.slice(2).some((size) => size > 2) && isSpread(value),
  )
  if (x === null) return null
  const channels = [x.shape[1]!]
  const inputs = [x, site.parameter(channels), site.parameter(channels)]
  return { op: 'InstanceNormalization', inputs, attributes: { epsilon: 0.1 } }
}

const neighbours: Step = (site) => {
  const x = site.pick(spatial)
  return x && { op: 'LRN', inputs: [x], attributes: { size: 3, alpha: 0.4, bias: 1.5 } }
}

const unit: Step = (site) => {
  const x = site.pick(
    (value) => value.shape.length > 0 && value.data.every((element) => Math.abs(element) > 0.05),
  )
  return (
    x && {
      op: 'LpNormalization',
      inputs: [x],
      attributes: { p: 1 + below(site, 2), axis: below(site, x.shape.length) },
    }
  )
}

const convolution: Step = (site) => {
  const x = site.pick(spatial)
  if (x === null) return null
  const channels = x.shape[1]!
  const group = flip(site) ? channels : 1
  const kernel = each(site, x, 3, 1)
  const dilations = each(site, x, 2, 1)
  const pads = [...each(site, x, 3), ...each(site, x, 3)]
  const reach = kernel.map((size, axis) => (size - 1) * dilations[axis]! + 1)
  const fits = reach.every(
    (size, axis) => size <= x.shape[axis + 2]! + pads[axis]! + pads[axis + reach.length]!,
  )
  if (!fits) return null
  const outputs = group * (1 + below(site, 2))
  const bias = flip(site) ? [site.parameter([outputs])] : []
  const weight = site.parameter([outputs, channels / group, ...kernel], -1, 1)
  return {
    op: 'Conv',
    inputs: [x, weight, ...bias],
    attributes: { group, dilations, pads, strides: each(site, x, 3, 1) },
  }
}

const transposedConvolution: Step = (site) => {
  const x = site.pick(spatial)
  if (x === null) return null
  const channels = x.shape[1]!
  const group = flip(site) ? channels : 1
  const weight = site.parameter([channels, 1 + below(site, 2), ...each(site, x, 3, 1)], -1, 1)
  const strides = each(site, x, 2, 1)
  const output_padding = strides.map((stride) => below(site, stride))
  return { op: 'ConvTranspose', inputs: [x, weight], attributes: { group, strides, output_padding } }
}

const pooling: Step = (site) => {
  const x = site.pick(spatial)
  if (x === null) return null
  const kernel_shape = x.shape.slice(2).map((size) => 1 + below(site, Math.min(3, size)))
  const pads = [...kernel_shape, ...kernel_shape].map((size) => below(site, size))
  const strides = flip(site) ? kernel_shape : each(site, x, 3, 1)
  const form: Plain = { kernel_shape, pads, strides }
  if (flip(site)) return { op: 'MaxPool', inputs: [x], attributes: form }
  return { op: 'AveragePool', inputs: [x], attributes: { ...form, count_include_pad: below(site, 2) } }
}

const globalPooling: Step = (site) => {
  const x = site.pick(spatial)
  return x && { op: among(site, ['GlobalAveragePool', 'GlobalMaxPool']), inputs: [x] }
}

const resize: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length === 4)
  if (x === null) return null
  const sizes = [...x.shape.slice(0, 2), ...each(site, x, 5, 1)]
  const coordinate_transformation_mode = among(site, [
    'half_pixel',
    'asymmetric',
    'align_corners',
    'pytorch_half_pixel',
  ])
  const attributes: Plain = flip(site)
    ? { mode: 'linear', coordinate_transformation_mode }
    : { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }
  return { op: 'Resize', inputs: [x, null, null, site.constant('int64', [4], sizes)], attributes }
}

const attention: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length === 4)
  if (x === null) return null
  const [batch, heads, , size] = x.shape as [number, number, number, number]
  const tokens = 1 + below(site, 3)
  const shape = [batch, flip(site) ? 1 : heads, tokens, size]
  const attributes = { is_causal: below(site, 2), ...(flip(site) ? { softcap: 2 } : {}) }
  return { op: 'Attention', inputs: [x, site.parameter(shape), site.parameter(shape)], attributes }
}

const recurrent: Step = (site) => {
  const x = site.pick(({ shape }) => shape.length === 3)
  if (x === null) return null
  const [op, gates] = among<[string, number]>(site, [
    ['RNN', 1],
    ['LSTM', 4],
    ['GRU', 3],
  ])
  const hidden_size = 1 + below(site, 2)
  const direction = among(site, ['forward', 'reverse', 'bidirectional'])
  const count = direction === 'bidirectional' ? 2 : 1
  const weight = (...shape: number[]) => site.parameter([count, ...shape], -1, 1)
  const inputs = [
    x,
    weight(gates * hidden_size, x.shape[2]!),
    weight(gates * hidden_size, hidden_size),
    flip(site) ? weight(2 * gates * hidden_size) : null,
  ]
  const attributes = {
    hidden_size,
    direction,
    ...(op === 'GRU' ? { linear_before_reset: below(site, 2) } : {}),
  }
  return { op, inputs, attributes, outputs: op === 'LSTM' ? 3 : 2 }
}

export const layerSteps: readonly Step[] = [
  ...[
    product,
    product,
    gemm,
    einsum,
    softmax,
    layerNorm,
    channelNorm,
    neighbours,
    unit,
    convolution,
    convolution,
  ],
  ...[transposedConvolution, pooling, pooling, globalPooling, resize, attention, recurrent],
]
