/**
 * The ten characters of the glyph alphabet, as strokes in a unit square: x to the right, y down, centre (0.5, 0.5).
 *
 * A stroke is a chain of quadratic Bézier curves: `[start, control, end, control, end, …]`; a straight line has its
 * control point in the middle. The alphabet is made so that classes share most of their strokes and differ in where a
 * gap, a bar or a tail is: counting ink by place tells little, following the stroke tells all.
 */

/** A point as [x, y], in 0 … 1. */
export type Point = readonly [number, number]
export type Stroke = readonly Point[]

const line = (...points: Point[]): Stroke =>
  points.flatMap((point, i): Point[] => {
    const next = points[i + 1]
    return next === undefined ? [point] : [point, [(point[0] + next[0]) / 2, (point[1] + next[1]) / 2]]
  })

const ring: Stroke = [
  [0.5, 0.15],
  [0.88, 0.15],
  [0.85, 0.5],
  [0.88, 0.85],
  [0.5, 0.85],
  [0.12, 0.85],
  [0.15, 0.5],
  [0.12, 0.15],
  [0.5, 0.15],
]
/** Open at the right, as a C. */
const bowl: Stroke = [
  [0.8, 0.25],
  [0.5, 0],
  [0.25, 0.3],
  [0.1, 0.5],
  [0.25, 0.7],
  [0.5, 1],
  [0.8, 0.75],
]
const mirrored = (stroke: Stroke): Stroke => stroke.map(([x, y]) => [1 - x, y])

/** Strokes of each class; the index is the label. */
export const glyphShapes: readonly (readonly Stroke[])[] = [
  [ring],
  [ring, line([0.2, 0.5], [0.8, 0.5])],
  [ring, line([0.55, 0.6], [0.9, 0.95])],
  [bowl],
  [bowl, line([0.25, 0.5], [0.7, 0.5])],
  [mirrored(bowl)],
  [mirrored(bowl), line([0.75, 0.5], [0.3, 0.5])],
  [line([0.2, 0.2], [0.8, 0.2], [0.25, 0.8], [0.8, 0.8])],
  [line([0.8, 0.2], [0.2, 0.2], [0.75, 0.8], [0.2, 0.8])],
  [line([0.25, 0.85], [0.25, 0.15], [0.75, 0.85], [0.75, 0.15])],
]
