/**
 * Signatures of libp2p identities, made and checked at once: Ed25519 (RFC 8032), whose public key stands in the peer id
 * itself (libp2p specs, peer ids).
 *
 * libp2p's own `sign` and `verify` answer later in a browser and at once in Node, by two implementations; a machine
 * must have its answer within its step, and all peers of a run the same one for the same bytes. So it is one
 * implementation everywhere, in JavaScript: 0.9 ms of a core to check and 0.4 ms to sign, a dozen times a round
 * (decision 11).
 */

import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { ed25519 } from '@noble/curves/ed25519.js'
import { SwarmError } from '../core/errors.ts'
import { signatureBytes } from '../core/limits.ts'

/** Bytes of the secret half of a private key: libp2p keeps the public one behind it. */
const secretBytes = 32

/**
 * Signs with `key`; the signature has 64 bytes.
 * @throws {SwarmError} REFUSED when the key is of another kind than Ed25519.
 */
export function signerOf(key: PrivateKey): (bytes: Uint8Array) => Uint8Array {
  if (key.type !== 'Ed25519')
    throw new SwarmError('REFUSED', `an identity with a key of kind ${key.type} cannot sign in a run`, {
      hint: 'Make the identity anew: Starling makes Ed25519 keys.',
    })
  const secret = key.raw.subarray(0, secretBytes)
  return (bytes) => ed25519.sign(bytes, secret)
}

/** True when `signature` is that of `peer` under `bytes`; false for whatever is no peer id with an Ed25519 key. */
export function verify(peer: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKeyOf(peer)
  return key !== undefined && signature.length === signatureBytes && ed25519.verify(signature, bytes, key)
}

function publicKeyOf(peer: string): Uint8Array | undefined {
  try {
    const { publicKey } = peerIdFromString(peer)
    return publicKey?.type === 'Ed25519' ? publicKey.raw : undefined
  } catch {
    return undefined // whoever it is, nobody has its key
  }
}
