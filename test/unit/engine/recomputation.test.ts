/** Recomputed activations: the same gradients out of less memory, and how much less. */
import { beforeAll, describe, expect, it } from 'vitest'
import type { Backend } from '../../../engine/backends/backend.ts'
import { openNativeBackend } from '../../../engine/backends/native.ts'
import { SteadyTrainer } from '../../../engine/compute/steady-trainer.ts'
import { differentiate } from '../../../engine/gradients/differentiate.ts'
import type { Recomputed } from '../../../engine/gradients/recall.ts'
import { neededNodes, peakBytes, stepBytes } from '../../../engine/memory.ts'
import { Formulas } from '../../../engine/onnx/formulas.ts'
import { GraphBuilder } from '../../../engine/onnx/graph-builder.ts'
import { compileProgram, type TrainingProgram } from '../../../engine/program.ts'
import { planRecomputation } from '../../../engine/recomputation.ts'
import { Trainer } from '../../../engine/trainer.ts'
import { exampleModel } from '../engine-run/example-models.ts'
import { families, familyBatch, familyModel } from './families.ts'
import { largest } from './pytorch-models.ts'

let backend: Backend
beforeAll(async () => {
  backend = await openNativeBackend({ threads: 1 })
})

const optimizer = { kind: 'sgd', momentum: 0, weightDecay: 0 } as const

/** Bytes of one value of the chain below. */
const linkBytes = 4 * 1000

/** The most bytes alive in the gradient of tanh(tanh(... x·w)), `length` times, whose forward pass is dropped as `plan` says. */
function chainPeak(length: number, plan: 'nothing' | 'everything'): number {
  const build = (recomputed: Recomputed) => {
    const f = new Formulas(new GraphBuilder(18))
    const x = f.builder.input('x', { dtype: 'float32', shape: [1000] })
    const w = f.builder.input('w', { dtype: 'float32', shape: [1] })
    let y = f.mul(x, w)
    for (let link = 0; link < length; link++) y = f.tanh(y)
    const forward = [...f.builder.nodes]
    const [gradient] = differentiate(f, forward, y, f.full([1000], 1), [w], recomputed)
    const nodes = neededNodes(f.builder.nodes, [gradient!])
    const isForward = new Set(forward)
    return {
      peak: peakBytes(nodes, [gradient!]),
      kept: {
        forward,
        backward: nodes.filter((node) => !isForward.has(node)),
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
  const trainer = Trainer.create(program, backend)
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

describe('a limit on memory', () => {
  const model = exampleModel('shakespeare/gpt.onnx')
  const spec = { optimizer, batch: 8, loss: 'softmax_cross_entropy' } as const
  let program: TrainingProgram
  const open = (memoryBytesMax: number) =>
    SteadyTrainer.open({
      model,
      spec,
      microBatch: spec.batch,
      memoryBytesMax,
      candidates: [{ name: backend.name, open: async () => backend }],
    })

  beforeAll(async () => {
    program = await compileProgram(model, spec, backend)
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
