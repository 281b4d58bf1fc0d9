/** Signatures of libp2p identities: the same bytes as libp2p's own, and nothing that anybody sends makes them throw. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, test } from 'vitest'
import { signerOf, verify } from '../../../protocols/allreduce/signatures.ts'

const bytes = Uint8Array.of(1, 2, 3)

test("a signature is the one that libp2p's own keys make, and take", async () => {
  const key = await generateKeyPair('Ed25519')
  const signature = signerOf(key)(bytes)
  expect(signature).toEqual(new Uint8Array(await key.sign(bytes)))
  expect(await key.publicKey.verify(bytes, signature)).toBe(true)
  expect(verify(peerIdFromPrivateKey(key).toString(), bytes, signature)).toBe(true)
})

test('a signature is one peer’s, under one text', async () => {
  const [key, other] = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')]
  const self = peerIdFromPrivateKey(key).toString()
  const signature = signerOf(key)(bytes)
  expect(verify(peerIdFromPrivateKey(other).toString(), bytes, signature)).toBe(false)
  expect(verify(self, Uint8Array.of(1, 2, 4), signature)).toBe(false)
  for (const place of [0, 31, 32, 63]) {
    const changed = signature.slice()
    changed[place]! ^= 1
    expect(verify(self, bytes, changed), `byte ${place}`).toBe(false)
  }
})

test.each(['', 'nobody', '12D3KooW', 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N', '1'.repeat(128)])(
  'nobody can sign for %j, which has no key to check with',
  (peer) => {
    expect(verify(peer, bytes, new Uint8Array(64))).toBe(false)
  },
)

test.each([0, 63, 65])('%i bytes are no signature', async (length) => {
  const self = peerIdFromPrivateKey(await generateKeyPair('Ed25519')).toString()
  expect(verify(self, bytes, new Uint8Array(length))).toBe(false)
})

test('an identity with another kind of key is refused with a remedy', async () => {
  const key = await generateKeyPair('secp256k1')
  expect(() => signerOf(key)).toThrow(
    expect.objectContaining({ code: 'REFUSED', message: expect.stringContaining('secp256k1') }),
  )
})
