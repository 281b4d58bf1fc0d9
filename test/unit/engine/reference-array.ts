/**
 * Dense float64 arrays for the reference interpreter: plain loops, nothing shared with the engine, no speed.
 * Integer tensors (indices, shapes) are carried as float64 too.
 */
export interface Nd {
  readonly shape: readonly number[]
  readonly data: Float64Array
}

/** The attributes of a node as plain values. */
export type Plain = Readonly<Record<string, number | string | readonly number[] | readonly string[]>>

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1)
}

/** Every index of `shape`, last axis fastest. */
export function* indicesOf(shape: readonly number[]): Generator<number[]> {
  const total = sizeOf(shape)
  for (let flat = 0; flat < total; flat++) {
    const index = new Array<number>(shape.length)
    let rest = flat
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = rest % shape[axis]!
      rest = Math.floor(rest / shape[axis]!)
    }
    yield index
  }
}

export function offsetOf(shape: readonly number[], index: readonly number[]): number {
  return index.reduce((offset, position, axis) => offset * shape[axis]! + position, 0)
}

export function at(x: Nd, index: readonly number[]): number {
  return x.data[offsetOf(x.shape, index)]!
}

/** The array whose element at each index is `element(index)`. */
export function build(shape: readonly number[], element: (index: number[]) => number): Nd {
  const data = new Float64Array(sizeOf(shape))
  let flat = 0
  for (const index of indicesOf(shape)) data[flat++] = element(index)
  return { shape, data }
}

/** The element of `x` that broadcasting puts at `index` of a larger shape. */
export function atBroadcast(x: Nd, index: readonly number[]): number {
  const own = index.slice(index.length - x.shape.length)
  return at(
    x,
    own.map((position, axis) => (x.shape[axis] === 1 ? 0 : position)),
  )
}

export function broadcast(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(...shapes.map((shape) => shape.length))
  return Array.from({ length: rank }, (_, axis) =>
    shapes.map((shape) => shape[axis - rank + shape.length] ?? 1).reduce((a, b) => (a === 1 ? b : a), 1),
  )
}

/** `formula` of the broadcast elements of all `inputs`. */
export function zip(inputs: readonly Nd[], formula: (...values: number[]) => number): Nd {
  const shape = broadcast(...inputs.map((input) => input.shape))
  return build(shape, (index) => formula(...inputs.map((input) => atBroadcast(input, index))))
}

export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}
