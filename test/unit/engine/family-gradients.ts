/** How far the engine's gradients of a family are from what PyTorch's autograd computed for the same batch. */
import type { Backend } from '../../../engine/backends/backend.ts'
import { compileProgram } from '../../../engine/program/compile-program.ts'
import { Trainer } from '../../../engine/training/trainer.ts'
import { type exporters, type Family, familyBatch, familyModel, familyNumbers, fixtures } from './families.ts'
import { largest, relativeError } from './pytorch-models.ts'

/** Relative differences. */
export interface Apart {
  loss: number
  /** Of each parameter's gradient and each statistic's next value, to the largest element of its tensor. */
  parameters: { name: string; error: number }[]
}

/**
 * Loss, gradients and statistics of the file of `name` in `folder` on `backend`, against PyTorch's.
 *
 * A gradient that cancels to nothing, as a bias has before a normalisation, is all rounding: that is compared with a
 * hundredth of the model's largest.
 */
export async function gradientsApart(
  name: string,
  exporter: (typeof exporters)[number],
  { family, backend, folder = fixtures }: { family: Family; backend: Backend; folder?: URL },
): Promise<Apart> {
  const batch = familyBatch(family)
  const program = await compileProgram(
    await familyModel(name, exporter, folder),
    {
      batch: batch.labels.shape[0]!,
      loss: family.loss,
      lossOptions: family.options,
      freeze: exporter === 'torchscript' ? family.buffers : [],
      optimizer: { kind: 'sgd', momentum: 0, weightDecay: 0 },
    },
    backend,
  )
  const trainer = new Trainer(program, backend)
  const { loss, gradient } = await trainer.gradient(batch)
  await trainer.release()
  const expected = familyNumbers(name, family, folder)
  const gradientMax = Math.max(...family.gradients.map(({ names }) => largest(expected.get(names[0]!)!)))
  const parameters = program.parameters.map(({ name: parameter, kind, offset, length }) => {
    const entry = gradient.subarray(offset, offset + length)
    const known = expected.get(parameter) ?? []
    const cancels = largest(known) < 1e-6 * gradientMax
    const least = cancels ? 1e-2 * gradientMax : 0
    if (kind === 'weight') return { name: parameter, error: relativeError(entry, known, least) }
    const next = entry.map((change, index) => program.initial[offset + index]! - change)
    return { name: parameter, error: relativeError(next, known) }
  })
  return { loss: Math.abs(loss / family.value - 1), parameters }
}
