/** A card says what its manifest says, survives JSON, and refuses whatever else a server may answer. */

import { expect, test } from 'vitest'
import { decodeJobCard, jobCard } from '../../../protocols/jobs/card.ts'
import { createManifest } from '../../../protocols/jobs/manifest.ts'
import { created, manifestInit, ownerId, root } from './example.ts'

const card = jobCard({ job: root, manifest: createManifest(manifestInit()) })

test('a card is what the manifest tells a donor', () => {
  expect(card).toMatchObject({
    job: root,
    name: 'glyphs-cnn',
    description: 'Ten generated characters',
    owner: ownerId,
    created,
    modelBytes: 107_000,
    dataBytes: 11_000_000,
    dataKind: 'images',
    peersMin: 3,
    roundsMax: 200,
    minutesMax: 10,
    targetLoss: null,
    targetAccuracy: 0.97,
    codec: 'int8',
  })
})

test('a card travels as JSON', () => {
  expect(decodeJobCard(JSON.parse(JSON.stringify(card)))).toEqual(card)
  const lossTarget = { ...card, description: null, targetLoss: 0.1, targetAccuracy: null }
  expect(decodeJobCard(JSON.parse(JSON.stringify(lossTarget)))).toEqual(lossTarget)
})

test.each([
  ['no object', null, 'dataKind'],
  ['a kind of data that nobody knows', { ...card, dataKind: 'video' }, 'dataKind'],
  ['no owner', { ...card, owner: undefined }, 'owner'],
  ['a name of 501 characters', { ...card, name: 'x'.repeat(501) }, 'name'],
  ['a negative size', { ...card, modelBytes: -1 }, 'modelBytes'],
  ['a size that is text', { ...card, dataBytes: '11 MB' }, 'dataBytes'],
])('%s is refused, naming the field', (_name, value, field) => {
  expect(() => decodeJobCard(value)).toThrow(
    expect.objectContaining({ code: 'MESSAGE_INVALID', message: expect.stringContaining(` ${field} `) }),
  )
})
