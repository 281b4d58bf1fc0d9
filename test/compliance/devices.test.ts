/**
 * What only shows across realms: WebAssembly's gradients are the same bits in Node and in a browser, with any number of
 * threads up to the batch's samples; and a graphics device that is destroyed in the middle of a task costs that task
 * nothing but time.
 */
import { afterAll, describe, expect, it, vi } from 'vitest'
import type { Backend } from '../../engine/backends/backend.ts'
import { openNativeBackend } from '../../engine/backends/native.ts'
import { SteadyTrainer } from '../../engine/compute/steady-trainer.ts'
import { compileProgram } from '../../engine/program/compile-program.ts'
import type { TrainingSpec } from '../../engine/program/training-program.ts'
import { randomBatch } from '../../engine/training/random-batch.ts'
import { Trainer } from '../../engine/training/trainer.ts'
import { openNodeCompute } from '../../node/compute/compute.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import { modelBytes, pytorchModels } from '../unit/engine/pytorch-models.ts'
import { exampleModel, seededBatch, sgdSpec } from '../unit/engine-run/example-models.ts'
import { ChromiumBackends, type Realm } from './chromium/browser.ts'

// A software device compiles each shader for seconds when other programs want the cores too.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 })

const chromium = new ChromiumBackends()

afterAll(() => chromium.close())

/** The gradient of one seeded batch in a worker thread of Node. */
async function nodeGradient(file: string, spec: TrainingSpec, threads: number): Promise<Float32Array> {
  const compute = openNodeCompute()
  const opened = await compute.open(exampleModel(file), spec, { backend: 'wasm', threads })
  const batches = [seededBatch(opened, 3)]
  const task = { mode: 'gradient', start: opened.initial, batches, learningRates: [] } as const
  const { update } = await compute.train(task)
  await compute.close()
  return update
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength)

async function gradientOn(backend: Backend, file: string, spec: TrainingSpec): Promise<Float32Array> {
  const trainer = new Trainer(await compileProgram(exampleModel(file), spec, backend), backend)
  const { gradient } = await trainer.gradient(seededBatch(trainer.program, 3))
  await trainer.release()
  return gradient
}

describe.each(['glyphs/cnn.onnx', 'shakespeare/gpt.onnx'])('wasm gradients of %s', (file) => {
  it('are the same bits in Node and in Chromium, with one, two and four threads', async () => {
    const expected = bytesOf(await nodeGradient(file, sgdSpec, 1))
    const backend = await chromium.open({ build: 'webgpu', backend: 'wasm', threads: 2 })
    expect(Buffer.compare(bytesOf(await gradientOn(backend, file, sgdSpec)), expected)).toBe(0)
    expect(Buffer.compare(bytesOf(await nodeGradient(file, sgdSpec, 4)), expected)).toBe(0)
  })
})

it('goes on training when the graphics device is destroyed under it', async () => {
  const realm: Realm = { build: 'webgpu', backend: 'webgpu', threads: 1 }
  const { file, loss_kind: loss, x } = pytorchModels.ties_first!
  const spec: TrainingSpec = { ...sgdSpec, loss, batch: x.shape[0]! }
  const train = async (backend: Backend, onStep: (index: number) => Promise<void>) => {
    const candidates = [{ name: backend.name, open: async () => backend }]
    const steady = await SteadyTrainer.open({
      model: modelBytes(file),
      spec,
      microBatch: spec.batch,
      candidates,
    })
    const { program } = steady
    const batches = [0, 1, 2].map(() => randomBatch(program, seededRandom(1), { idsBelow: 1 }))
    const end = new Float32Array(program.parameterCount)
    await steady.run(program.initial, async (trainer) => {
      await trainer.steps(batches, [0.1, 0.1, 0.1], { onStep })
      await trainer.read(end)
    })
    await steady.release()
    return { end, notes: steady.takeNotes() }
  }
  const worker = await chromium.worker(realm)
  const steps: number[] = []
  const troubled = await train(await chromium.open(realm), async (index) => {
    steps.push(index)
    if (steps.length === 2) await worker.call({ kind: 'destroyDevice' })
  })
  expect(steps).toEqual([0, 1, 0, 1, 2])
  expect(troubled.notes).toEqual(['webgpu lost its device: graphs are built anew, the task starts again'])
  const untroubled = await train(await openNativeBackend({ threads: 1 }), async () => undefined)
  for (const [index, value] of troubled.end.entries()) {
    expect(Math.abs(value - untroubled.end[index]!), `parameter ${index}`).toBeLessThan(1e-4)
  }
})
