/**
 * The file of a private swarm's key (peer/swarm-key.ts says what that does). The coordinator makes it at its first start;
 * its owner copies it to the machines that are invited, where a file that is missing is an error: with a key of its own
 * a machine would wait alone for ever.
 */

import { randomBytes } from 'node:crypto'
import { SwarmError } from '../../protocols/core/errors.ts'
import { isSwarmKey, type SwarmKey } from '../peer/swarm-key.ts'
import { readKeyFile, writeKeyFile } from './key-file.ts'

/** 256 bits, as many as the handshake's hash has. */
const keyBytes = 32

/**
 * The key in `path`.
 * @throws {SwarmError} NOT_FOUND when there is no such file; STORAGE_FAILED when it holds no key, others can read it, or
 * this program cannot.
 */
export async function loadSwarmKey(path: string): Promise<SwarmKey> {
  const text = await readKeyFile(path)
  if (text !== undefined) return decoded(path, text)
  throw new SwarmError('NOT_FOUND', `there is no swarm key at ${path}`, {
    hint: 'Copy it from the machine of the coordinator, which makes it: `coordinator start --swarm-key`.',
  })
}

/** The key in `path`, made and written first if there is none. @throws {SwarmError} STORAGE_FAILED. */
export async function loadOrCreateSwarmKey(path: string): Promise<SwarmKey> {
  const text = await readKeyFile(path)
  if (text !== undefined) return decoded(path, text)
  const key = randomBytes(keyBytes).toString('base64url')
  if (await writeKeyFile(path, key)) return key
  return loadOrCreateSwarmKey(path) // another process was quicker, and its key counts
}

function decoded(path: string, text: string): SwarmKey {
  if (isSwarmKey(text)) return text
  throw new SwarmError('STORAGE_FAILED', `the file ${path} holds no swarm key`, {
    hint: 'Copy it again from the machine of the coordinator: one line of 43 letters, digits, - and _.',
  })
}
