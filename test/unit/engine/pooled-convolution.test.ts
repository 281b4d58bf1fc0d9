/**
 * Convolutions before poolings, computed in the parts that are pooled, against the same model without blocks. All its
 * values are small whole numbers: sums are exact, and the largest element of a window is rarely the only one.
 */
import { beforeAll, expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder, type Value } from '../../../engine/graph/graph-builder.ts'
import { ints } from '../../../engine/onnx/graph.ts'
import { readModel } from '../../../engine/onnx/read.ts'
import { float32Constant, sizeOf } from '../../../engine/onnx/types.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { Recomputation } from '../../../engine/program/recomputation.ts'
import type { TrainingSpec } from '../../../engine/program/training-program.ts'
import { randomBatch } from '../../../engine/training/random-batch.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { seededRandom } from '../../../protocols/core/random.ts'
import { relativeError } from './pytorch-models.ts'

/** So many that both convolutions are large enough for blocks. */
const batch = 16
const side = 24

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

interface Form {
  /** Of the first convolution's kernel, and of the window of the pooling behind it. */
  kernel?: [number, number]
  window?: [number, number]
  pads?: number[]
  strides?: [number, number]
  dilations?: [number, number]
  /** Whether the last pooling also tells where it found its elements. */
  hasPlaces?: boolean
  /** What stands between the convolution and the pooling. */
  between?: 'Relu' | 'nothing'
}

/**
 * Convolution, perhaps Relu, and pooling; then the same again with a 3×3 kernel and 2×2 windows, from 32 channels
 * to 48.
 */
function pooling({
  kernel = [3, 3],
  window = [2, 2],
  pads = [1, 1, 1, 1],
  strides = [1, 1],
  dilations = [1, 1],
  hasPlaces = false,
  between = 'Relu',
}: Form): Uint8Array {
  const f = new Formulas(new GraphBuilder(18))
  const random = seededRandom(3)
  const weight = (name: string, shape: number[]) => {
    const values = Float32Array.from({ length: sizeOf(shape) }, () => Math.round(0.8 * random.normal()))
    return f.builder.constant(float32Constant(values, shape), name)
  }
  const convolved = (
    x: Value,
    outputs: number,
    form: Required<Pick<Form, 'kernel' | 'pads' | 'strides' | 'dilations'>>,
  ) => {
    const shape = [0, 1].map((axis) => {
      const padded = x.shape[2 + axis]! + form.pads[axis]! + form.pads[axis + 2]!
      const reach = form.dilations[axis]! * (form.kernel[axis]! - 1) + 1
      return Math.floor((padded - reach) / form.strides[axis]!) + 1
    })
    const inputs = [x, weight('kernel', [outputs, x.shape[1]!, ...form.kernel]), weight('bias', [outputs])]
    const attributes = { pads: ints(form.pads), strides: ints(form.strides), dilations: ints(form.dilations) }
    return f.builder.emit('Conv', inputs, attributes, { dtype: 'float32', shape: [batch, outputs, ...shape] })
  }
  const pooled = (x: Value, form: [number, number]) => {
    const shape = x.shape.map((size, axis) => (axis < 2 ? size : Math.floor(size / form[axis - 2]!)))
    const attributes = { kernel_shape: ints(form), strides: ints(form) }
    const kinked = between === 'Relu' ? f.unary('Relu', x) : x
    return f.builder.emit('MaxPool', [kinked], attributes, { dtype: 'float32', shape })
  }
  /** The largest elements of 2×2 windows of `x`, each times its place. */
  const placed = (x: Value) => {
    const shape = x.shape.map((size, axis) => (axis < 2 ? size : size / 2))
    const attributes = { kernel_shape: ints([2, 2]), strides: ints([2, 2]) }
    const types = (['float32', 'int64'] as const).map((dtype) => ({ dtype, shape }))
    const [largest, places] = f.builder.node('MaxPool', [f.unary('Relu', x)], attributes, types)
    return f.mul(largest!, f.cast(places!, 'float32'))
  }
  const x = f.builder.input('x', { dtype: 'float32', shape: [batch, 2, side, side] })
  const first = pooled(convolved(f.unary('Sign', x), 32, { kernel, pads, strides, dilations }), window)
  const second = convolved(first, 48, {
    kernel: [3, 3],
    pads: [1, 1, 1, 1],
    strides: [1, 1],
    dilations: [1, 1],
  })
  return writeModel(f.builder.finish({ y: hasPlaces ? placed(second) : pooled(second, [2, 2]) }))
}

const spec: TrainingSpec = {
  batch,
  loss: 'mse',
  optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
}

/** The gradient of `model` with blocks of `channelBlock` channels, and how often its graph takes what maximum. */
async function gradientOf(
  model: Uint8Array,
  channelBlock: number | undefined,
  what: Recomputation = 'nothing',
) {
  const inference = { ...backend, channelBlock }
  const program = await compileProgram(model, spec, inference, { recomputationMin: what })
  expect(program.recomputation).toBe(what)
  const trainer = new Trainer(program, backend)
  const result = await trainer.gradient(randomBatch(program, seededRandom(1)))
  await trainer.release()
  const { nodes } = readModel(program.gradientModel).graph
  const count = (wanted: string) => nodes.filter(({ opType }) => opType === wanted).length
  return { program, ...result, poolings: count('MaxPool'), maxima: count('Max') }
}

it.each<[string, Form, number]>([
  ['with a Relu between', {}, 0],
  ['without a Relu', { between: 'nothing' }, 0],
  ['of 5×5 under windows of 3×2', { kernel: [5, 5], window: [3, 2], pads: [2, 2, 2, 2] }, 0],
  ['with uneven padding, of every second row', { kernel: [4, 3], pads: [2, 1, 1, 1], strides: [2, 1] }, 0],
  ['with gaps between its taps', { dilations: [2, 1], pads: [2, 1, 2, 1] }, 0],
  ['whose places are read too', { hasPlaces: true }, 1],
  ['under windows of one row', { window: [1, 2] }, 1],
  ['with too little padding for its last part, pooled as a whole', { pads: [0, 1, 2, 1] }, 1],
])(
  'a convolution %s, pooled, has the loss and gradients that it has without blocks',
  async (_, form, whole) => {
    const model = pooling(form)
    const [plain, blocked] = [
      await gradientOf(model, undefined),
      await gradientOf(model, backend.channelBlock),
    ]
    expect(plain.poolings).toBe(4) // and one in the gradient of each
    expect(blocked.poolings).toBe(backend.channelBlock === undefined ? 4 : 2 * whole)
    expect(blocked.loss).toBe(plain.loss)
    for (const { offset, length } of plain.program.parameters) {
      const [ours, theirs] = [blocked, plain].map(({ gradient }) =>
        gradient.subarray(offset, offset + length),
      )
      expect(relativeError(ours!, theirs!)).toBeLessThan(1e-5)
    }
  },
)

it.each<Recomputation>(['cheap', 'everything'])(
  'recomputing %s changes no bit of such a gradient',
  async (what) => {
    const model = pooling({})
    const [kept, made] = [
      await gradientOf(model, backend.channelBlock),
      await gradientOf(model, backend.channelBlock, what),
    ]
    expect(made.maxima > kept.maxima).toBe(backend.channelBlock !== undefined)
    expect(made.loss).toBe(kept.loss)
    expect(made.gradient).toEqual(kept.gradient)
  },
)
