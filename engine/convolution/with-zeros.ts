/** Elements set apart by zeros: what a stride has read, put back. */

import type { Formulas } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { sizeOf } from '../onnx/types.ts'

/** `x` with `stride` - 1 zeros between its elements along `axis`, none after the last. */
export function withZeros(f: Formulas, x: Value, axis: number, stride: number): Value {
  const size = x.shape[axis]!
  if (stride === 1 || size === 1) return x
  const [outer, inner] = [sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis + 1))]
  const apart = f.pad(f.reshape(x, [outer, size, 1, inner]), [0, 0, 0, 0], [0, 0, stride - 1, 0])
  const whole = f.reshape(apart, [outer, size * stride, inner])
  const spread = f.slice(whole, [{ axis: 1, start: 0, count: (size - 1) * stride + 1 }])
  return f.reshape(spread, x.shape.with(axis, (size - 1) * stride + 1))
}
