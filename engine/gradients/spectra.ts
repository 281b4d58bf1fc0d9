/**
 * Discrete Fourier transforms, spelled out as products with constant matrices of cosines and sines, so that gradients
 * are products too. A fast transform would need fewer operations, and no backend has one with a gradient; frames of
 * audio are short.
 */

import { cosineOfTurns, sineOfTurns } from '../../protocols/core/cosine.ts'
import { type Formulas, positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { int, intOf, ints } from '../onnx/graph.ts'
import { fixedNumbers, spelled, type Use, unsupportedUse } from './rule.ts'

/** Points of a transform. A matrix of twice as many would be 32 MiB, beyond what belongs into a graph. */
const pointsMax = 2048

export const spectra = {
  /**
   * X_k = Σ_n x_n·e^(-2πikn/N) along an axis; `inverse`: e^(+2πikn/N)/N. The last axis holds real and imaginary part;
   * `onesided`: the half of a spectrum that says all about a real signal, made or, by the inverse, read.
   */
  DFT: spelled(transform, [1, 2]),
  /** X_{m,k} = Σ_n w_n·x_{n+m·step}·e^(-2πikn/N): a convolution, whose weight is the window times cosine and sine */
  STFT: spelled(framedTransform, [1, 3]),
} as const

function transform(use: Use): Value {
  const { f, x, attributes } = use
  const rank = x[0]!.shape.length
  const axis = positiveAxis(axisOf(use), rank)
  const isInverse = intOf(attributes, 'inverse', 0) === 1
  const isOneSided = intOf(attributes, 'onesided', 0) === 1
  const isToReal = isInverse && isOneSided
  const length = x[0]!.shape[axis]!
  const [points = isToReal ? 2 * (length - 1) : length] = fixedNumbers(use, 1, 'lengths')
  const half = Math.floor(points / 2) + 1
  const read = Math.min(isToReal ? half : points, length) // a shorter signal ends in zeros, a longer one is cut
  const [cosine, sine] = waves(use, points, read, isOneSided && !isInverse ? half : points)
  const last = rank - 1
  const order = [...x[0]!.shape.keys()].filter((place) => place !== axis && place !== last).concat(axis)
  const part = (index: number) => {
    const taken = f.slice(x[0]!, [
      { axis: last, start: index, count: 1 },
      { axis, start: 0, count: read },
    ])
    return f.reshape(
      f.transpose(taken, [...order, last]),
      order.map((place) => taken.shape[place]!),
    )
  }
  const back = [...order, last].map((_, place) => [...order, last].indexOf(place))
  const real = part(0)
  const imaginary = x[0]!.shape[last] === 2 ? part(1) : null
  if (isToReal) {
    const twice = bothSides(f, points, read)
    const sum = f.matmul(f.mul(real, twice), cosine)
    const signal = imaginary === null ? sum : f.sub(sum, f.matmul(f.mul(imaginary, twice), sine))
    return f.transpose(f.reshape(f.div(signal, points), [...signal.shape, 1]), back)
  }
  const turn = isInverse ? f.neg(sine) : sine
  const plus = (a: Value, b: Value | null) => (b === null ? a : f.add(a, b))
  const sums = [
    plus(f.matmul(real, cosine), imaginary && f.matmul(imaginary, turn)),
    plus(f.neg(f.matmul(real, turn)), imaginary && f.matmul(imaginary, cosine)),
  ].map((sum) => f.reshape(isInverse ? f.div(sum, points) : sum, [...sum.shape, 1]))
  return f.transpose(f.concat(sums, last), back)
}

/**
 * `[read]`: how often each bin of a half stands in the spectrum; the first does once, and so does the middle of an even
 * one.
 */
function bothSides(f: Formulas, points: number, read: number): Value {
  const counts = Float32Array.from({ length: read }, (_, bin) => (bin === 0 || 2 * bin === points ? 1 : 2))
  return f.tensor(counts, [read])
}

/** An input since operator set 20, an attribute before. */
function axisOf(use: Use): number {
  const newest = use.f.builder.opset >= 20 ? -2 : 1
  const [axis = intOf(use.attributes, 'axis', newest)] = fixedNumbers(use, 2, 'axis')
  return axis
}

function framedTransform(use: Use): Value {
  const { f, x, attributes, has } = use
  const [batch, length, parts] = x[0]!.shape as [number, number, number | undefined]
  if (parts === 2) throw unsupportedUse(use, 'its signal is complex', 'Transform a real signal.')
  const [step] = fixedNumbers(use, 1, 'steps') as [number]
  const window = has(2) ? x[2]! : null
  const [points = window?.shape[0] ?? 0] = fixedNumbers(use, 3, 'lengths')
  const bins = intOf(attributes, 'onesided', 1) === 1 ? Math.floor(points / 2) + 1 : points
  const frames = Math.floor((length - points) / step) + 1
  const [cosine, sine] = waves(use, points, points, bins).map((wave) => f.transpose(wave, [1, 0]))
  const both = f.concat([cosine!, f.neg(sine!)], 0)
  const weight = f.reshape(window === null ? both : f.mul(both, window), [2 * bins, 1, points])
  const signal = f.reshape(x[0]!, [batch, 1, length])
  const form = { kernel_shape: ints([points]), strides: ints([step]), group: int(1) }
  const type = { dtype: signal.dtype, shape: [batch, 2 * bins, frames] }
  const sums = f.builder.emit('Conv', [signal, weight], form, type)
  return f.transpose(f.reshape(sums, [batch, 2, bins, frames]), [0, 3, 2, 1])
}

/** cos(2πkn/N) and sin(2πkn/N), each `[read, bins]` f32: n down, k across. */
function waves(use: Use, points: number, read: number, bins: number): [Value, Value] {
  if (points > pointsMax) {
    throw unsupportedUse(use, `it has ${points} points`, `Transform frames of at most ${pointsMax} points.`)
  }
  const wave = (of: (turn: number, turns: number) => number) =>
    use.f.tensor(
      Float32Array.from({ length: read * bins }, (_, place) =>
        of((Math.floor(place / bins) * (place % bins)) % points, points),
      ),
      [read, bins],
    )
  return [wave(cosineOfTurns), wave(sineOfTurns)]
}
