/**
 * The operator cases as files of the operator sets from 11 to 15 write them: gradients as those of set 18, which
 * gradients.test.ts compares with PyTorch and differences. Nodes that a set writes word for word as set 18 does are
 * imported as its own, and not run again. All cases of one set stand in one file.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { Tensor } from '../../../protocols/core/tensor.ts'
import { caseNode } from './case-node.ts'
import { drawn } from './drawn-case.ts'
import type { GradientCase } from './gradient-case.ts'
import { gradientCases } from './gradient-cases.ts'
import { inOperatorSet } from './older-form.ts'
import { relativeError } from './pytorch-models.ts'
import { sizeOf } from './reference-array.ts'

/** The same kernels do the same sums: only the order of nodes can differ. */
const tolerance = 1e-6

/**
 * How many cases a set writes in a form of its own, at least: sets from 13 on have sums, splits and softmax as set 18.
 */
const leastCases = { 11: 28, 12: 28, 13: 20, 14: 20, 15: 20 } as const

let backend: Backend
let newest: Map<string, Float32Array>
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
  const changing = gradientCases.filter((given) => isChanged(given, 11))
  newest = await gradientsOf(18, changing)
})

describe.each(Object.entries(leastCases))('in operator set %s', (opset, least) => {
  test('every case that is written otherwise has the gradients of set 18', async () => {
    const changed = gradientCases.filter((given) => isChanged(given, Number(opset)))
    expect(changed.length).toBeGreaterThanOrEqual(least)
    const older = await gradientsOf(Number(opset), changed)
    const errors = [...older].map(
      ([name, values]) => [name, relativeError(values, newest.get(name)!)] as const,
    )
    expect(errors.filter(([, error]) => !(error < tolerance))).toEqual([])
  })
})

/** Whether `opset` can say `given`, in other words than set 18. */
function isChanged(given: GradientCase, opset: number): boolean {
  const [older, newer] = [inOperatorSet(given, opset), inOperatorSet(given, 18)]
  const words = (form: GradientCase) => JSON.stringify([form.inputs.length, form.attributes])
  return older !== null && newer !== null && words(older) !== words(newer)
}

/** By case and parameter, the gradients of Σ h² / 2 over all `cases`, in one file of set `opset`. */
async function gradientsOf(opset: number, cases: readonly GradientCase[]) {
  const written = cases.flatMap((given) => {
    const older = inOperatorSet(given, opset)
    return older === null ? [] : [{ older, ...drawn(given) }]
  })
  const parts = written.map(({ older, inputs }, index) => caseNode(older, inputs, `c${index}`))
  const sizes = written.map(({ y }) => sizeOf(y.shape))
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const none = { domain: '', attributes: {} }
  const flat = parts.map(({ read }, index) => ({
    ...none,
    opType: 'Reshape',
    name: `flat${index}`,
    inputs: [read, 'flat'],
    outputs: [`flat${index}`],
  }))
  const constants = new Map(parts.flatMap(({ constants }) => [...constants]))
  constants.set('flat', { dtype: 'int64', shape: [1], data: BigInt64Array.of(-1n) })
  const axis = { kind: 'int', value: 0 } as const
  const joined = { ...none, opType: 'Concat', name: 'all', attributes: { axis } }
  const model = writeModel({
    opset,
    nodes: [
      ...parts.map(({ node }) => node),
      ...flat,
      { ...joined, inputs: flat.map(({ name }) => name), outputs: ['all'] },
      { ...none, opType: 'Add', name: 'sum', inputs: ['all', 'x'], outputs: ['y'] },
    ],
    constants,
    inputs: new Map([['x', { dtype: 'float32', shape: [total] }]]),
    outputs: new Map([['y', null]]),
  })
  const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const
  const program = await compileProgram(model, { batch: total, loss: 'mse', optimizer }, backend)
  const zeros: Tensor = { dtype: 'float32', shape: [total], data: new Float32Array(total) }
  const feeds: Record<string, Tensor> = { x: zeros, labels: zeros }
  for (const { name, shape, offset, length } of program.parameters) {
    feeds[name] = { dtype: 'float32', shape, data: program.initial.slice(offset, offset + length) }
  }
  const graph = await backend.compile(program.gradientModel)
  const { gradient } = await graph.run(feeds)
  await graph.release()
  return new Map(
    program.parameters
      .filter(({ kind }) => kind === 'weight')
      .map(({ name, offset, length }) => {
        const [index, input] = name.slice(1).split('p') as [string, string]
        const values = gradient!.data.slice(offset, offset + length) as Float32Array
        return [`${written[Number(index)]!.older.name}/${input}`, values.map((value) => (value * total) / 2)]
      }),
  )
}
