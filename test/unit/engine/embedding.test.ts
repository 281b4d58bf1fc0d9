/** The gradient of an embedding whose ids come with the batch, in both of its forms, against sums over the ids. */
import * as onnxruntimeWeb from 'onnxruntime-web'
import { describe, expect, test } from 'vitest'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { openWasmBackend } from '../../../engine/backends/wasm.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder } from '../../../engine/graph/graph-builder.ts'
import { int } from '../../../engine/onnx/graph.ts'
import { readModel } from '../../../engine/onnx/read.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { TrainingSpec } from '../../../engine/program/training-program.ts'
import { seededRandom } from '../../../protocols/core/random.ts'

const [batch, context, width] = [4, 6, 3]
const spec: TrainingSpec = {
  batch,
  loss: 'mse',
  optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
}

/** y = table[ids] */
function embedding(table: Float32Array): Uint8Array {
  const f = new Formulas(new GraphBuilder(18))
  const ids = f.builder.input('ids', { dtype: 'int64', shape: [batch, context] })
  const rows = f.tensor(table, [table.length / width, width])
  const type = { dtype: 'float32', shape: [batch, context, width] } as const
  return writeModel(f.builder.finish({ y: f.builder.emit('Gather', [rows, ids], { axis: int(0) }, type) }))
}

const backends = {
  native: () => openNativeBackend({ threads: 2 }),
  wasm: async () => openWasmBackend(onnxruntimeWeb, { threads: 1 }),
}

describe.each([
  [40, { native: 'Gemm', wasm: 'Gemm' }],
  [100, { native: 'Gemm', wasm: 'ScatterElements' }],
  [600, { native: 'ScatterElements', wasm: 'ScatterElements' }],
] as const)('of a table of %i rows', (rowCount, forms) => {
  test.each(['native', 'wasm'] as const)(
    'is made by the faster form and adds what ids share, on %s',
    async (name) => {
      const form = forms[name]
      const random = seededRandom(rowCount)
      const table = Float32Array.from({ length: rowCount * width }, () => random.normal())
      const backend = await backends[name]()
      const program = await compileProgram(embedding(table), spec, backend)
      expect(readModel(program.gradientModel).graph.nodes.map(({ opType }) => opType)).toContain(form)
      // few rows, so that most are picked more than once; the first and the last are among them, and the last by -1
      const places = Int32Array.from(
        { length: batch * context },
        (_, index) => [0, 7, rowCount - 1, -1, 20, 7][index % 6]!,
      )
      const targets = Float32Array.from({ length: places.length * width }, () => random.normal())
      const expected = new Float64Array(table.length)
      targets.forEach((target, index) => {
        const row = (places[Math.floor(index / width)]! + rowCount) % rowCount
        const place = row * width + (index % width)
        expected[place]! += (2 * (table[place]! - target)) / targets.length
      })
      const graph = await backend.compile(program.gradientModel)
      const { gradient } = await graph.run({
        ids: { dtype: 'int32', shape: [batch, context], data: places },
        labels: { dtype: 'float32', shape: [batch, context, width], data: targets },
        [program.parameters[0]!.name]: { dtype: 'float32', shape: [rowCount, width], data: table },
      })
      await graph.release()
      expected.forEach((value, index) => {
        expect(gradient!.data[index], `element ${index}`).toBeCloseTo(value, 6)
      })
    },
  )
})

test('a graph for a graphics processor has the product for a large table too, and no int64', async () => {
  const native = await openNativeBackend({ threads: 1 })
  const program = await compileProgram(embedding(new Float32Array(600 * width).fill(1)), spec, {
    ...native,
    name: 'webgpu',
  })
  const operators = readModel(program.gradientModel).graph.nodes.map(({ opType }) => opType)
  expect(operators).toContain('Gemm')
  expect(operators).not.toContain('ScatterElements')
})
