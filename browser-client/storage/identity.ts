/**
 * Who this tab is: an Ed25519 key in IndexedDB, in libp2p's protobuf form. It stays when the tab is reloaded, so a
 * donor who comes back is the same peer. Whoever can run scripts of this origin can read it; it signs nothing but this
 * tab's own words.
 */

import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { get, set } from 'idb-keyval'
import { unlessRefused } from './refusal.ts'

/** Under this name in the origin's key-value store. */
const identityKey = 'starling/identity'

/** The kept key, made and kept first if there is none. One that cannot be kept serves until the tab is closed. */
export async function loadOrCreateIdentity(): Promise<PrivateKey> {
  const bytes = await unlessRefused(() => get<Uint8Array>(identityKey))
  const kept = bytes === undefined ? undefined : decode(bytes)
  if (kept !== undefined) return kept
  const key = await generateKeyPair('Ed25519')
  await unlessRefused(() => set(identityKey, privateKeyToProtobuf(key)))
  return key
}

/** `undefined` for what is no key: a half-written or foreign value, which is replaced. */
function decode(bytes: Uint8Array): PrivateKey | undefined {
  try {
    return privateKeyFromProtobuf(bytes)
  } catch {
    return undefined
  }
}
