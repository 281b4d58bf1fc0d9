/** A donor fetches what the manifest promises and no more. */

import type { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { glyphs } from '../../../data/glyphs.ts'
import { encodeDataSet } from '../../../data/shards.ts'
import { fetchMaterial } from '../../../node/peer/job-material.ts'
import { createManifest, type Manifest } from '../../../protocols/jobs/manifest.ts'
import { memoryStore, putFile } from '../../../protocols/shards/index.ts'
import { manifestInit } from '../jobs/example.ts'

const { signal } = new AbortController()
const store = memoryStore()
const model = new Uint8Array(3 << 20).fill(7)
const modelCid = (await putFile(store, model)).toString()
const dataSet = glyphs({ seed: 1, train: 2_000, validation: 100 })
const encoded = await encodeDataSet(dataSet)
for (const { cid, bytes } of encoded.blocks) await store.put(cid, bytes)

const honest: Pick<Manifest, 'model' | 'data'> = {
  model: { cid: modelCid, bytes: model.byteLength, loss: 'softmax_cross_entropy' },
  data: {
    cid: encoded.root.toString(),
    bytes: encoded.bytes,
    kind: 'images',
    sampleShape: [28, 28],
    classes: 10,
    trainCount: 2_000,
    validationCount: 100,
  },
}

/** Fetches by a manifest that differs by `changes`; with the blocks that were asked for. */
function fetching(changes: { model?: Partial<Manifest['model']>; data?: Partial<Manifest['data']> } = {}) {
  const asked: string[] = []
  const read = async (cid: CID) => {
    asked.push(cid.toString())
    return (await store.get(cid))!
  }
  const manifest = createManifest({
    ...manifestInit(),
    model: { ...honest.model, ...changes.model },
    data: { ...honest.data, ...changes.data },
  })
  const material = fetchMaterial(
    {
      manifest,
      shards: {
        fetchBlock: read,
        fetch: async (cids) => {
          for await (const cid of cids) await read(cid)
        },
        fetchFile: async (root) => {
          asked.push(`file ${root}`)
          return model
        },
      },
    },
    { signal },
  )
  return { material, asked }
}

test('what is as promised is fetched', async () => {
  const { train, validation } = (await fetching().material).dataSet
  expect([train.count, validation.count]).toEqual([2_000, 100])
  expect(Buffer.compare(train.fields.x!.data as Uint8Array, dataSet.train.fields.x.data as Uint8Array)).toBe(
    0,
  )
})

test.each([
  ['model', { model: { bytes: model.byteLength - 1 } }],
  ['data', { data: { bytes: encoded.bytes - 1 } }],
])('of a %s that is one byte too large only the index is fetched', async (what, changes) => {
  const { material, asked } = fetching(changes)
  await expect(material).rejects.toMatchObject({
    code: 'LIMIT_EXCEEDED',
    message: expect.stringContaining(`the job's ${what} has`),
  })
  expect([modelCid, honest.data.cid].slice(0, asked.length)).toEqual(asked)
})

test.each<[string, Partial<Manifest['data']>]>([
  ['kind: images; its manifest says text', { kind: 'text' }],
  ['classes: 10; its manifest says 9', { classes: 9 }],
  ['training samples: 2000; its manifest says 1999', { trainCount: 1_999 }],
  ['validation samples: 100; its manifest says 101', { validationCount: 101 }],
  ['shape of a sample: 28x28; its manifest says 784', { sampleShape: [784] }],
])('data that differs from its manifest is refused: %s', async (message, data) => {
  await expect(fetching({ data }).material).rejects.toMatchObject({
    code: 'DATA_INVALID',
    message: `the data's ${message}`,
  })
})
