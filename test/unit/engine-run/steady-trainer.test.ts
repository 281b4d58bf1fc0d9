/** What a lost device costs, or an overflow in float16: the task is begun anew, and its result is right. */
import { beforeAll, expect, it } from 'vitest'
import type { Backend, BackendName } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { SteadyTrainer } from '../../../engine/compute/steady-trainer.ts'
import type { PrecisionChoice, TrainingProgram } from '../../../engine/program/training-program.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import type { Batch } from '../../../protocols/core/tensor.ts'
import { exampleModel, seededBatch, sgdSpec } from './example-models.ts'

let native: Backend

beforeAll(async () => {
  native = await openNativeBackend({ threads: 1 })
})

/** `native` under another name, whose device is lost in the runs that `losesAt` names, counted from 0. */
function fragile(name: BackendName, losesAt: readonly number[]): { backend: Backend; losses: () => number } {
  let [runs, losses] = [0, 0]
  const backend: Backend = {
    ...native,
    name,
    compile: async (model, options) => {
      const executable = await native.compile(model, options)
      return {
        inputs: executable.inputs,
        state: executable.state,
        release: () => executable.release(),
        run: (feeds, runOptions) => {
          if (!losesAt.includes(runs++)) return executable.run(feeds, runOptions)
          losses += 1
          return Promise.reject(new SwarmError('DEVICE_LOST', 'the device was lost'))
        },
      }
    },
  }
  return { backend, losses: () => losses }
}

async function open(...backends: Backend[]): Promise<SteadyTrainer> {
  const candidates = backends.map((backend, index) => ({
    name: backend.name,
    open: async () => backend,
    isLastResort: index > 0,
  }))
  return SteadyTrainer.open({
    model: exampleModel('glyphs/cnn.onnx'),
    spec: sgdSpec,
    microBatch: 4,
    candidates,
  })
}

function openIn(precision: PrecisionChoice, backend: Backend): Promise<SteadyTrainer> {
  return SteadyTrainer.open({
    model: exampleModel('glyphs/cnn.onnx'),
    spec: { ...sgdSpec, precision },
    microBatch: 4,
    candidates: [{ name: backend.name, open: async () => backend }],
  })
}

/** Samples of which the first convolution makes what is beyond float16's 65,504. */
function overflowing(program: TrainingProgram): Batch {
  const batch = seededBatch(program, 1)
  for (const { data } of Object.values(batch.inputs)) for (const i of data.keys()) data[i]! *= 1e6
  return batch
}

function gradientOf(
  steady: SteadyTrainer,
  batch: Batch,
  { initial }: TrainingProgram,
): Promise<Float32Array> {
  return steady.run(initial, async (trainer) => (await trainer.gradient(batch)).gradient)
}

/** Three steps from the file's own parameters, and where they lead. */
async function train(
  steady: SteadyTrainer,
  { program = steady.program, signal }: { program?: TrainingProgram; signal?: AbortSignal } = {},
): Promise<Float32Array> {
  const batches = [0, 1, 2].map((seed) => seededBatch(program, seed))
  return steady.run(
    program.initial,
    async (trainer) => {
      await trainer.steps(batches, [0.1, 0.1, 0.1])
      const end = new Float32Array(program.parameterCount)
      await trainer.read(end)
      return end
    },
    { signal },
  )
}

it('begins a task anew when the device is lost in the middle of it', async () => {
  const untroubled = await open(native)
  const expected = await train(untroubled)
  const { backend, losses } = fragile('webgpu', [1])
  const steady = await open(backend)
  expect(await train(steady)).toEqual(expected)
  expect(losses()).toBe(1)
  expect(steady.takeNotes()).toEqual(['webgpu lost its device: graphs are built anew, the task starts again'])
  expect(steady.takeNotes()).toEqual([])
  await Promise.all([untroubled.release(), steady.release()])
})

it('hands over to the next candidate when the device is lost again', async () => {
  const untroubled = await open(native)
  const expected = await train(untroubled)
  const { backend, losses } = fragile('webgpu', [1, 2])
  const steady = await open(backend, native)
  expect(await train(steady)).toEqual(expected)
  expect(losses()).toBe(2)
  expect(steady.backend).toBe('native')
  expect(steady.takeNotes().at(-1)).toBe('webgpu lost its device again: native takes over')
  await Promise.all([untroubled.release(), steady.release()])
})

it('fails with the loss when no candidate is left', async () => {
  const { backend, losses } = fragile('webgpu', [0, 1])
  const steady = await open(backend)
  await expect(train(steady)).rejects.toMatchObject({ code: 'DEVICE_LOST' })
  expect(losses()).toBe(2)
  await steady.release()
})

it('makes another trainer ready after a hand-over that was cancelled', async () => {
  const untroubled = await open(native)
  const expected = await train(untroubled)
  const { backend, losses } = fragile('webgpu', [1, 2])
  const steady = await open(backend, native)
  const { program } = steady
  const signal = AbortSignal.abort(new Error('enough')) // of the hand-over: the task is deaf to it
  await expect(train(steady, { signal })).rejects.toThrow('enough')
  expect(losses()).toBe(2)
  expect(await train(steady, { program })).toEqual(expected)
  expect(steady.backend).toBe('native')
  await Promise.all([untroubled.release(), steady.release()])
})

it('gives a task that overflows float16 again in float32, and says what steps compute in', async () => {
  const [half, full] = [await openIn('float16', native), await openIn('float32', native)]
  expect(half.takeNotes()).toEqual(['steps compute in float16'])
  const { program } = full
  const batch = overflowing(program)
  expect(await gradientOf(half, batch, program)).toEqual(await gradientOf(full, batch, program))
  expect(half.program.precision).toBe('float32')
  expect(half.takeNotes()).toEqual([
    expect.stringMatching(/^steps compute in float32 from now on: loss of local step 0 is (NaN|-?Infinity)$/),
  ])
  const poor = await openIn('float16', { ...native, halfKernels: async () => null })
  expect(poor.takeNotes()).toEqual(['steps compute in float32: native has no float16'])
  await Promise.all([half.release(), full.release(), poor.release()])
})

it('makes another trainer ready after one in float32 could not be', async () => {
  let [isFull, failures] = [false, 0]
  const backend: Backend = {
    ...native,
    inferTypes: (model) => {
      if (!isFull) return native.inferTypes(model)
      failures += 1
      return Promise.reject(new SwarmError('OUT_OF_MEMORY', 'no room'))
    },
  }
  const [half, full] = [await openIn('float16', backend), await openIn('float32', native)]
  const batch = overflowing(full.program)
  const { program } = full
  isFull = true
  await expect(gradientOf(half, batch, program)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' })
  expect(failures).toBe(1)
  isFull = false
  expect(await gradientOf(half, batch, program)).toEqual(await gradientOf(full, batch, program))
  await Promise.all([half.release(), full.release()])
})

it('times steps in float16 at the scale that the first has found, and begins a run without it', async () => {
  const scales: number[] = []
  const backend: Backend = {
    ...native,
    name: 'webgpu',
    compile: async (model, options) => {
      const executable = await native.compile(model, options)
      return {
        inputs: executable.inputs,
        state: executable.state,
        release: () => executable.release(),
        run: async (feeds, runOptions) => {
          const outputs = await executable.run(feeds, runOptions)
          const scale = feeds.loss_scale?.data[0]
          if (scale === undefined) return outputs
          scales.push(scale)
          const overflow = { ...outputs.gradient_square!, data: Float32Array.of(Number.POSITIVE_INFINITY) }
          return scale > 2 ** 14 ? { ...outputs, gradient_square: overflow } : outputs
        },
      }
    },
  }
  const steady = await SteadyTrainer.open({
    model: exampleModel('glyphs/cnn.onnx'),
    spec: { ...sgdSpec, precision: 'float16' },
    microBatch: 4,
    candidates: [backend, native].map((each) => ({ name: each.name, open: async () => each })),
  })
  expect(scales.slice(0, 3)).toEqual([2 ** 16, 2 ** 15, 2 ** 14])
  expect(new Set(scales.slice(3))).toEqual(new Set(scales.length > 3 ? [2 ** 14] : []))
  expect(await steady.run(steady.program.initial, async ({ lossScale }) => lossScale)).toBe(2 ** 16)
  await steady.release()
})
