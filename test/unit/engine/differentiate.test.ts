/** How gradients travel through a graph as a whole; what each operator does to them is gradients.test.ts's. */
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { differentiate } from '../../../engine/gradients/differentiate.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder, type Value } from '../../../engine/graph/graph-builder.ts'
import { writeModel } from '../../../engine/onnx/write.ts'

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

/** The gradient of Σ `formula`(x) by x, at `values`. */
async function gradientAt(values: readonly number[], formula: (f: Formulas, x: Value) => Value) {
  const f = new Formulas(new GraphBuilder(18))
  const given = { name: 'x', dtype: 'float32', shape: [values.length] } as const
  const x = f.builder.input(given.name, given)
  const output = formula(f, x)
  const [gradient] = differentiate(f, [...f.builder.nodes], output, f.full(output.shape, 1), [x])
  const executable = await backend.compile(writeModel(f.builder.finish({ gradient: gradient! }, [given])))
  const results = await executable.run({ x: { ...given, data: Float32Array.from(values) } })
  await executable.release()
  return [...results.gradient!.data]
}

test('what was cut to whole numbers on its way stands still', async () => {
  const gradient = await gradientAt([1.6, -2.3, 0.4], (f, x) =>
    f.mul(f.cast(f.cast(x, 'int32'), 'float32'), x),
  )
  expect(gradient).toEqual([1, -2, 0])
})

test('the places of the largest elements are numbers to compute with, and move nothing', async () => {
  const gradient = await gradientAt([0.3, 0.9, 0.5], (f, x) => {
    const types = (['float32', 'int64'] as const).map((dtype) => ({ dtype, shape: [2] }))
    const [, places] = f.builder.node('TopK', [x, f.builder.integers([2])], {}, types)
    return f.mul(f.cast(places!, 'float32'), f.slice(x, [{ axis: 0, start: 0, count: 2 }]))
  })
  expect(gradient).toEqual([1, 2, 0])
})

test('a row whose mask hides all of it has no softmax, and moves nothing where the model puts zeros in its place', async () => {
  const gradient = await gradientAt([1, 2, 0, Math.log(3)], (f, x) => {
    const rows = { dtype: 'float32', shape: [2, 2] } as const
    const hidden = Number.NEGATIVE_INFINITY
    const masked = f.add(
      f.reshape(x, rows.shape),
      f.tensor(Float32Array.of(hidden, hidden, 0, 0), rows.shape),
    )
    const shares = f.builder.emit('Softmax', [masked], {}, rows)
    const isNone = f.builder.emit('IsNaN', [shares], {}, { dtype: 'bool', shape: rows.shape })
    const kept = f.builder.emit('Where', [isNone, f.full([], 0), shares], {}, rows)
    return f.mul(kept, f.tensor(Float32Array.of(1, 2), [1, 2]))
  })
  expect(gradient.slice(0, 2)).toEqual([0, 0])
  expect(gradient[2]).toBeCloseTo(-0.1875, 6)
  expect(gradient[3]).toBeCloseTo(0.1875, 6)
})

test('scores that a mask hides from a softmax do not move', async () => {
  const [rows, width, columns] = [3, 4, 2]
  const scores = [0.3, -1.2, 2, 0.7, 1.1, 0.4, -0.6, 0.2, 0.9, -0.8, 1.5, -0.3]
  const values = [1, -2, 0.5, 3, -1.5, 0.25, 2, 1]
  const weights = [1, 2, -1, 0.5, 3, -2]
  const isSeen = [1, 0, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0] // and nothing in the last row
  const gradient = await gradientAt(scores, (f, x) => {
    const seen = f.builder.constant({ dtype: 'bool', shape: [rows, width], data: Uint8Array.from(isSeen) })
    const own = f.reshape(x, [1, rows, width])
    const masked = f.where(seen, f.concat([own, own], 0), -1e9)
    const mixed = f.matmul(f.softmax(masked, 2), f.tensor(Float32Array.from(values), [1, width, columns]))
    return f.mul(mixed, f.tensor(Float32Array.from(weights), [rows, columns]))
  })
  const expected = Array.from({ length: rows }, (_, row) => {
    const own = scores.slice(row * width, (row + 1) * width)
    const seen = isSeen.slice(row * width, (row + 1) * width)
    const powers = own.map((score, column) => (seen.includes(1) ? seen[column]! * Math.exp(score) : 1))
    const shares = powers.map((power) => power / powers.reduce((sum, other) => sum + other))
    const slopes = own.map((_, column) =>
      [0, 1].reduce(
        (sum, place) => sum + weights[row * columns + place]! * values[column * columns + place]!,
        0,
      ),
    )
    const mean = slopes.reduce((sum, slope, column) => sum + slope * shares[column]!, 0)
    return slopes.map((slope, column) => 2 * seen[column]! * shares[column]! * (slope - mean)) // of two heads
  }).flat()
  for (const [index, value] of expected.entries()) expect(gradient[index]).toBeCloseTo(value, 5)
})
