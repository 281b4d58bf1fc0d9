/** The bytes of every allreduce message. A change here is a new protocol id. */

import { decode as decodeCbor, encode as encodeCbor } from '@ipld/dag-cbor'
import { sha256 } from '@noble/hashes/sha2.js'
import fc from 'fast-check'
import type { Uint8ArrayList } from 'uint8arraylist'
import { describe, expect, test } from 'vitest'
import { decodeMessage, encodeFrame, encodeMessage } from '../../protocols/allreduce/messages.ts'
import { resultIdentity } from '../../protocols/allreduce/plan/parts.ts'
import type { Plan } from '../../protocols/allreduce/plan/plan.ts'
import { encodeLists, planIdentity } from '../../protocols/allreduce/plan/plan-codec.ts'
import { sealIdentity } from '../../protocols/allreduce/plan/seal.ts'
import { wordIdentity } from '../../protocols/allreduce/round/signing.ts'
import type { Message, Word } from '../../protocols/allreduce/round/vocabulary.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { toHex } from '../../protocols/core/fields.ts'
import { frameBytesMax, partElements, partsMax } from '../../protocols/core/limits.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import { codecFor } from '../../protocols/wire/codecs/index.ts'

const digest = (byte: string) => byte.repeat(32)
const sha256Hex = (bytes: Uint8Array) => toHex(sha256(bytes))
const unmeasured = { bandwidth: undefined, place: undefined }
const ballot = { attempt: 2, leader: 'b' }
const signature = new Uint8Array(64).fill(0xab)

const plan: Plan = {
  round: 7,
  root: 'r',
  seats: 2,
  council: ['a', 'b'],
  contributors: [
    { peer: 'a', seat: 0, weight: 32, commit: digest('c1'), bandwidth: 2.5e6, place: [12, -40] },
  ],
  receivers: [{ peer: 'b', seat: 1, incarnation: 5, ...unmeasured }],
  followers: [{ peer: 'c', seat: 2 }],
  shares: [{ reducers: ['a'], firstPart: 0, partCount: 1 }],
}

const seal = { digests: [digest('d1')], absent: ['b'] }

const messages: { [Kind in Message['kind']]: Extract<Message, { kind: Kind }> } = {
  Hold: { kind: 'Hold', round: 7, root: 'r', incarnation: 5, isVoter: true, ...unmeasured },
  Commit: {
    kind: 'Commit',
    round: 7,
    root: 'r',
    incarnation: 5,
    isVoter: false,
    weight: 32,
    bandwidth: 0,
    place: [1, 2],
    digests: [digest('d1')],
  },
  Follow: { kind: 'Follow' },
  Leaving: { kind: 'Leaving' },
  Leave: { kind: 'Leave', mandate: { deputy: 'a', round: 7, incarnation: 5, promised: ballot } },
  Plan: { kind: 'Plan', round: 7, ballot, plan },
  Part: { kind: 'Part', round: 7, planId: digest('e1'), part: 3, bytes: Uint8Array.of(1, 2) },
  Sum: {
    kind: 'Sum',
    round: 7,
    planId: digest('e1'),
    part: 3,
    bitmap: Uint8Array.of(1),
    weight: 32,
    bytes: Uint8Array.of(9, 9, 9, 9),
  },
  Result: {
    kind: 'Result',
    round: 7,
    planId: digest('e1'),
    part: 3,
    bitmap: Uint8Array.of(1),
    weight: 32,
    bytes: Uint8Array.of(9),
  },
  Reassign: { kind: 'Reassign', round: 7, ballot, planId: digest('e1'), parts: [3], reducer: 'a' },
  Prepare: { kind: 'Prepare', round: 7, ballot },
  Promise: {
    kind: 'Promise',
    round: 7,
    ballot,
    accepted: { ballot, plan, ...seal },
    plan: { ballot, plan },
    have: Uint8Array.of(1),
  },
  Outbid: { kind: 'Outbid', round: 7, ballot },
  Seal: { kind: 'Seal', round: 7, ballot, planId: digest('e1'), ...seal },
  Accepted: { kind: 'Accepted', round: 7, ballot, sealDigest: digest('f1') },
  Want: { kind: 'Want', round: 7, planId: digest('e1'), part: 3, digest: undefined },
  Lacking: { kind: 'Lacking', round: 7, planId: digest('e1'), part: 3 },
  WantSeal: { kind: 'WantSeal', round: 7, sealDigest: digest('f1') },
  SealValue: { kind: 'SealValue', round: 7, plan, ...seal },
  Roster: {
    kind: 'Roster',
    round: 7,
    root: 'r',
    row: 1,
    leader: 'z',
    contributors: plan.contributors,
    receivers: plan.receivers,
    followers: plan.followers,
  },
  Votes: {
    kind: 'Votes',
    round: 7,
    ballot,
    sealDigest: digest('f1'),
    votes: [
      { voter: 'a', signature },
      { voter: 'b', signature },
    ],
  },
  Deputed: {
    kind: 'Deputed',
    round: 7,
    member: 'b',
    message: { kind: 'Accepted', round: 7, ballot, sealDigest: digest('f1') },
  },
  Relay: { kind: 'Relay', round: 7, origin: 'b', message: { kind: 'Prepare', round: 7, ballot, signature } },
}

/** Bytes in hex, with `<d1>` for a digest of 32 bytes `d1`. */
const golden: { [Kind in Message['kind']]: string } = {
  Hold: 'a7646b696e640164726f6f74617265706c616365f665726f756e640765766f746572f56962616e647769647468f66b696e6361726e6174696f6e05',
  Commit:
    'a9646b696e640264726f6f74617265706c61636582010265726f756e640765766f746572f466776569676874182067646967657374735820<d1>6962616e647769647468006b696e6361726e6174696f6e05',
  Follow: 'a1646b696e6403',
  Leaving: 'a1646b696e6416',
  Leave:
    'a2646b696e6404676d616e64617465a465726f756e64076662616c6c6f74a2666c6561646572616267617474656d7074026664657075747961616b696e6361726e6174696f6e05',
  Deputed:
    'a4646b696e641765726f756e6407666d656d6265726162676d657373616765a4646b696e640c647365616c5820<f1>65726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402',
  Plan: 'a4646b696e640564706c616ea864726f6f74617265726f756e6407657365617473026673686172657381a368726564756365727381616169666972737450617274006970617274436f756e740167636f756e63696c826161616269666f6c6c6f77657273a2657065657273816163657365617473810269726563656976657273a5657065657273816162657365617473810166706c6163657381f66a62616e6477696474687381f66c696e6361726e6174696f6e7381056c636f6e7472696275746f7273a765706163657381f6657065657273816161657365617473810066706c6163657381820c382767636f6d6d6974735820<c1>67776569676874738118206a62616e64776964746873811a002625a065726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402',
  Part: 'a5646b696e640664706172740364706c616e5820<e1>65627974657342010265726f756e6407',
  Sum: 'a7646b696e641364706172740364706c616e5820<e1>656279746573440909090965726f756e6407666269746d61704101667765696768741820',
  Result:
    'a7646b696e640764706172740364706c616e5820<e1>656279746573410965726f756e6407666269746d61704101667765696768741820',
  Reassign:
    'a6646b696e640864706c616e5820<e1>657061727473810365726f756e64076662616c6c6f74a2666c6561646572616267617474656d70740267726564756365726161',
  Prepare: 'a3646b696e640965726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402',
  Promise:
    'a664686176654101646b696e640a64706c616ea264706c616ea864726f6f74617265726f756e6407657365617473026673686172657381a368726564756365727381616169666972737450617274006970617274436f756e740167636f756e63696c826161616269666f6c6c6f77657273a2657065657273816163657365617473810269726563656976657273a5657065657273816162657365617473810166706c6163657381f66a62616e6477696474687381f66c696e6361726e6174696f6e7381056c636f6e7472696275746f7273a765706163657381f6657065657273816161657365617473810066706c6163657381820c382767636f6d6d6974735820<c1>67776569676874738118206a62616e64776964746873811a002625a06662616c6c6f74a2666c6561646572616267617474656d70740265726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402686163636570746564a464706c616ea864726f6f74617265726f756e6407657365617473026673686172657381a368726564756365727381616169666972737450617274006970617274436f756e740167636f756e63696c826161616269666f6c6c6f77657273a2657065657273816163657365617473810269726563656976657273a5657065657273816162657365617473810166706c6163657381f66a62616e6477696474687381f66c696e6361726e6174696f6e7381056c636f6e7472696275746f7273a765706163657381f6657065657273816161657365617473810066706c6163657381820c382767636f6d6d6974735820<c1>67776569676874738118206a62616e64776964746873811a002625a066616273656e748161626662616c6c6f74a2666c6561646572616267617474656d70740267646967657374735820<d1>',
  Outbid: 'a3646b696e641165726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402',
  Seal: 'a6646b696e640b64706c616e5820<e1>65726f756e640766616273656e748161626662616c6c6f74a2666c6561646572616267617474656d70740267646967657374735820<d1>',
  Accepted:
    'a4646b696e640c647365616c5820<f1>65726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402',
  Want: 'a5646b696e640d64706172740364706c616e5820<e1>65726f756e640766646967657374f6',
  Lacking: 'a4646b696e640e64706172740364706c616e5820<e1>65726f756e6407',
  WantSeal: 'a3646b696e640f647365616c5820<f1>65726f756e6407',
  SealValue:
    'a5646b696e641064706c616ea864726f6f74617265726f756e6407657365617473026673686172657381a368726564756365727381616169666972737450617274006970617274436f756e740167636f756e63696c826161616269666f6c6c6f77657273a2657065657273816163657365617473810269726563656976657273a5657065657273816162657365617473810166706c6163657381f66a62616e6477696474687381f66c696e6361726e6174696f6e7381056c636f6e7472696275746f7273a765706163657381f6657065657273816161657365617473810066706c6163657381820c382767636f6d6d6974735820<c1>67776569676874738118206a62616e64776964746873811a002625a065726f756e640766616273656e7481616267646967657374735820<d1>',
  Roster:
    'a863726f7701646b696e641264726f6f74617265726f756e6407666c6561646572617a69666f6c6c6f77657273a2657065657273816163657365617473810269726563656976657273a5657065657273816162657365617473810166706c6163657381f66a62616e6477696474687381f66c696e6361726e6174696f6e7381056c636f6e7472696275746f7273a765706163657381f6657065657273816161657365617473810066706c6163657381820c382767636f6d6d6974735820<c1>67776569676874738118206a62616e64776964746873811a002625a0',
  Votes:
    'a6646b696e6415647365616c5820<f1>65726f756e64076662616c6c6f74a2666c6561646572616267617474656d70740266766f7465727382616161626a7369676e6174757265735880<ab><ab>',
  Relay:
    'a4646b696e641465726f756e6407666f726967696e6162676d657373616765a4646b696e640965726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402697369676e61747572655840<ab>',
}

const kinds = Object.keys(messages) as Message['kind'][]

describe.each(kinds)('%s', (kind) => {
  test('has the bytes it always had', () => {
    expect(hexOf(encodeMessage(messages[kind]))).toBe(golden[kind])
  })

  test('has the same bytes in pieces', () => {
    expect(hexOf(encodeFrame(messages[kind]).subarray())).toBe(golden[kind])
  })

  test('decodes to what was encoded', () => {
    expect(decodeMessage(encodeMessage(messages[kind]))).toEqual(messages[kind])
  })

  test('with any byte changed, is another message or refused with a code', () => {
    const bytes = encodeMessage(messages[kind])
    const random = seededRandom(kinds.indexOf(kind))
    for (let i = 0; i < 500; i++) {
      const mutated = bytes.slice(0, random.next() < 0.1 ? random.integer(bytes.length) : bytes.length)
      if (mutated.length > 0) mutated[random.integer(mutated.length)] = random.integer(256)
      const code = codeOf(() => decodeMessage(mutated))
      expect(code === undefined || code === 'MESSAGE_INVALID', code).toBe(true)
    }
  })
})

test('random bytes are refused with a code', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      (bytes) => codeOf(() => decodeMessage(bytes)) === 'MESSAGE_INVALID',
    ),
  )
})

const halfSamples: Message[] = [
  { ...messages.Commit, weight: 32.5 },
  { ...messages.Sum, weight: 32.5 },
  { ...messages.Result, weight: 32.5 },
  { ...messages.Plan, plan: { ...plan, contributors: [{ ...plan.contributors[0]!, weight: 32.5 }] } },
]

test.each(halfSamples)('$kind: half a sample is no weight, since a state counts whole ones', (message) => {
  expect(() => decodeMessage(encodeMessage(message))).toThrow(/weight.* must be an integer/)
})

test('the largest part in f32, with the byte that names its coding, is taken', () => {
  const part = { ...messages.Part, bytes: codecFor('f32').encode(new Float32Array(partElements)) }
  expect(decodeMessage(encodeMessage(part))).toEqual(part)
})

test.each([0, 23, 24, 255, 256, 65_535, 65_536, 262_145])(
  '%i values go out as they lie, between the same bytes',
  (length) => {
    const bytes = new Uint8Array(length).fill(7)
    for (const message of [messages.Part, messages.Result].map((each) => ({ ...each, bytes }))) {
      const frame = encodeFrame(message)
      expect(Buffer.compare(frame.subarray(), encodeMessage(message))).toBe(0)
      expect([...(frame as Uint8ArrayList)].includes(bytes)).toBe(true)
    }
  },
)

test('the bytes of a part are a view of its frame: a vector is not copied once more', () => {
  const frame = encodeMessage(messages.Part)
  const { bytes } = decodeMessage(frame) as typeof messages.Part
  expect(bytes.buffer).toBe(frame.buffer)
  expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype)
})

test('a pace is said by a commit and repeated by a plan, and bounded in both', () => {
  const pace = { samplesPerSecond: 12.5, averagingMs: 800 }
  const commit = { ...messages.Commit, pace }
  expect(decodeMessage(encodeMessage(commit))).toEqual(commit)
  const withPace = { ...plan, contributors: plan.contributors.map((each) => ({ ...each, pace })) }
  const frozen = { ...messages.Plan, plan: withPace }
  expect(decodeMessage(encodeMessage(frozen))).toEqual(frozen)
  expect(planIdentity(withPace)).not.toEqual(planIdentity(plan))
  for (const wrong of [{ samplesPerSecond: 1e10 }, { averagingMs: -1 }, { averagingMs: 1e9 }]) {
    const message = { ...messages.Commit, pace: { ...pace, ...wrong } }
    expect(codeOf(() => decodeMessage(encodeMessage(message)))).toBe('MESSAGE_INVALID')
  }
})

test('a frame over the limit is refused before it is decoded', () => {
  expect(codeOf(() => decodeMessage(new Uint8Array(frameBytesMax + 1)))).toBe('MESSAGE_TOO_LARGE')
})

test.each<[string, Message]>([
  ['a part number past the largest model', { ...messages.Part, part: partsMax }],
  ['a part larger than one in f32', { ...messages.Part, bytes: new Uint8Array((1 << 18) + 2) }],
  ['a weight that is not finite', { ...messages.Commit, weight: 1e10 }],
  ['a negative weight', { ...messages.Commit, weight: -1 }],
  ['a negative round', { ...messages.Hold, round: -1 }],
  ['a peer id without end', { ...messages.Hold, root: 'x'.repeat(129) }],
  ['a signature longer than any', { ...messages.Prepare, signature: new Uint8Array(65) }],
  ['more votes than a council has', { ...messages.Votes, votes: Array(32).fill({ voter: 'a', signature }) }],
  ['a word that is passed on unsigned', { ...messages.Relay, message: messages.Prepare }],
  ['an attempt beyond the last', { ...messages.Prepare, ballot: { attempt: 2 ** 48 + 1, leader: 'b' } }],
])('%s is refused', (_, message) => {
  expect(codeOf(() => decodeMessage(encodeMessage(message)))).toBe('MESSAGE_INVALID')
})

test('votes with a signature too few are refused', () => {
  const fields = decodeCbor<Record<string, unknown>>(encodeMessage(messages.Votes))
  expect(codeOf(() => decodeMessage(encodeCbor(fields)))).toBeUndefined()
  expect(codeOf(() => decodeMessage(encodeCbor({ ...fields, signatures: signature })))).toBe(
    'MESSAGE_INVALID',
  )
})

test('what signatures cover is fixed to the byte', () => {
  const coveredBy = (word: Word) => hexOf(wordIdentity('job', word, sha256Hex))
  const start = `72${hexOf(new TextEncoder().encode('starling-allreduce'))}636a6f62`
  const sealDigest = sha256Hex(sealIdentity(digest('e1'), seal))
  const lists = sha256Hex(encodeCbor(encodeLists(plan)))
  // domain · job · kind · round 7 · attempt 2 · leader 'b' · what the word says
  expect(coveredBy(messages.Prepare)).toBe(`86${start}675072657061726507026162`)
  expect(coveredBy(messages.Plan)).toBe(`87${start}64506c616e070261625820${sha256Hex(planIdentity(plan))}`)
  expect(coveredBy(messages.Reassign)).toBe(`89${start}68526561737369676e070261625820<e1>81036161`)
  expect(coveredBy(messages.Seal)).toBe(`87${start}645365616c070261625820${sealDigest}`)
  expect(coveredBy(messages.Accepted)).toBe(`87${start}684163636570746564070261625820<f1>`)
  // root 'r' · row 1 · leader 'z'
  expect(coveredBy(messages.Roster)).toBe(`88${start}66526f7374657207617201617a5820${lists}`)
})

test('what digests cover is fixed to the byte', () => {
  const { planId, part, weight, bitmap, bytes } = messages.Result
  const identity = resultIdentity({ planId, part, weight, bitmap, bytes })
  // plan id · part u32 LE · weight f64 LE · bitmap length u16 LE · bitmap · mean
  expect(hexOf(identity)).toBe('<e1>03000000000000000000404001000109')
  expect(hexOf(sealIdentity(digest('e1'), seal))).toBe(
    'a364706c616e5820<e1>66616273656e7481616267646967657374735820<d1>',
  )
})

function codeOf(run: () => unknown): string | undefined {
  try {
    run()
  } catch (error) {
    return error instanceof SwarmError ? error.code : String(error)
  }
  return undefined
}

function hexOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  const named = ['c1', 'd1', 'e1', 'f1'].map((byte) => [digest(byte), byte] as const)
  return [...named, ['ab'.repeat(64), 'ab'] as const].reduce(
    (text, [bytes, name]) => text.replaceAll(bytes, `<${name}>`),
    hex,
  )
}
