/** Gradient of picking rows by index, which depend on data or are known. */

import { positiveAxis } from '../graph/formulas.ts'
import type { Value } from '../graph/graph-builder.ts'
import { intOf } from '../onnx/graph.ts'
import { numbersOf } from '../onnx/types.ts'
import { addRows, axisParts } from './added-rows.ts'
import { selectRows } from './known-rows.ts'
import { gradient } from './rule.ts'

export const gather = {
  /** Y = X[indices] along an axis: dX[v] = Σ dY[i] over all i with indices[i] = v */
  Gather: gradient((application) => {
    const { f, x, dy, attributes } = application
    const [table, indices] = x as [Value, Value]
    const axis = positiveAxis(intOf(attributes, 'axis', 0), table.shape.length)
    const size = table.shape[axis]!
    const known = f.constantOf(indices)
    const parted = axisParts(dy.shape, axis, indices.shape.length)
    if (known === null) return f.reshape(addRows(f, dy, parted, indices, size), table.shape)
    const rows = numbersOf(known).map((row) => (row < 0 ? row + size : row))
    const joined = f.reshape(dy, [
      ...dy.shape.slice(0, axis),
      rows.length,
      ...dy.shape.slice(axis + indices.shape.length),
    ])
    return selectRows(f, joined, axis, rows, size)
  }, null),
} as const
