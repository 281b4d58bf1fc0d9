/** The bytes of HELLO. If a test here fails, peers of this version no longer understand older ones. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasCode } from '../../protocols/core/errors.ts'
import {
  gossipBytesMax,
  gossipFrameBytesMax,
  helloAddressesMax,
  helloExpiryMs,
  helloIntervalMs,
} from '../../protocols/core/limits.ts'
import { decodeHello, encodeHello, type Hello } from '../../protocols/discovery/messages.ts'
import { encodeMessage } from '../../protocols/wire/message.ts'

const hello: Hello = {
  kind: 1,
  issued: 1_800_000_000_000,
  expires: 1_800_000_060_000,
  addresses: ['/ip4/192.0.2.1/tcp/4001/p2p/12D3KooWAbc'],
  role: 'node',
  backend: 'wasm',
  threads: 2,
  clientOnly: false,
  job: { job: 'bafyjob', round: 3, root: 'bafyroot', weight: 960 },
}

const fullHex =
  'a9636a6f62a4636a6f6267626166796a6f6264726f6f746862616679726f6f7465726f756e6403667765696768741903' +
  'c0646b696e640164726f6c65646e6f6465666973737565641b000001a3185c5000676261636b656e64647761736d6765' +
  '7870697265731b000001a3185d3a60677468726561647302696164647265737365738178272f6970342f3139322e302e' +
  '322e312f7463702f343030312f7032702f313244334b6f6f574162636a636c69656e744f6e6c79f4'

const bareHex =
  'a8646b696e640164726f6c65646e6f6465666973737565641b000001a3185c5000676261636b656e64647761736d6765' +
  '7870697265731b000001a3185d3a6067746872656164730269616464726573736573806a636c69656e744f6e6c79f4'

test('a full HELLO and a bare one have the bytes they always had', () => {
  const bare: Hello = { ...hello, addresses: [], job: undefined }
  expect(Buffer.from(encodeHello(hello)).toString('hex')).toBe(fullHex)
  expect(Buffer.from(encodeHello(bare)).toString('hex')).toBe(bareHex)
  expect(decodeHello(encodeHello(hello))).toEqual(hello)
  expect(decodeHello(encodeHello(bare))).toEqual(bare)
})

test('a HELLO with coordinates comes back as it was', () => {
  const placed: Hello = { ...hello, coordinates: { x: -12.5, y: 4_000, height: 7, error: 0.25 } }
  expect(decodeHello(encodeHello(placed))).toEqual(placed)
})

test.each<[string, object]>([
  ['an unknown field', { more: 1 }],
  ['a place beyond the earth', { coordinates: { x: 4_001, y: 0, height: 1, error: 1 } }],
  ['a place that is no number', { coordinates: { x: 'far', y: 0, height: 1, error: 1 } }],
  ['coordinates that are too sure', { coordinates: { x: 0, y: 0, height: 1, error: 0 } }],
  ['another kind', { kind: 2 }],
  ['an unknown role', { role: 'king' }],
  ['a negative round', { job: { ...hello.job, round: -1 } }],
  ['a weight that is no number', { job: { ...hello.job, weight: 'much' } }],
  ['a life longer than allowed', { expires: hello.issued + helloExpiryMs + 1 }],
  ['an end before its beginning', { expires: hello.issued - 1 }],
  ['an address too many', { addresses: Array(helloAddressesMax + 1).fill('/ip4/192.0.2.1/tcp/1') }],
  ['an address too long', { addresses: ['/'.repeat(513)] }],
  ['a fraction of a thread', { threads: 1.5 }],
])('a HELLO with %s is refused', (_, change) => {
  expect(() => decodeHello(encodeMessage({ ...hello, ...change }))).toThrow(
    expect.objectContaining({ code: 'MESSAGE_INVALID' }),
  )
})

test('a HELLO over the size of a gossip message is refused before it is decoded', () => {
  expect(() => decodeHello(new Uint8Array(gossipBytesMax + 1))).toThrow(
    expect.objectContaining({ code: 'MESSAGE_TOO_LARGE' }),
  )
})

test('mutated bytes decode to a HELLO or give a code', () => {
  const valid = encodeHello(hello)
  const changes = fc.array(fc.record({ at: fc.nat(valid.length - 1), byte: fc.nat(255) }), {
    minLength: 1,
    maxLength: 5,
  })
  let refused = 0
  fc.assert(
    fc.property(changes, fc.nat(valid.length), (edits, length) => {
      const mutated = valid.slice(0, length)
      for (const { at, byte } of edits) if (at < length) mutated[at] = byte
      try {
        decodeHello(mutated)
      } catch (error) {
        if (!hasCode(error, 'MESSAGE_INVALID')) throw error
        refused++
      }
    }),
    { numRuns: 5_000 },
  )
  expect(refused).toBeGreaterThan(2_000)
})

test('what 10,000 peers say in the seconds that gossip remembers fits one frame', () => {
  const signedBytes = encodeHello(hello).length + 250 // key, signature, topic and number of a gossiped message
  const rememberedMs = 5_000
  expect((10_000 * rememberedMs * signedBytes) / helloIntervalMs).toBeLessThan(gossipFrameBytesMax)
})
