/** Recomputed activations: the same gradients out of less memory, and how much less. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { SteadyTrainer } from '../../../engine/compute/steady-trainer.ts'
import { differentiate } from '../../../engine/gradients/differentiate.ts'
import type { Recomputed } from '../../../engine/gradients/recall.ts'
import { Formulas } from '../../../engine/graph/formulas.ts'
import { GraphBuilder } from '../../../engine/graph/graph-builder.ts'
import { neededNodes } from '../../../engine/onnx/graph.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import { peakBytes, stepBytes } from '../../../engine/program/memory.ts'
import { planRecomputation, type Recomputation } from '../../../engine/program/recomputation.ts'
import type { TrainingProgram } from '../../../engine/program/training-program.ts'
import type { Recompile } from '../../../engine/training/lighter.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { exampleModel } from '../engine-run/example-models.ts'
import { families, familyBatch, familyModel } from './families.ts'
import { largest, relativeError } from './pytorch-models.ts'

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const

/** Bytes of one value of the chain below. */
const linkBytes = 4 * 1000

/**
 * The most bytes alive in the gradient of tanh(tanh(... x·w)), `length` times, whose forward pass is dropped as `plan`
 * says.
 */
function chainPeak(length: number, plan: 'nothing' | 'everything'): number {
  const build = (recomputed: Recomputed) => {
    const f = new Formulas(new GraphBuilder(18))
    const x = f.builder.input('x', { dtype: 'float32', shape: [1000] })
    const w = f.builder.input('w', { dtype: 'float32', shape: [1] })
    let y = f.mul(x, w)
    for (let link = 0; link < length; link++) y = f.tanh(y)
    const forward = [...f.builder.nodes]
    const [gradient] = differentiate(f, forward, y, f.full([1000], 1), [w], recomputed)
    const nodes = neededNodes(f.builder.nodes, new Set([gradient!.name]))
    const isForward = new Set(forward)
    return {
      peak: peakBytes(nodes, [gradient!]),
      kept: {
        forward,
        backward: nodes.filter((node) => !isForward.has(node)),
        unread: [],
        samples: new Set(['x']),
        isConstant: (value: { name: string }) => f.builder.constantOf(value as never) !== null,
      },
    }
  }
  const keeping = build(new Map())
  return plan === 'nothing' ? keeping.peak : build(planRecomputation(keeping.kept, plan)).peak
}

it('a chain of n values is differentiated with about 2√n of them in memory', () => {
  expect(chainPeak(100, 'nothing')).toBeGreaterThanOrEqual(100 * linkBytes)
  // kept between segments, one segment, and what the gradient of one value takes
  expect(chainPeak(100, 'everything')).toBeLessThanOrEqual((2 * Math.sqrt(100) + 6) * linkBytes)
  expect(chainPeak(900, 'everything')).toBeLessThanOrEqual((2 * Math.sqrt(900) + 6) * linkBytes)
})

/** `name` compiled to recompute as `what` says, and the gradient that it gives. */
async function gradientWith(name: string, what: 'nothing' | 'cheap' | 'everything') {
  const family = families[name]!
  const batch = familyBatch(family)
  const spec = { optimizer, batch: batch.labels.shape[0]!, loss: family.loss, lossOptions: family.options }
  const model = await familyModel(name, 'dynamo')
  let program = await compileProgram(model, spec, backend)
  const memoryBytesMax = stepBytes(program.memoryWith(what))
  program = await compileProgram(model, spec, backend, { memoryBytesMax })
  expect(program.recomputation).toBe(what)
  expect(stepBytes(program.memory)).toBe(memoryBytesMax)
  const trainer = new Trainer(program, backend)
  const { gradient, loss } = await trainer.gradient(batch)
  await trainer.release()
  return { bytes: program.memory.valueBytes, gradient, loss }
}

describe('a gradient out of recomputed values', () => {
  it.each(['unet', 'llama', 'autoencoder'])('is that of %s to the bit, in less memory', async (name) => {
    const kept = await gradientWith(name, 'nothing')
    const cheap = await gradientWith(name, 'cheap')
    const everything = await gradientWith(name, 'everything')
    expect([cheap.loss, everything.loss]).toEqual([kept.loss, kept.loss])
    expect(cheap.gradient).toEqual(kept.gradient)
    expect(everything.gradient).toEqual(kept.gradient)
    expect(cheap.bytes).toBeLessThan(kept.bytes)
    expect(everything.bytes).toBeLessThan(cheap.bytes)
  })

  it('is that of a model with Gelu up to rounding, which onnxruntime fuses when nobody else reads its parts', async () => {
    const kept = await gradientWith('bert', 'nothing')
    const { gradient } = await gradientWith('bert', 'everything')
    const error = gradient.map((value, index) => Math.abs(value - kept.gradient[index]!))
    expect(largest(error) / largest(kept.gradient)).toBeLessThan(2e-6)
  })
})

/** The backend, whose first `count` runs find no memory. */
function failing(count: number): Backend {
  let left = count
  return {
    ...backend,
    compile: async (bytes, options) => {
      const executable = await backend.compile(bytes, options)
      return {
        inputs: executable.inputs,
        state: executable.state,
        release: () => executable.release(),
        run: (feeds, runOptions) =>
          left-- > 0
            ? Promise.reject(new SwarmError('OUT_OF_MEMORY', 'there is no memory'))
            : executable.run(feeds, runOptions),
      }
    },
  }
}

describe('memory that runs out', async () => {
  const { loss, options, ...family } = families.autoencoder!
  const batch = familyBatch({ loss, options, ...family })
  const file = await familyModel('autoencoder', 'dynamo')
  const recompile: Recompile = (size, recomputationMin) =>
    compileProgram(file, { optimizer, batch: size, loss }, backend, { recomputationMin })

  /** A trainer whose first `count` runs find no memory, and the forms that its program took then. */
  async function shortOfMemory(count: number, options: { microBatchMin?: number } = {}) {
    const forms: string[] = []
    const trainer = new Trainer(await recompile(3, 'nothing'), failing(count), {
      recompile,
      onLighten: ({ recomputation, inputs }) =>
        forms.push(`${recomputation} again, ${inputs[0]!.shape[0]} samples`),
      ...options,
    })
    return { forms, trainer }
  }

  it('in a step makes more again, then takes fewer samples, and the gradient is the same', async () => {
    const [whole, lighter, single] = await Promise.all(
      [0, 1, 2].map(async (count) => {
        const { forms, trainer } = await shortOfMemory(count)
        const { gradient } = await trainer.gradient(batch)
        await trainer.release()
        return { forms, gradient }
      }),
    )
    // to make again what is cheap would save less than a tenth
    expect([whole!.forms, lighter!.forms, single!.forms]).toEqual([
      [],
      ['everything again, 3 samples'],
      ['everything again, 3 samples', 'everything again, 1 samples'],
    ])
    expect(lighter!.gradient).toEqual(whole!.gradient)
    expect(relativeError(single!.gradient, whole!.gradient)).toBeLessThan(1e-5)
  })

  it('in an evaluation, which makes nothing again, takes fewer samples', async () => {
    const { forms, trainer } = await shortOfMemory(1)
    await trainer.evaluate(batch)
    expect(forms).toEqual(['nothing again, 1 samples'])
    await trainer.release()
  })

  it('is an error where the file fixes the samples and there is no more to make again', async () => {
    const { forms, trainer } = await shortOfMemory(2, { microBatchMin: 3 })
    await expect(trainer.gradient(batch)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' })
    expect(forms).toEqual(['everything again, 3 samples'])
    await trainer.release()
  })
})

describe('a limit on memory', () => {
  const model = exampleModel('shakespeare/gpt.onnx')
  const spec = { optimizer, batch: 8, loss: 'softmax_cross_entropy' } as const
  let program: TrainingProgram
  const open = (memoryBytesMax: number, recomputationMin?: Recomputation) =>
    SteadyTrainer.open({
      model,
      spec,
      microBatch: spec.batch,
      memoryBytesMax,
      recomputationMin,
      candidates: [{ name: backend.name, open: async () => backend }],
    })

  beforeAll(async () => {
    program = await compileProgram(model, spec, backend)
  })

  it('recomputes as much as is asked for where the estimate would not', async () => {
    const steady = await open(Number.POSITIVE_INFINITY, 'everything')
    expect([steady.program.recomputation, steady.microBatch]).toEqual(['everything', 8])
    await steady.release()
  })

  it('recomputes before it cuts the batch, and no more than it must', async () => {
    const chosen: [string, number][] = []
    const [most, cheap, least] = (['nothing', 'cheap', 'everything'] as const).map((what) =>
      stepBytes(program.memoryWith(what)),
    ) as [number, number, number]
    const notes: string[] = []
    for (const bytes of [most, most - 1, cheap - 1, least - 1]) {
      const steady = await open(bytes)
      chosen.push([steady.program.recomputation, steady.microBatch])
      notes.push(...steady.takeNotes())
      expect(stepBytes(steady.program.memory)).toBeLessThanOrEqual(bytes)
      await steady.release()
    }
    expect(chosen).toEqual([
      ['nothing', 8],
      ['cheap', 8],
      ['everything', 8],
      [expect.any(String), 4],
    ])
    expect(notes).toEqual([
      expect.stringMatching(/^a step on 8 samples recomputes cheap activations, for \d+ MiB by estimate$/),
      expect.stringMatching(/^a step on 8 samples recomputes its activations, for \d+ MiB by estimate$/),
      expect.stringMatching(/^a step on 4 samples .* for \d+ MiB by estimate$/),
    ])
  })

  it('that not even one sample keeps to is refused, with what it would take', async () => {
    await expect(open(2 ** 20)).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
      message: expect.stringMatching(/^a step on one sample takes \d+ MiB by estimate; the limit is 1 MiB$/),
      hint: expect.any(String),
    })
  })
})
