/**
 * Operators on truth values and whole numbers that WebGPU has no kernel for (onnxruntime 1.30), written as others: masks
 * that are joined and cut, tests for what is no number, and places that were picked. No gradient flows through them.
 *
 * What only moves elements is done in float32, which holds whole numbers up to 2^24 as they are: an int32 moves in two
 * halves.
 */
import { broadcastShape, type Formulas, positiveAxis } from '../graph/formulas.ts'
import type { TypedNode, Value } from '../graph/graph-builder.ts'
import { int, intOf } from '../onnx/graph.ts'
import { isReal, type TensorType } from '../onnx/types.ts'
import { spellingOf, type Use } from './rule.ts'
import { ruleOf } from './rules.ts'

type DiscreteSpelling = (use: Use, type: TensorType) => Value | null

/** The largest float32. */
const largest = 3.4028234663852886e38

const spellings: ReadonlyMap<string, DiscreteSpelling> = new Map<string, DiscreteSpelling>([
  ['IsNaN', ({ f, x }) => not(f, f.equal(x[0]!, x[0]!))],
  ['IsInf', isInfinite],
  ['Or', ({ f, x }) => either(f, x[0]!, x[1]!)],
  ['Xor', ({ f, x }) => differ(f, x[0]!, x[1]!)],
  ['Equal', ({ f, x }) => (x[0]!.dtype === 'bool' ? not(f, differ(f, x[0]!, x[1]!)) : null)],
  ['Neg', ({ f, x }) => f.sub(zero(f), x[0]!)],
  ['Abs', ({ f, x }) => f.max(x[0]!, f.sub(zero(f), x[0]!))],
  ['Mod', remainder],
  ['Cast', ({ f, x }, type) => (x[0]!.dtype === 'int64' ? placesAs(f, x[0]!, type) : null)],
  ...['Identity', 'Transpose', 'Slice', 'Tile', 'Trilu', 'Pad', 'Concat', 'GatherElements'].map(
    (operator): [string, DiscreteSpelling] => [operator, movedAsFloats],
  ),
])

/**
 * A node's only output, whose type is `type`, as other operators: where the graph is for WebGPU, and truth values or
 * whole numbers are read or made. Null where it stays as it is.
 */
export function discreteSpelling(use: Use, type: TensorType): Value | null {
  const isDiscrete = !isReal(type.dtype) || !isReal(use.x[0]?.dtype ?? type.dtype)
  if (use.f.builder.target.device !== 'gpu' || !isDiscrete) return null
  return spellings.get(use.opType)?.(use, type) ?? null
}

const not = (f: Formulas, a: Value): Value => f.builder.emit('Not', [a], {}, a)

const both = (f: Formulas, a: Value, b: Value): Value =>
  f.builder.emit('And', [a, b], {}, { dtype: 'bool', shape: broadcastShape(a.shape, b.shape) })

/** a ∨ b = ¬(¬a ∧ ¬b) */
const either = (f: Formulas, a: Value, b: Value): Value => not(f, both(f, not(f, a), not(f, b)))

/** a ⊻ b = (a ∨ b) ∧ ¬(a ∧ b) */
const differ = (f: Formulas, a: Value, b: Value): Value => both(f, either(f, a, b), not(f, both(f, a, b)))

function isInfinite({ f, x, attributes }: Use): Value {
  const above = f.greater(x[0]!, largest)
  const below = f.greater(-largest, x[0]!)
  if (intOf(attributes, 'detect_positive', 1) === 0) return below
  return intOf(attributes, 'detect_negative', 1) === 0 ? above : either(f, above, below)
}

function zero(f: Formulas): Value {
  return f.builder.constant({ dtype: 'int32', shape: [], data: new Int32Array(1) })
}

/** r = a - trunc(a/b)·b has the sign of a; without `fmod` the result has that of b. */
function remainder({ f, x, attributes }: Use, { dtype }: TensorType): Value | null {
  if (dtype !== 'int32') return null
  const [a, b] = x as [Value, Value]
  const rest = f.sub(a, f.mul(f.div(a, b), b))
  if (intOf(attributes, 'fmod', 0) === 1) return rest
  const differs = either(
    f,
    both(f, f.greater(zero(f), rest), f.greater(b, zero(f))),
    both(f, f.greater(rest, zero(f)), f.greater(zero(f), b)),
  )
  return f.where(differs, f.add(rest, b), rest)
}

/** Movements that have a kernel for some types only. */
function movedAsFloats(use: Use, type: TensorType): Value {
  if (type.dtype !== 'int32') return movedPart(use, type, (value) => value)
  const { f } = use
  const base = f.builder.constant({ dtype: 'int32', shape: [], data: Int32Array.of(halfBase) })
  const upper = (value: Value) => f.div(value, base)
  const lower = (value: Value) => f.sub(value, f.mul(upper(value), base))
  return f.add(f.mul(movedPart(use, type, upper), base), movedPart(use, type, lower))
}

/** What an int32's halves count to: h·2^16 + l, with h and l cut toward zero, overflows for none. */
const halfBase = 1 << 16

/** The movement of `part` of what it moves, which float32 holds. */
function movedPart(use: Use, { dtype, shape }: TensorType, part: (value: Value) => Value): Value {
  const { f, opType, attributes } = use
  const float: TensorType = { dtype: 'float32', shape }
  const isMoved = (value: Value, index: number) =>
    value.dtype === dtype && (index === 0 || opType === 'Concat' || (opType === 'Pad' && index === 2))
  const x = use.x.map((value, index) =>
    use.has(index) && isMoved(value, index) ? f.cast(part(value), 'float32') : value,
  )
  const spelled = spellingOf(ruleOf(opType))?.({ ...use, x }, [float])?.[0]
  return f.cast(spelled ?? f.builder.emit(opType, x, attributes, float), dtype)
}

/** `places` int64, as a node picked them, as another type: there is no kernel that casts from int64. */
function placesAs(f: Formulas, places: Value, { dtype }: TensorType): Value | null {
  const maker = f.builder.makerOf(places)
  switch (maker?.opType) {
    case 'TopK': {
      const axis = int(axisOf(maker, -1))
      const picked = f.builder.emit(
        'GatherElements',
        [f.expand(placesAlong(f, maker, -1), maker.inputs[0]!.shape), places],
        { axis },
        { dtype: 'float32', shape: places.shape },
      )
      return f.cast(picked, dtype)
    }
    case 'ArgMax':
    case 'ArgMin':
      return f.cast(f.reshape(extremePlace(f, maker), places.shape), dtype)
    default:
      return null
  }
}

/** The first place, or the last, of what is largest or least along the axis of `node`, float32. */
function extremePlace(f: Formulas, node: TypedNode): Value {
  const x = node.inputs[0]!
  const axis = axisOf(node, 0)
  const values = node.opType === 'ArgMax' ? x : f.neg(x)
  const reaches = f.equal(values, f.reduceMax(values, [axis], true))
  const along = placesAlong(f, node, 0)
  const furthest = (places: Value) => f.reduceMax(f.where(reaches, places, -x.shape[axis]!), [axis], true)
  return intOf(node.attributes, 'select_last_index', 0) === 1
    ? furthest(along)
    : f.neg(furthest(f.neg(along)))
}

/** 0, 1, ... along the axis of `node`'s input, float32 of its rank. */
function placesAlong(f: Formulas, node: TypedNode, otherwise: number): Value {
  const { shape } = node.inputs[0]!
  const axis = axisOf(node, otherwise)
  const numbers = Float32Array.from({ length: shape[axis]! }, (_, place) => place)
  return f.tensor(
    numbers,
    shape.map((size, index) => (index === axis ? size : 1)),
  )
}

function axisOf({ attributes, inputs }: TypedNode, otherwise: number): number {
  return positiveAxis(intOf(attributes, 'axis', otherwise), inputs[0]!.shape.length)
}
