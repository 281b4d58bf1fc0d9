/**
 * A peer's identity: an Ed25519 key in a file of its own (key-file.ts). Who has the key is the peer; the peer id is
 * derived from it. The file holds the key in libp2p's protobuf form, as base64.
 */

import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { SwarmError } from '../../protocols/core/errors.ts'
import { readKeyFile, writeKeyFile } from './key-file.ts'

/**
 * The key in `path`, made and written first if there is none.
 * @throws {SwarmError} STORAGE_FAILED when the file holds no key, is readable by others, or cannot be read or written.
 */
export async function loadOrCreateIdentity(path: string): Promise<PrivateKey> {
  const text = await readKeyFile(path)
  if (text !== undefined) return decodeKey(path, text)
  const key = await generateKeyPair('Ed25519')
  if (await writeKeyFile(path, Buffer.from(privateKeyToProtobuf(key)).toString('base64'))) return key
  return loadOrCreateIdentity(path) // another process was quicker, and its key counts
}

function decodeKey(path: string, text: string): PrivateKey {
  try {
    const key = privateKeyFromProtobuf(Uint8Array.from(Buffer.from(text, 'base64')))
    if (key.type === 'Ed25519') return key
  } catch (error) {
    throw corrupt(path, error)
  }
  throw corrupt(path, undefined)
}

function corrupt(path: string, cause: unknown): SwarmError {
  return new SwarmError('STORAGE_FAILED', `the key file ${path} holds no Ed25519 key`, {
    cause,
    hint: 'Restore it from a backup, or delete it: the peer then gets a new identity.',
  })
}
