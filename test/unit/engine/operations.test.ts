/** How many operations a forward pass is counted as. */
import { expect, test } from 'vitest'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder } from '../../../engine/graph/graph-builder.ts'
import { int } from '../../../engine/onnx/graph.ts'
import { operationsOf, stepOperationsOf } from '../../../engine/program/operations.ts'

const f = new Formulas(new GraphBuilder(18))
const tensor = (shape: number[]) => ({ dtype: 'float32', shape }) as const
const x = (...shape: number[]) => f.builder.input(`x${f.builder.nodes.length}_${shape}`, tensor(shape))

/** Operations of the nodes that `make` adds. */
function counted(make: () => unknown): number {
  const before = f.builder.nodes.length
  make()
  return operationsOf(f.builder.nodes.slice(before))
}

test('a product counts a multiplication and an addition for each term', () => {
  expect(counted(() => f.matmul(x(2, 3, 4), x(4, 5)))).toBe(2 * 2 * 3 * 4 * 5)
  expect(counted(() => f.gemm(x(4, 3), x(4, 5), { transA: true }))).toBe(2 * 3 * 4 * 5)
})

test('a convolution counts its window, its group of input channels, at every place it is applied', () => {
  const conv = () =>
    f.builder.emit('Conv', [x(2, 6, 8, 8), x(4, 3, 3, 3)], { group: int(2) }, tensor([2, 4, 6, 6]))
  expect(counted(conv)).toBe(2 * (2 * 4 * 6 * 6) * (3 * 3 * 3))
  const transposed = () =>
    f.builder.emit('ConvTranspose', [x(2, 4, 5, 5), x(4, 3, 2, 2)], {}, tensor([2, 3, 6, 6]))
  expect(counted(transposed)).toBe(2 * (2 * 4 * 5 * 5) * (3 * 2 * 2))
})

test('anything else counts one for each element that it makes', () => {
  expect(counted(() => f.exp(x(7, 2)))).toBe(14)
})

test('a step counts a layer thrice, the first one twice, and what no weight reaches once', () => {
  const before = f.builder.nodes.length
  const [samples, first, second] = [x(2, 3), x(3, 4), x(4, 5)]
  f.matmul(f.matmul(f.exp(samples), first), second)
  const step = stepOperationsOf(f.builder.nodes.slice(before), new Set([first.name, second.name]))
  expect(step).toBe(6 + 2 * (2 * 2 * 3 * 4) + 3 * (2 * 2 * 4 * 5))
})
