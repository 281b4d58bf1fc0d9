/** The bytes of the shards protocol. If a test here fails, peers of this version no longer understand older ones. */

import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { hasCode } from '../../protocols/core/errors.ts'
import { blockBytesMax, frameBytesMax, wantCidsMax } from '../../protocols/core/limits.ts'
import { decodeShardMessage, encodeShardMessage, type ShardMessage } from '../../protocols/shards/messages.ts'

const cid = CID.parse('bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq')
const link = 'd82a582500015512202cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'

const golden: [ShardMessage, string][] = [
  [{ kind: 1, cids: [cid] }, 'a2646369647381<cid>646b696e6401'],
  [
    { kind: 2, cid, bytes: new TextEncoder().encode('hello') },
    'a363636964<cid>646b696e64026562797465734568656c6c6f',
  ],
  [{ kind: 3, cid }, 'a263636964<cid>646b696e6403'],
  [{ kind: 4, cids: [cid] }, 'a2646369647381<cid>646b696e6404'],
]

test.each(golden)('kind $kind has the bytes it always had', (message, hex) => {
  expect(Buffer.from(encodeShardMessage(message)).toString('hex').replaceAll(link, '<cid>')).toBe(hex)
  expect(decodeShardMessage(encodeShardMessage(message))).toEqual(message)
})

test('limits hold to the unit', () => {
  const want = (count: number): ShardMessage => ({ kind: 1, cids: Array(count).fill(cid) })
  expect(decodeShardMessage(encodeShardMessage(want(wantCidsMax)))).toEqual(want(wantCidsMax))
  const block = (size: number): Uint8Array =>
    encodeShardMessage({ kind: 2, cid, bytes: new Uint8Array(size) })
  expect(decodeShardMessage(block(blockBytesMax)).kind).toBe(2)
  for (const bytes of [
    encodeShardMessage(want(wantCidsMax + 1)),
    encodeShardMessage(want(0)),
    block(blockBytesMax + 1),
  ]) {
    expect(() => decodeShardMessage(bytes)).toThrow(expect.objectContaining({ code: 'MESSAGE_INVALID' }))
  }
  expect(() => decodeShardMessage(new Uint8Array(frameBytesMax + 1))).toThrow(
    expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
  )
})

test('mutated bytes decode to a message or give a code', () => {
  const valid = golden.map(([message]) => encodeShardMessage(message))
  const mutation = fc.record({
    bytes: fc.constantFrom(...valid),
    changes: fc.array(fc.record({ at: fc.nat(200), byte: fc.nat(255) }), { maxLength: 6 }),
    length: fc.nat(200),
  })
  let refused = 0
  fc.assert(
    fc.property(mutation, ({ bytes, changes, length }) => {
      const mutated = bytes.slice(0, Math.max(1, length))
      for (const { at, byte } of changes) mutated[at % mutated.length] = byte
      refused += isRefused(mutated)
    }),
    { numRuns: 5_000 },
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void isRefused(bytes)))
  expect(refused).toBeGreaterThan(2_000)
})

test('a tower of nested arrays is refused, not followed', () => {
  expect(isRefused(new Uint8Array(frameBytesMax).fill(0x81))).toBe(1)
})

/** 1 when refused with a code of the wire, 0 when taken; anything else is thrown. */
function isRefused(bytes: Uint8Array): number {
  try {
    decodeShardMessage(bytes)
    return 0
  } catch (error) {
    if (hasCode(error, 'MESSAGE_INVALID')) return 1
    throw error
  }
}
