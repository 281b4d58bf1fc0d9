/**
 * Signatures of simulated peers: a hash with a key that is the peer's own. It is quick, which a swarm of thousands
 * needs, and a liar cannot make another's as long as it calls `signatureOf` with its own name alone.
 */

import { sha512 } from '@noble/hashes/sha2.js'

const text = new TextEncoder()

/** The signature of `peer` under `bytes`: as many bytes as a real one has. */
export function signatureOf(peer: string, bytes: Uint8Array): Uint8Array {
  return sha512
    .create()
    .update(text.encode(`key of ${peer} `))
    .update(bytes)
    .digest()
}

/** True when `signature` is that of `peer` under `bytes`. */
export function isSignatureOf(peer: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  const own = signatureOf(peer, bytes)
  return own.length === signature.length && own.every((byte, index) => byte === signature[index])
}
