/** Convolutions in blocks against the same ones without: losses and gradients of a model on the native backend. */
import { beforeAll, expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder } from '../../../engine/graph/graph-builder.ts'
import { ints } from '../../../engine/onnx/graph.ts'
import { readModel } from '../../../engine/onnx/read.ts'
import { float32Constant, sizeOf } from '../../../engine/onnx/types.ts'
import { writeModel } from '../../../engine/onnx/write.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import type { TrainingSpec } from '../../../engine/program/training-program.ts'
import { randomBatch } from '../../../engine/training/random-batch.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { seededRandom } from '../../../protocols/core/random.ts'
import { relativeError } from './pytorch-models.ts'

const batch = 4
/** Even, for strides of 2. */
const side = 24

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

interface Form {
  strides?: number[]
  dilations?: number[]
  pads: number[]
  /** Of the image that comes out. */
  size: number[]
}

/** conv(x·scale) + bias, from 32 to 48 channels of 24×24: two blocks and three where a block has 16. */
function convolving({ size, ...form }: Form): Uint8Array {
  const f = new Formulas(new GraphBuilder(18))
  const random = seededRandom(3)
  const weight = (name: string, shape: number[]) =>
    f.builder.constant(
      float32Constant(
        Float32Array.from({ length: sizeOf(shape) }, () => 0.1 * random.normal()),
        shape,
      ),
      name,
    )
  const x = f.builder.input('x', { dtype: 'float32', shape: [batch, 32, side, side] })
  const attributes = Object.fromEntries(Object.entries(form).map(([name, values]) => [name, ints(values)]))
  const inputs = [
    f.mul(x, weight('scale', [32, 1, 1])),
    weight('kernel', [48, 32, 3, 3]),
    weight('bias', [48]),
  ]
  const y = f.builder.emit('Conv', inputs, attributes, { dtype: 'float32', shape: [batch, 48, ...size] })
  return writeModel(f.builder.finish({ y }))
}

const spec: TrainingSpec = {
  batch,
  loss: 'mse',
  optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
}

const inBlocks = (model: Uint8Array) =>
  readModel(model).graph.nodes.filter(({ domain, opType }) => domain !== '' && opType === 'Conv').length

it.each<[string, Form, number]>([
  ['around which one row of zeros lies', { pads: [1, 1, 1, 1], size: [24, 24] }, 2],
  ['with uneven padding', { pads: [2, 0, 1, 2], size: [25, 24] }, 2],
  ['with gaps between its taps', { pads: [1, 2, 3, 2], dilations: [2, 2], size: [24, 24] }, 2],
  [
    'of every second column, whose gradient is two of them',
    { pads: [1, 1, 1, 1], strides: [1, 2], size: [24, 12] },
    3,
  ],
  [
    'of a quarter of the places, too few for itself, whose gradient is four of them',
    { pads: [1, 0, 0, 1], strides: [2, 2], size: [12, 12] },
    4,
  ],
  [
    'that ends before the image, whose gradient goes another way',
    { pads: [0, 0, 1, 0], strides: [1, 2], size: [23, 11] },
    1,
  ],
])('a convolution %s has the loss and gradients that it has without', async (_, form, count) => {
  const model = convolving(form)
  const { channelBlock } = backend
  const [plain, blocked] = await Promise.all(
    [undefined, channelBlock].map(async (block) => {
      const program = await compileProgram(model, spec, { ...backend, channelBlock: block })
      const trainer = new Trainer(program, backend)
      const result = await trainer.gradient(randomBatch(program, seededRandom(1)))
      await trainer.release()
      return { program, ...result }
    }),
  )
  expect(inBlocks(plain!.program.gradientModel)).toBe(0)
  expect(inBlocks(blocked!.program.gradientModel)).toBe(channelBlock === undefined ? 0 : count)
  expect(blocked!.loss / plain!.loss).toBeCloseTo(1, 6)
  for (const { offset, length } of plain!.program.parameters) {
    const [ours, theirs] = [blocked!, plain!].map(({ gradient }) =>
      gradient.subarray(offset, offset + length),
    )
    expect(relativeError(ours!, theirs!)).toBeLessThan(1e-5)
  }
})
