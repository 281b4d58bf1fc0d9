/**
 * Scans are unrolled at import: the loss is what turns written out in JavaScript give, the gradients its differences.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import { expect, test } from 'vitest'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import {
  type AttributeProto,
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { float32Input, node } from './proto-nodes.ts'

const [batch, steps, width] = [2, 4, 3]

const ints = (name: string, values: readonly number[]): AttributeProto =>
  create(AttributeProtoSchema, {
    name,
    type: AttributeProto_AttributeType.INTS,
    ints: values.map(BigInt),
  })

const scanAttributes = (isBackwards: boolean) => [
  create(AttributeProtoSchema, { name: 'num_scan_inputs', type: AttributeProto_AttributeType.INT, i: 1n }),
  ints('scan_input_axes', [1]),
  ints('scan_input_directions', [Number(isBackwards)]),
  ints('scan_output_directions', [Number(isBackwards)]),
]

/**
 * h_t = tanh(w·x_t + h_{t-1}) over axis 1 of x; y = h_last + Σ_t c_t·h_t, where c counts turns of the joined h from 1.
 */
function scanModel(isBackwards: boolean): Uint8Array {
  const body = create(GraphProtoSchema, {
    name: 'body',
    input: ['h', 'x_t'].map((name) => float32Input(name, [batch, width])),
    output: ['h_next', 'h_all'].map((name) => float32Input(name, [batch, width])),
    node: [
      node('Mul', ['x_t', 'w'], 'scaled'),
      node('Add', ['scaled', 'h'], 'sum'),
      node('Tanh', ['sum'], 'h_next'),
      node('Identity', ['h_next'], 'h_all'),
    ],
  })
  const scan = create(NodeProtoSchema, {
    opType: 'Scan',
    name: 'recur',
    input: ['start', 'x'],
    output: ['last', 'all'],
    attribute: [
      ...scanAttributes(isBackwards),
      create(AttributeProtoSchema, { name: 'body', type: AttributeProto_AttributeType.GRAPH, g: body }),
    ],
  })
  const float = (name: string, dims: readonly number[], data: readonly number[]) =>
    create(TensorProtoSchema, { name, dataType: 1, dims: dims.map(BigInt), floatData: [...data] })
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ domain: '', version: 18n }],
      graph: create(GraphProtoSchema, {
        name: 'scan',
        input: [float32Input('x', [batch, steps, width])],
        output: [float32Input('y', [batch, width])],
        initializer: [
          float('w', [width], weights),
          float('start', [batch, width], new Array(batch * width).fill(0.1)),
          float('counts', [steps, 1, 1], [1, 2, 3, 4]),
          create(TensorProtoSchema, { name: 'first', dataType: 7, dims: [1n], int64Data: [0n] }),
        ],
        node: [
          scan,
          node('Mul', ['all', 'counts'], 'weighed'),
          node('ReduceSum', ['weighed', 'first'], 'added', { keepdims: 0 }),
          node('Add', ['added', 'last'], 'y'),
        ],
      }),
    }),
  )
}

const weights = [0.5, -0.8, 1.1]
const samples = Float32Array.from({ length: batch * steps * width }, (_, k) => Math.sin(1.7 * k))

/** The mean of y², turn by turn. */
function lossBy(w: readonly number[], isBackwards: boolean): number {
  const turns = Array.from({ length: steps }, (_, t) => (isBackwards ? steps - 1 - t : t))
  let sum = 0
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < width; c++) {
      let [h, y] = [Math.fround(0.1), 0]
      for (const t of turns) {
        h = Math.tanh(w[c]! * samples[(n * steps + t) * width + c]! + h)
        y += (t + 1) * h // what is scanned backwards is joined backwards
      }
      sum += (y + h) ** 2
    }
  }
  return sum / (batch * width)
}

test.each([false, true])('a recurrence over time trains, backwards: %s', async (isBackwards) => {
  const backend = await openNativeBackend({ threads: 1 })
  const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const
  const spec = { batch, loss: 'mse', freeze: ['start', 'counts'], optimizer } as const
  const program = await compileProgram(scanModel(isBackwards), spec, backend)
  expect(program.parameters.map(({ name }) => name)).toEqual(['w'])
  const trainer = new Trainer(program, backend)
  const { loss, gradient } = await trainer.gradient({
    inputs: { x: { dtype: 'float32', shape: [batch, steps, width], data: samples } },
    labels: { dtype: 'float32', shape: [batch, width], data: new Float32Array(batch * width) },
  })
  await trainer.release()
  expect(loss).toBeCloseTo(lossBy(weights, isBackwards), 4)
  for (const [index, value] of weights.entries()) {
    const at = (w: number) => lossBy(weights.with(index, w), isBackwards)
    expect(gradient[index]!).toBeCloseTo((at(value + 1e-5) - at(value - 1e-5)) / 2e-5, 3)
  }
})
