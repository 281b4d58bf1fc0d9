/** The families that test/fixtures/families/export.py exported: models, batches, and what PyTorch computed for them. */
import { readFileSync } from 'node:fs'
import type { LossKind, LossOptions } from '../../../engine/loss/loss.ts'
import { embedExternalData } from '../../../engine/onnx/external-data.ts'
import type { Batch, Tensor } from '../../../protocols/core/tensor.ts'
import { drawIntegers, drawReals } from './generated.ts'

interface Drawn {
  seed: number
  dtype: 'float32' | 'int32'
  shape: number[]
  /** Of real numbers. */
  center: number
  scale: number
  /** Of integers. */
  bound?: number
}

export interface Family {
  loss: LossKind
  options: LossOptions
  /** Tensors that the old exporter writes as parameters, and that are none. */
  buffers: string[]
  inputs: Record<string, Drawn>
  labels: Drawn
  /** The loss. */
  value: number
  /** In the order of the file of numbers; a tied parameter has several names, of which exporters choose one. */
  gradients: { names: string[]; length: number }[]
  /** Running statistics after the batch, behind the gradients. */
  statistics: { names: string[]; length: number }[]
}

export const exporters = ['dynamo', 'torchscript'] as const

/** Those that stand beside the sources. */
export const fixtures = new URL('../../fixtures/families/', import.meta.url)

export const families = familiesIn(fixtures)

/** What the script wrote to `folder`, by name. */
export function familiesIn(folder: URL): Record<string, Family> {
  const text = readFileSync(new URL('families.json', folder), 'utf8')
  return (JSON.parse(text) as { families: Record<string, Family> }).families
}

/** The ONNX file of a family, with its weights drawn. */
export function familyModel(
  name: string,
  exporter: (typeof exporters)[number],
  folder = fixtures,
): Promise<Uint8Array> {
  return withDrawnWeights(new Uint8Array(readFileSync(new URL(`${name}.${exporter}.onnx`, folder))))
}

/** The file `bytes` with the weights whose place is a recipe of the generator; those that it holds stay. */
export function withDrawnWeights(bytes: Uint8Array): Promise<Uint8Array> {
  return embedExternalData(bytes, async (location, { length }) => {
    const [kind, seed, center, scale] = location.split('/')
    if (kind !== 'generated') throw new Error(`no recipe in '${location}'`)
    return new Uint8Array(drawReals(Number(seed), Number(center), Number(scale), length / 4).buffer)
  })
}

/** The batch that PyTorch had. Labels take the type that the loss wants. */
export function familyBatch({ inputs, labels, loss }: Family): Batch {
  const target = drawn(labels)
  const isOwn = loss === 'in_model'
  const isReal = loss !== 'softmax_cross_entropy' && target.dtype === 'int32'
  return {
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, spec]) => [name, drawn(spec)])),
    labels: isOwn
      ? drawn(inputs.labels!)
      : isReal
        ? { ...target, dtype: 'float32', data: Float32Array.from(target.data) }
        : target,
  }
}

/** What PyTorch computed for each name of `family`: gradients of parameters, next values of statistics. */
export function familyNumbers(
  name: string,
  { gradients, statistics }: Family,
  folder = fixtures,
): Map<string, Float32Array> {
  const bytes = readFileSync(new URL(`${name}.f32`, folder))
  const all = new Float32Array(new Uint8Array(bytes).buffer)
  const numbers = new Map<string, Float32Array>()
  let offset = 0
  for (const { names, length } of [...gradients, ...statistics]) {
    for (const alias of names) numbers.set(alias, all.subarray(offset, offset + length))
    offset += length
  }
  return numbers
}

/** Batch `index` of `size` samples that test/fixtures/families/curves.py drew for `name`. */
export function curveBatch(name: string, index: number, size: number): Batch {
  const { inputs, labels } = families[name]!
  const sized = (key: string, spec: Drawn): Drawn => ({
    ...spec,
    seed: crc32(`${name}.${key}.${index}`),
    shape: [size, ...spec.shape.slice(1)],
  })
  return {
    inputs: Object.fromEntries(Object.entries(inputs).map(([key, spec]) => [key, drawn(sized(key, spec))])),
    labels: drawn(sized('labels', labels)),
  }
}

/** PyTorch's losses over 100 steps, by family. */
export const curves = JSON.parse(readFileSync(new URL('curves.json', fixtures), 'utf8')) as Record<
  'resnet18' | 'gpt2',
  { batch: number; losses: number[] }
>

/** The CRC of zip files, which names a tensor's seed. */
function crc32(text: string): number {
  let crc = -1
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0)
  }
  return ~crc >>> 0
}

function drawn({ seed, dtype, shape, center, scale, bound }: Drawn): Tensor {
  const count = shape.reduce((product, size) => product * size, 1)
  return bound === undefined
    ? { dtype, shape, data: drawReals(seed, center, scale, count) }
    : { dtype, shape, data: drawIntegers(seed, bound, count) }
}
