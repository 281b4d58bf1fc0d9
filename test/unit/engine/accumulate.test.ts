/** Where gradients meet: pieces that fill a value are joined, everything else is added. */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { accumulate } from '../../../engine/gradients/accumulate.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder, type Value } from '../../../engine/graph/graph-builder.ts'
import { writeModel } from '../../../engine/onnx/write.ts'

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

/**
 * Pieces `[2, count]` of ones at `start` of an axis of 6, filled with `filling` around, and what accumulates from them.
 */
async function meet(pieces: readonly { start: number; count: number; filling?: number }[]) {
  const f = new Formulas(new GraphBuilder(18))
  const x = f.builder.input('x', { dtype: 'float32', shape: [2, 6] })
  const gradients = pieces.map(({ start, count, filling = 0 }): Value => {
    const piece = f.mul(f.slice(x, [{ axis: 1, start, count }]), start + 1)
    return f.pad(piece, [0, start], [0, 6 - start - count], filling)
  })
  const graph = f.builder.finish({ sum: accumulate(f, gradients) })
  const executable = await backend.compile(writeModel(graph))
  const data = Float32Array.from({ length: 12 }, (_, index) => index + 1)
  const { sum } = await executable.run({ x: { dtype: 'float32', shape: [2, 6], data } })
  await executable.release()
  const expected = data.map((value, index) =>
    pieces.reduce((total, { start, count, filling = 0 }) => {
      const isInside = index % 6 >= start && index % 6 < start + count
      return total + (isInside ? value * (start + 1) : filling)
    }, 0),
  )
  return { operators: graph.nodes.map(({ opType }) => opType), values: sum!.data, expected }
}

describe('gradients that meet', () => {
  test('are joined, in the order of their places, when they fill the value without overlap', async () => {
    const { operators, values, expected } = await meet([
      { start: 4, count: 2 },
      { start: 0, count: 1 },
      { start: 1, count: 3 },
    ])
    expect(values).toEqual(expected)
    expect(operators).toContain('Concat')
    expect(operators).not.toContain('Pad')
    expect(operators).not.toContain('Add')
  })

  test.each([
    [
      'overlap',
      [
        { start: 0, count: 4 },
        { start: 3, count: 3 },
      ],
    ],
    [
      'leave a gap',
      [
        { start: 0, count: 2 },
        { start: 3, count: 3 },
      ],
    ],
    [
      'end early',
      [
        { start: 0, count: 2 },
        { start: 2, count: 3 },
      ],
    ],
    [
      'are padded with something else than zeros',
      [
        { start: 0, count: 3, filling: 1 },
        { start: 3, count: 3 },
      ],
    ],
  ])('are added when they %s', async (_, pieces) => {
    const { operators, values, expected } = await meet(pieces)
    expect(values).toEqual(expected)
    expect(operators).toContain('Add')
  })
})
