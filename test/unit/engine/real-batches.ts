/**
 * The batches of the two curves on real data: a hundred of CIFAR-10's JPEGs, a hundred of Tiny Shakespeare, as our own
 * readers decode them and in the order of a run. PyTorch is given the same numbers (test/fixtures/learning), so that no
 * decoder is compared.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type BatchSpec, batch } from '../../../data/batch.ts'
import type { Split } from '../../../data/data-set.ts'
import { imageFolder } from '../../../data/image-folder.ts'
import { sampleAt } from '../../../data/sampler.ts'
import { textDataSet } from '../../../data/text.ts'
import type { Batch } from '../../../protocols/core/tensor.ts'
import { storedFiles } from './stored-zip.ts'

/** Steps of a curve; each has a batch of its own. */
export const curveSteps = 100

/** Samples of a batch. */
export const realBatchSizes = { resnet18: 64, gpt: 12 } as const

export type RealCurve = keyof typeof realBatchSizes

/** CIFAR-10's own mean and deviation, as in examples/cifar/job.yaml. */
const normal = { mean: [0.4914, 0.4822, 0.4465], deviation: [0.247, 0.2435, 0.2616] }

const sampleTypes: Record<RealCurve, (size: number) => BatchSpec> = {
  resnet18: (size) => ({
    inputs: [{ name: 'image', dtype: 'float32', shape: [size, 3, 32, 32] }],
    labels: { dtype: 'int32', shape: [size] },
  }),
  gpt: (size) => ({
    inputs: [{ name: 'tokens', dtype: 'int32', shape: [size, 64] }],
    labels: { dtype: 'int32', shape: [size, 64] },
  }),
}

/** The batches of `curve`, from `folder`, which holds `cifar10-subset.zip` and `tinyshakespeare.txt`. */
export async function realBatches(curve: RealCurve, folder: string): Promise<Batch[]> {
  const split = await trainingSplit(curve, folder)
  const size = realBatchSizes[curve]
  return Array.from({ length: curveSteps }, (_, step) => {
    const indices = Array.from({ length: size }, (_, place) => sampleAt(1, split.count, step * size + place))
    return batch(split, indices, sampleTypes[curve](size))
  })
}

async function trainingSplit(curve: RealCurve, folder: string): Promise<Split> {
  if (curve === 'gpt') {
    const text = await readFile(join(folder, 'tinyshakespeare.txt'))
    return textDataSet(text, { context: 64, split: 0.9 }).train
  }
  const files = storedFiles(await readFile(join(folder, 'cifar10-subset.zip')))
  return imageFolder(files, { validation: 0.1, seed: 1, normal }).train
}
