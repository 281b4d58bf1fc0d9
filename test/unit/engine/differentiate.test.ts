/** How gradients travel through a graph as a whole; what each operator does to them is gradients.test.ts's. */
import { beforeAll, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { differentiate } from '../../../engine/gradients/differentiate.ts'
import { Formulas } from '../../../engine/onnx/formulas.ts'
import { GraphBuilder, type Value } from '../../../engine/onnx/graph-builder.ts'
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
