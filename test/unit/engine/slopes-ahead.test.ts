/** Gelu's derivative, made on the way forward: who waits for it, and the same gradients wherever it is made. */
import { beforeAll, expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { differentiate } from '../../../engine/gradients/differentiate.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder, type Target } from '../../../engine/graph/graph-builder.ts'
import { text } from '../../../engine/onnx/graph.ts'
import { sizeOf } from '../../../engine/onnx/types.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { addForward, type Mode } from '../../../engine/program/forward.ts'
import { seededRandom } from '../../../protocols/core/random.ts'

const shapes = { x: [2, 3, 4], w1: [4, 6], b1: [6], w2: [6, 5], b2: [5] }
const random = seededRandom(11)
const fed = Object.fromEntries(
  Object.entries(shapes).map(([name, shape]) => {
    const data = Float32Array.from({ length: sizeOf(shape) }, () => random.normal())
    return [name, { dtype: 'float32', shape, data } as const]
  }),
)

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

type Approximate = 'none' | 'tanh'

/** Gelu(x·w1 + b1)·w2 + b2 as exporters write it. */
function perceptron(approximate: Approximate) {
  const f = new Formulas(new GraphBuilder(20))
  const [x, w1, b1, w2, b2] = Object.entries(shapes).map(([name, shape]) =>
    f.builder.input(name, { dtype: 'float32', shape }),
  )
  const inner = f.unary('Gelu', f.add(f.matmul(x!, w1!), b1!), { approximate: text(approximate) })
  const output = f.add(f.matmul(inner, w2!), b2!)
  return { nodes: f.builder.nodes, output, constants: new Map(), parameters: [] }
}

interface Form {
  approximate?: Approximate
  device?: Target['device']
  mode?: Mode
  /** Whether the backward pass makes the derivative again. */
  isRecomputed?: boolean
}

function graphOf(
  { approximate = 'none', device = 'cpu', mode = 'training', isRecomputed = false }: Form,
  recomputed: ReadonlyMap<string, number> = new Map(),
) {
  const f = new Formulas(new GraphBuilder(20, { device }))
  const inputs = Object.entries(fed).map(([name, type]) => f.builder.input(name, type))
  const given = new Map(inputs.map((value) => [value.name, value]))
  const { output, nodes } = addForward(f, perceptron(approximate), given, mode, recomputed)
  const slope = nodes.find(({ opType }) => opType === 'Gelu')!.outputs[1] ?? null
  if (isRecomputed && recomputed.size === 0)
    return graphOf({ approximate, isRecomputed }, new Map([[slope!.name, 0]]))
  const { nodes: needed } = f.builder.finish({ output })
  const isAhead = slope !== null && needed.some(({ outputs }) => outputs.includes(slope.name))
  return { f, inputs, nodes, output, recomputed, isAhead }
}

async function gradientsOf(form: Form) {
  const { f, inputs, nodes, output, recomputed } = graphOf(form)
  const seed = f.tensor(
    Float32Array.from({ length: 30 }, (_, index) => Math.sin(index)),
    output.shape,
  )
  const wanted = inputs.slice(1)
  const gradients = differentiate(f, nodes, output, seed, wanted, recomputed)
  const outputs = Object.fromEntries(wanted.map(({ name }, index) => [`d${name}`, gradients[index]!]))
  const executable = await backend.compile(writeModel(f.builder.finish({ ...outputs, output }, inputs)))
  const results = await executable.run(fed)
  await executable.release()
  return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, [...data]]))
}

it.each<[string, Form, boolean]>([
  ['before the next product in training', {}, true],
  ['before it in the form by tanh', { approximate: 'tanh' }, true],
  ['not at all in an evaluation', { mode: 'inference' }, false],
  ['on the way back where that makes it again', { isRecomputed: true }, false],
  ['on the way back of a graphics processor', { device: 'gpu' }, false],
])('the derivative is made %s', (_, form, isAhead) => {
  expect(graphOf(form).isAhead).toBe(isAhead)
})

it.each<Approximate>(['none', 'tanh'])(
  'gradients are the same wherever it is made: %s',
  async (approximate) => {
    const ahead = await gradientsOf({ approximate })
    expect(ahead.dw1!.every((value) => Math.abs(value) > 1e-4)).toBe(true)
    const later = await gradientsOf({ approximate, device: 'gpu' })
    for (const [name, values] of Object.entries(ahead)) {
      for (const [index, value] of values.entries()) expect(later[name]![index]).toBeCloseTo(value, 5)
    }
    expect(await gradientsOf({ approximate, isRecomputed: true })).toEqual(ahead)
  },
)
