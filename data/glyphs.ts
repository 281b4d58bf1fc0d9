/**
 * Glyphs: a seeded generator of 28×28 images in ten classes, for trying a swarm without downloading anything.
 *
 * Each image draws the strokes of one class (glyph-shapes.ts) with jittered control points, under a random rotation,
 * slant, scale and shift, with a pen of random width; then clutter strokes and noise. What is drawn comes only from
 * additions, multiplications, divisions and square roots, which IEEE 754 rounds alike everywhere, and from
 * `seededRandom`: one seed gives the same bytes on every platform, and sample `i` does not depend on how many are made.
 *
 * Difficulty, measured on seed 1 with 12,000 training samples: see examples/glyphs/README.md.
 */

import { type Random, seededRandom, seedFrom } from '../protocols/core/random.ts'
import { imageSplit, type SingleInputDataSet, type SingleInputSplit } from './data-set.ts'
import { glyphShapes, type Point, type Stroke } from './glyph-shapes.ts'

export interface GlyphOptions {
  /** Any 32-bit integer. */
  seed: number
  /** Samples of the training split, >= 1. */
  train: number
  /** Samples of the validation split, >= 1. */
  validation: number
}

/** Pixels along an edge, as MNIST's, so that one model takes both. */
const edge = 28

/** How far the drawing strays. Tuned so that a linear model stays under 90 % and a small CNN passes 97 %. */
const style = {
  /** Pixels that the unit square covers. */
  size: { min: 17, max: 23 },
  /** tan(angle / 2): 0.13 is 15 degrees either way. */
  halfTangent: 0.13,
  /** Sideways pixels per pixel of height. */
  slant: 0.2,
  /** Pixels off the centre, either way. */
  shift: 3,
  /** Of a control point, either way, in units of the square. */
  jitter: 0.035,
  /** Half the pen's width in pixels. */
  pen: { min: 0.8, max: 1.5 },
  /** Short strokes that mean nothing: at most this many. */
  clutterMax: 1,
  /** Pixels that a clutter stroke extends at most, in each direction. */
  clutterLength: 4,
  /** Greatest change of a pixel by noise, of 1. */
  noise: 0.15,
} as const

/** Lines that one curve is drawn as: at 23 pixels a curve of 0.7 units errs by less than a twentieth of a pixel. */
const linesPerCurve = 6

/** The data set of `seed`. Classes are drawn evenly at random. */
export function glyphs({ seed, train, validation }: GlyphOptions): SingleInputDataSet {
  return {
    kind: 'images',
    classes: glyphShapes.length,
    train: glyphSplit(seed, 'train', train),
    validation: glyphSplit(seed, 'validation', validation),
  }
}

function glyphSplit(seed: number, name: string, count: number): SingleInputSplit {
  const pixels = new Uint8Array(count * edge * edge)
  const labels = new Uint8Array(count)
  for (let i = 0; i < count; i++) {
    const random = seededRandom(seedFrom('glyphs', seed, name, i))
    labels[i] = random.integer(glyphShapes.length)
    const image = drawGlyph(labels[i]!, random)
    for (let k = 0; k < image.length; k++) pixels[i * image.length + k] = Math.round(255 * image[k]!)
  }
  return imageSplit(pixels, labels, [edge, edge])
}

/** One image, f32[28 * 28] in 0 … 1. */
function drawGlyph(label: number, random: Random): Float32Array {
  const image = new Float32Array(edge * edge)
  const place = randomPlacement(random)
  const halfWidth = between(random, style.pen.min, style.pen.max)
  for (const stroke of glyphShapes[label]!) {
    const points = stroke.map(([x, y]) =>
      place([x + spread(random, style.jitter), y + spread(random, style.jitter)]),
    )
    drawStroke(image, points, halfWidth)
  }
  for (let n = random.integer(style.clutterMax + 1); n > 0; n--) drawStroke(image, clutter(random), halfWidth)
  for (let k = 0; k < image.length; k++) {
    // the sum of two uniform numbers: bell-shaped enough, and exact, which a logarithm is not
    const noise = style.noise * (random.next() + random.next() - 1)
    image[k] = Math.min(1, Math.max(0, image[k]! + noise))
  }
  return image
}

/** From the unit square to pixels. */
function randomPlacement(random: Random): (point: Point) => Point {
  const size = between(random, style.size.min, style.size.max)
  const slant = spread(random, style.slant)
  const t = spread(random, style.halfTangent)
  // the half-angle formulas give a rotation without a sine
  const cos = (1 - t * t) / (1 + t * t)
  const sin = (2 * t) / (1 + t * t)
  const centreX = edge / 2 + spread(random, style.shift)
  const centreY = edge / 2 + spread(random, style.shift)
  return ([x, y]) => {
    const v = (y - 0.5) * size
    const u = (x - 0.5) * size - slant * v
    return [centreX + cos * u - sin * v, centreY + sin * u + cos * v]
  }
}

function clutter(random: Random): Stroke {
  const x = edge * random.next()
  const y = edge * random.next()
  const near = (): Point => [x + spread(random, style.clutterLength), y + spread(random, style.clutterLength)]
  return [[x, y], near(), near()]
}

function drawStroke(image: Float32Array, points: Stroke, halfWidth: number): void {
  for (let i = 0; i + 2 < points.length; i += 2) {
    let from = points[i]!
    for (let n = 1; n <= linesPerCurve; n++) {
      const to = onCurve(points[i]!, points[i + 1]!, points[i + 2]!, n / linesPerCurve)
      drawLine(image, from, to, halfWidth)
      from = to
    }
  }
}

/** The point of a quadratic Bézier curve at `t`. */
function onCurve(start: Point, control: Point, end: Point, t: number): Point {
  const a = (1 - t) * (1 - t)
  const b = 2 * t * (1 - t)
  const c = t * t
  return [a * start[0] + b * control[0] + c * end[0], a * start[1] + b * control[1] + c * end[1]]
}

/** Draws with a soft edge one pixel wide: ink falls from 1 to 0 around `halfWidth` from the line. */
function drawLine(image: Float32Array, from: Point, to: Point, halfWidth: number): void {
  const reach = halfWidth + 1
  const dx = to[0] - from[0]
  const dy = to[1] - from[1]
  const lengthSquared = dx * dx + dy * dy
  const [left, right] = pixelRange(from[0], to[0], reach)
  const [top, bottom] = pixelRange(from[1], to[1], reach)
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const px = x + 0.5 - from[0]
      const py = y + 0.5 - from[1]
      const along = lengthSquared === 0 ? 0 : Math.min(1, Math.max(0, (px * dx + py * dy) / lengthSquared))
      const offX = px - along * dx
      const offY = py - along * dy
      const ink = Math.min(1, halfWidth + 0.5 - Math.sqrt(offX * offX + offY * offY))
      if (ink > image[y * edge + x]!) image[y * edge + x] = ink
    }
  }
}

function pixelRange(a: number, b: number, reach: number): [first: number, last: number] {
  return [
    Math.max(0, Math.floor(Math.min(a, b) - reach)),
    Math.min(edge - 1, Math.ceil(Math.max(a, b) + reach)),
  ]
}

function between(random: Random, min: number, max: number): number {
  return min + (max - min) * random.next()
}

/** Uniform in -reach … reach. */
function spread(random: Random, reach: number): number {
  return reach * (2 * random.next() - 1)
}
