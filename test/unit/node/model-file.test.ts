/** Models whose weights lie in other files: read from their own folder, and from nowhere else. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
} from '../../../engine/onnx/generated/onnx_pb.ts'
import { readModel } from '../../../engine/onnx/read.ts'
import { readModelFile } from '../../../node/job/model-file.ts'
import { modelBytes } from '../engine/pytorch-models.ts'

const whole = modelBytes('ties_first.onnx')
const weights = readModel(whole).graph.constants

/** The model's folder, and the one that it lies in. */
let folder: string
let around: string
beforeEach(async () => {
  around = await mkdtemp(join(tmpdir(), 'starling-model-'))
  folder = join(around, 'model')
  await mkdir(join(folder, 'data'), { recursive: true })
})
afterEach(() => rm(around, { recursive: true }))

/** Writes the model with the weight `name` said to be at `entries`. */
async function writeExternal(name: string, entries: Record<string, string>): Promise<string> {
  const file = fromBinary(ModelProtoSchema, whole)
  const tensor = file.graph!.initializer.find((initializer) => initializer.name === name)!
  tensor.rawData = new Uint8Array(0)
  tensor.dataLocation = TensorProto_DataLocation.EXTERNAL
  tensor.externalData = Object.entries(entries).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  )
  const path = join(folder, 'model.onnx')
  await writeFile(path, toBinary(ModelProtoSchema, file))
  return path
}

const fc = new Uint8Array(weights.get('fc.weight')!.data.slice().buffer)

test('a weight at an offset of a file in a folder below is read into the model', async () => {
  await writeFile(join(folder, 'data', 'weights.bin'), new Uint8Array([...new Uint8Array(16), ...fc]))
  const path = await writeExternal('fc.weight', {
    location: 'data/weights.bin',
    offset: '16',
    length: `${fc.length}`,
  })
  expect(readModel(await readModelFile(path)).graph.constants).toEqual(weights)
})

test.each([
  ['goes up', { location: '../secret.bin' }, 'REFUSED', 'outside of its folder'],
  ['is absolute', { location: '/etc/passwd' }, 'REFUSED', 'outside of its folder'],
  ['is a link that leads out', { location: 'link.bin' }, 'REFUSED', 'outside of its folder'],
  ['is not there', { location: 'nothing.bin' }, 'NOT_FOUND', 'nothing.bin'],
  ['is too short', { location: 'short.bin' }, 'MODEL_INVALID', 'short.bin has 8 bytes'],
  ['has another length than its shape', { location: 'short.bin', length: '8' }, 'MODEL_INVALID', 'the range'],
  ['starts before its file', { location: 'short.bin', offset: '-4' }, 'MODEL_INVALID', 'the range'],
])('a data file that %s is refused', async (_, entries, code, message) => {
  await writeFile(join(folder, '..', 'secret.bin'), fc)
  await symlink(join(folder, '..', 'secret.bin'), join(folder, 'link.bin'))
  await writeFile(join(folder, 'short.bin'), new Uint8Array(8))
  const path = await writeExternal('fc.weight', entries as Record<string, string>)
  await expect(readModelFile(path)).rejects.toMatchObject({ code, message: expect.stringContaining(message) })
})
