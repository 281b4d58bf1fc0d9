/**
 * How far a training step is from the limit: three times the model's own forward pass (one forward, two products of the same
 * size for each on the way back), both on onnxruntime, same batch, same threads, same run.
 *
 * The two are measured in alternation and compared within each round, so that a machine that slows down half-way slows
 * both. A round's time is the best of its repeats, since other programs only ever add time; across rounds median, tenth and
 * ninetieth percentile are given.
 */
import { readFile } from 'node:fs/promises'
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-common'
import * as onnxruntimeNode from 'onnxruntime-node'
import * as onnxruntimeWeb from 'onnxruntime-web'
import type { Backend } from '../engine/backends/backend.ts'
import { openNativeBackend } from '../engine/backends/native.ts'
import type { OrtRuntime } from '../engine/backends/session.ts'
import { openWasmBackend } from '../engine/backends/wasm.ts'
import { compileProgram, type TrainingProgram, type TrainingSpec } from '../engine/program.ts'
import { Trainer } from '../engine/trainer.ts'
import { type Random, seededRandom } from '../protocols/core/random.ts'
import type { Batch, Tensor } from '../protocols/core/tensor.ts'

/** One line of the result. Times in milliseconds; ratios are to three forward passes, so 1 is the limit. */
export interface StepRow {
  model: string
  backend: 'native' | 'wasm'
  threads: number
  batch: number
  forward_ms: number
  gradient_ms: number
  step_ms: number
  gradient_ratio: number
  step_ratio: number
  step_ratio_p10: number
  step_ratio_p90: number
}

interface ModelCase {
  name: string
  file: URL
  spec: TrainingSpec
  repeats: number
}

const rounds = 15

const models: readonly ModelCase[] = [
  {
    name: 'mnist cnn',
    file: new URL('../examples/mnist/cnn.onnx', import.meta.url),
    spec: {
      batch: 32,
      loss: 'softmax_cross_entropy',
      optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 0 },
    },
    repeats: 20,
  },
  {
    name: 'shakespeare gpt',
    file: new URL('../examples/shakespeare/gpt.onnx', import.meta.url),
    spec: {
      batch: 8,
      loss: 'softmax_cross_entropy',
      optimizer: { kind: 'adamw', beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1 },
    },
    repeats: 3,
  },
]

interface Setting {
  backend: 'native' | 'wasm'
  threads: number
  runtime: OrtRuntime
  open(): Promise<Backend>
}

/** WebAssembly has one row: its thread count is fixed by the first model that the process loads. */
const settings: readonly Setting[] = [
  nativeSetting(1),
  nativeSetting(2),
  {
    backend: 'wasm',
    threads: 1,
    runtime: onnxruntimeWeb,
    open: async () => openWasmBackend(onnxruntimeWeb, { threads: 1 }),
  },
]

function nativeSetting(threads: number): Setting {
  return { backend: 'native', threads, runtime: onnxruntimeNode, open: () => openNativeBackend({ threads }) }
}

/** Measures every model in every setting, about a minute in all; prints a line for each unless `json`. */
export async function benchStep({
  json,
  signal,
}: {
  json: boolean
  signal?: AbortSignal
}): Promise<StepRow[]> {
  const rows: StepRow[] = []
  for (const model of models) {
    for (const setting of settings) {
      const row = await measure(model, setting, signal)
      rows.push(row)
      if (!json) console.log(lineOf(row))
    }
  }
  return rows
}

async function measure(
  model: ModelCase,
  setting: Setting,
  signal: AbortSignal | undefined,
): Promise<StepRow> {
  const bytes = new Uint8Array(await readFile(model.file))
  const backend = await setting.open()
  const program = await compileProgram(bytes, model.spec, backend)
  const batch = randomBatch(program, seededRandom(1))
  const trainer = Trainer.create(program, backend)
  const forward = await forwardPass(bytes, setting, batch)
  const into = new Float32Array(program.parameterCount)
  const subjects = [
    () => forward.run(),
    () => trainer.gradient(batch, { into }),
    () => trainer.steps([batch], [1e-4]),
  ]
  const times = await interleaved(subjects, model.repeats, signal)
  await Promise.all([trainer.release(), forward.release()])
  const [forwards, gradients, steps] = times as [number[], number[], number[]]
  const ratios = steps.map((step, round) => step / (3 * forwards[round]!))
  return {
    model: model.name,
    backend: setting.backend,
    threads: setting.threads,
    batch: model.spec.batch,
    forward_ms: quantile(forwards, 0.5),
    gradient_ms: quantile(gradients, 0.5),
    step_ms: quantile(steps, 0.5),
    gradient_ratio: quantile(
      gradients.map((gradient, round) => gradient / (3 * forwards[round]!)),
      0.5,
    ),
    step_ratio: quantile(ratios, 0.5),
    step_ratio_p10: quantile(ratios, 0.1),
    step_ratio_p90: quantile(ratios, 0.9),
  }
}

/** For each subject the best time of each round, in ms. The first round warms up and is not counted. */
async function interleaved(
  subjects: readonly (() => Promise<unknown>)[],
  repeats: number,
  signal: AbortSignal | undefined,
): Promise<number[][]> {
  const times: number[][] = subjects.map(() => [])
  for (let round = -1; round < rounds; round++) {
    for (const [index, subject] of subjects.entries()) {
      let best = Number.POSITIVE_INFINITY
      for (let repeat = 0; repeat < repeats; repeat++) {
        signal?.throwIfAborted()
        const startedAt = performance.now()
        await subject()
        best = Math.min(best, performance.now() - startedAt)
      }
      if (round >= 0) times[index]!.push(best)
    }
  }
  return times
}

/** The model file itself, by onnxruntime with its own defaults, nothing of ours in between. */
async function forwardPass(bytes: Uint8Array, { runtime, threads, backend }: Setting, batch: Batch) {
  const session = await runtime.InferenceSession.create(bytes, {
    executionProviders: [backend === 'wasm' ? 'wasm' : 'cpu'],
    intraOpNumThreads: threads,
    logSeverityLevel: 4,
  })
  const feeds: Record<string, OrtTensor> = {}
  for (const value of session.inputMetadata) {
    feeds[value.name] = asModelTakes(runtime, value, batch.inputs[value.name]!)
  }
  return { run: () => session.run(feeds), release: () => session.release() }
}

/** Training graphs take token ids as int32; the model file may ask for int64. */
function asModelTakes(runtime: OrtRuntime, value: InferenceSession.ValueMetadata, tensor: Tensor): OrtTensor {
  if (value.isTensor && value.type === 'int64') {
    return new runtime.Tensor('int64', BigInt64Array.from(tensor.data as Int32Array, BigInt), tensor.shape)
  }
  return tensor.dtype === 'float32'
    ? new runtime.Tensor('float32', tensor.data as Float32Array, tensor.shape)
    : new runtime.Tensor('int32', tensor.data as Int32Array, tensor.shape)
}

function randomBatch({ inputs, labels, classes }: TrainingProgram, random: Random): Batch {
  const fill = (
    { dtype, shape }: { dtype: 'float32' | 'int32'; shape: readonly number[] },
    bound: number,
  ): Tensor => {
    const length = shape.reduce((product, size) => product * size, 1)
    return dtype === 'float32'
      ? { dtype, shape, data: Float32Array.from({ length }, () => random.next()) }
      : { dtype, shape, data: Int32Array.from({ length }, () => random.integer(bound)) }
  }
  const bound = classes ?? 1
  const samples = inputs.map((input) => [input.name, fill(input, bound)] as const)
  return { inputs: Object.fromEntries(samples), labels: fill(labels, bound) }
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.round(share * (sorted.length - 1))]!
}

function lineOf(row: StepRow): string {
  const ms = (value: number) => `${value.toFixed(2)} ms`
  return (
    `${row.model}, ${row.backend} ${row.threads}t, batch ${row.batch}: forward ${ms(row.forward_ms)}, ` +
    `gradient ${ms(row.gradient_ms)} (${row.gradient_ratio.toFixed(2)} of 3 forwards), step ${ms(row.step_ms)} ` +
    `(${row.step_ratio.toFixed(2)}, ${row.step_ratio_p10.toFixed(2)} to ${row.step_ratio_p90.toFixed(2)})`
  )
}
