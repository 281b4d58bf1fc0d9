/** Masked scores as a sum, against the selection that the model wrote: shares and gradients, to the bit. */
import { beforeAll, expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { differentiate } from '../../../engine/gradients/differentiate.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder, type Target, type Value } from '../../../engine/graph/graph-builder.ts'
import { float32Constant } from '../../../engine/onnx/types.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { addForward } from '../../../engine/program/forward.ts'
import { seededRandom } from '../../../protocols/core/random.ts'

const shape = [2, 3, 4]
const causal = [1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 0]
const random = seededRandom(7)
const draw = () => Float32Array.from({ length: 24 }, () => 4 * random.normal())
const [scores, seed] = [draw(), draw()]

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

interface Form {
  mask?: number[]
  maskShape?: number[]
  hidden?: number
  /** Whether the mask says what is hidden, as `masked_fill` has it. */
  isTurned?: boolean
  axis?: number
  /** Whether the mask depends on the scores, or something besides the softmax reads them. */
  hasOwnMask?: boolean
  isReadTwice?: boolean
}

async function sharesOn(device: Target['device'], form: Form) {
  const { mask = causal, maskShape = [3, 4], hidden = -1e9, isTurned = false, axis = 2 } = form
  const model = new Formulas(new GraphBuilder(18))
  const x = model.builder.input('x', { dtype: 'float32', shape })
  const data = Uint8Array.from(mask, (shown) => Number((shown === 1) !== isTurned))
  const known = model.builder.constant({ dtype: 'bool', shape: maskShape, data })
  const condition = form.hasOwnMask ? model.greater(x, -3) : known
  const filling = model.builder.constant(float32Constant(Float32Array.of(hidden), []))
  const masked = isTurned ? model.where(condition, filling, x) : model.where(condition, x, filling)
  const shares = model.softmax(masked, axis)
  const output = form.isReadTwice ? model.mul(shares, model.max(masked, -1)) : shares

  const { nodes } = model.builder
  const constants = new Map(
    nodes.flatMap(({ inputs }) =>
      inputs.flatMap((value) => {
        const constant = value && model.constantOf(value)
        return constant ? [[value.name, constant] as const] : []
      }),
    ),
  )
  const f = new Formulas(new GraphBuilder(18, { device }))
  const given = f.builder.input('x', x)
  const forward = addForward(
    f,
    { nodes, output, constants, parameters: [] },
    new Map([['x', given]]),
    'training',
  )
  const [gradient] = differentiate(f, forward.nodes, forward.output, f.tensor(seed, shape), [given])
  return run(f, { output: forward.output, gradient: gradient! })
}

async function run(f: Formulas, outputs: Record<string, Value>) {
  const graph = f.builder.finish(outputs)
  const executable = await backend.compile(writeModel(graph))
  const results = await executable.run({ x: { dtype: 'float32', shape, data: scores } })
  await executable.release()
  const isSelected = graph.nodes.some(
    ({ opType, inputs }) => opType === 'Where' && !inputs.every((input) => graph.constants.has(input)),
  )
  return { isSelected, output: [...results.output!.data], gradient: [...results.gradient!.data] }
}

it.each<[string, Form]>([
  ['a causal mask', {}],
  ['one that is given by what it hides', { isTurned: true, hidden: Number.NEGATIVE_INFINITY }],
  [
    'the least float32, and a mask for each of two heads',
    { hidden: -3.4e38, mask: [...causal, ...causal], maskShape: shape },
  ],
  ['a mask of keys alone', { mask: [1, 0, 1, 1], maskShape: [1, 1, 4] }],
])('adds what hides: %s', async (_, form) => {
  const [summed, selected] = [await sharesOn('cpu', form), await sharesOn('gpu', form)]
  expect([summed.isSelected, selected.isSelected]).toEqual([false, true])
  expect(summed.output).toEqual(selected.output)
  expect([...summed.gradient].map((value) => value + 0)).toEqual(
    [...selected.gradient].map((value) => value + 0),
  )
  expect(summed.output).toContain(0)
})

it.each<[string, Form]>([
  ['a row that is hidden as a whole', { mask: [...causal.slice(0, 8), 0, 0, 0, 0] }],
  ['a number that scores might reach', { hidden: -1e4 }],
  ['a softmax along another axis', { axis: 1 }],
  ['a mask that depends on the scores', { hasOwnMask: true }],
  ['scores that are read besides', { isReadTwice: true }],
])('leaves a selection where it is for %s', async (_, form) => {
  expect((await sharesOn('cpu', form)).isSelected).toBe(true)
})
