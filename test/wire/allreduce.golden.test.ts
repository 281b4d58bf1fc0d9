/** The bytes of every allreduce message. A change here is a new protocol id. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeMessage, encodeMessage } from '../../protocols/allreduce/messages.ts'
import { resultIdentity } from '../../protocols/allreduce/parts.ts'
import { type Plan, planIdentity } from '../../protocols/allreduce/plan.ts'
import { sealIdentity } from '../../protocols/allreduce/seal.ts'
import type { Message } from '../../protocols/allreduce/vocabulary.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { frameBytesMax, partElements, partsMax } from '../../protocols/core/limits.ts'
import { seededRandom } from '../../protocols/core/random.ts'
import { codecFor } from '../../protocols/wire/codecs/index.ts'

const digest = (byte: string) => byte.repeat(32)
const ballot = { attempt: 2, leader: 'b' }

const plan: Plan = {
  round: 7,
  root: 'r',
  electorate: ['a', 'b'],
  contributors: [{ peer: 'a', weight: 32, commit: digest('c1') }],
  receivers: [{ peer: 'b', incarnation: 5 }],
  followers: ['c'],
  shares: [{ reducer: 'a', firstPart: 0, partCount: 1 }],
}

const seal = { digests: [digest('d1')], members: ['a', 'b'] }

const messages: { [Kind in Message['kind']]: Extract<Message, { kind: Kind }> } = {
  Hold: { kind: 'Hold', round: 7, root: 'r', incarnation: 5, isVoter: true },
  Commit: {
    kind: 'Commit',
    round: 7,
    root: 'r',
    incarnation: 5,
    isVoter: false,
    weight: 32,
    bandwidth: undefined,
    digests: [digest('d1')],
  },
  Follow: { kind: 'Follow' },
  Leave: { kind: 'Leave' },
  Plan: { kind: 'Plan', round: 7, ballot, plan },
  Part: { kind: 'Part', round: 7, planId: digest('e1'), part: 3, bytes: Uint8Array.of(1, 2) },
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
}

/** Bytes in hex, with `<d1>` for a digest of 32 bytes `d1`. */
const golden: { [Kind in Message['kind']]: string } = {
  Hold: 'a5646b696e640164726f6f74617265726f756e640765766f746572f56b696e6361726e6174696f6e05',
  Commit:
    'a8646b696e640264726f6f74617265726f756e640765766f746572f466776569676874182067646967657374735820<d1>6962616e647769647468f66b696e6361726e6174696f6e05',
  Follow: 'a1646b696e6403',
  Leave: 'a1646b696e6404',
  Plan: 'a4646b696e640564706c616ea764726f6f74617265726f756e64076673686172657381a36772656475636572616169666972737450617274006970617274436f756e740169666f6c6c6f776572738161636972656365697665727381a2647065657261626b696e6361726e6174696f6e056a656c6563746f7261746582616161626c636f6e7472696275746f727381a36470656572616166636f6d6d69745820<c1>66776569676874182065726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402',
  Part: 'a5646b696e640664706172740364706c616e5820<e1>65627974657342010265726f756e6407',
  Result:
    'a7646b696e640764706172740364706c616e5820<e1>656279746573410965726f756e6407666269746d61704101667765696768741820',
  Reassign:
    'a6646b696e640864706c616e5820<e1>657061727473810365726f756e64076662616c6c6f74a2666c6561646572616267617474656d70740267726564756365726161',
  Prepare: 'a3646b696e640965726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402',
  Promise:
    'a664686176654101646b696e640a64706c616ea264706c616ea764726f6f74617265726f756e64076673686172657381a36772656475636572616169666972737450617274006970617274436f756e740169666f6c6c6f776572738161636972656365697665727381a2647065657261626b696e6361726e6174696f6e056a656c6563746f7261746582616161626c636f6e7472696275746f727381a36470656572616166636f6d6d69745820<c1>6677656967687418206662616c6c6f74a2666c6561646572616267617474656d70740265726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402686163636570746564a464706c616ea764726f6f74617265726f756e64076673686172657381a36772656475636572616169666972737450617274006970617274436f756e740169666f6c6c6f776572738161636972656365697665727381a2647065657261626b696e6361726e6174696f6e056a656c6563746f7261746582616161626c636f6e7472696275746f727381a36470656572616166636f6d6d69745820<c1>6677656967687418206662616c6c6f74a2666c6561646572616267617474656d70740267646967657374735820<d1>676d656d626572738261616162',
  Outbid: 'a3646b696e641165726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402',
  Seal: 'a6646b696e640b64706c616e5820<e1>65726f756e64076662616c6c6f74a2666c6561646572616267617474656d70740267646967657374735820<d1>676d656d626572738261616162',
  Accepted:
    'a4646b696e640c647365616c5820<f1>65726f756e64076662616c6c6f74a2666c6561646572616267617474656d707402',
  Want: 'a5646b696e640d64706172740364706c616e5820<e1>65726f756e640766646967657374f6',
  Lacking: 'a4646b696e640e64706172740364706c616e5820<e1>65726f756e6407',
  WantSeal: 'a3646b696e640f647365616c5820<f1>65726f756e6407',
  SealValue:
    'a5646b696e641064706c616ea764726f6f74617265726f756e64076673686172657381a36772656475636572616169666972737450617274006970617274436f756e740169666f6c6c6f776572738161636972656365697665727381a2647065657261626b696e6361726e6174696f6e056a656c6563746f7261746582616161626c636f6e7472696275746f727381a36470656572616166636f6d6d69745820<c1>66776569676874182065726f756e640767646967657374735820<d1>676d656d626572738261616162',
}

const kinds = Object.keys(messages) as Message['kind'][]

describe.each(kinds)('%s', (kind) => {
  test('has the bytes it always had', () => {
    expect(hexOf(encodeMessage(messages[kind]))).toBe(golden[kind])
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

test('the largest part in f32, with the byte that names its coding, is taken', () => {
  const part = { ...messages.Part, bytes: codecFor('f32').encode(new Float32Array(partElements)) }
  expect(decodeMessage(encodeMessage(part))).toEqual(part)
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
  ['an attempt beyond any struggle', { ...messages.Prepare, ballot: { attempt: 10_001, leader: 'b' } }],
])('%s is refused', (_, message) => {
  expect(codeOf(() => decodeMessage(encodeMessage(message)))).toBe('MESSAGE_INVALID')
})

test('what digests cover is fixed to the byte', () => {
  const { planId, part, weight, bitmap, bytes } = messages.Result
  const identity = resultIdentity({ planId, part, weight, bitmap, bytes })
  // plan id · part u32 LE · weight f64 LE · bitmap length · bitmap · mean
  expect(hexOf(identity)).toBe('<e1>030000000000000000004040010109')
  expect(hexOf(sealIdentity(digest('e1'), seal))).toBe(
    'a364706c616e5820<e1>67646967657374735820<d1>676d656d626572738261616162',
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
  return ['c1', 'd1', 'e1', 'f1'].reduce((text, byte) => text.replaceAll(digest(byte), `<${byte}>`), hex)
}
