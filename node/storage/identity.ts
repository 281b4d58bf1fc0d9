/**
 * A peer's identity: an Ed25519 key in a file of its own, readable by its owner only. Who has the key is the peer; the
 * peer id is derived from it. The file holds the key in libp2p's protobuf form, as base64 on one line.
 */

import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { SwarmError } from '../../protocols/core/errors.ts'

/** Owner may read and write, nobody else anything. */
const privateMode = 0o600

/**
 * The key in `path`, made and written first if there is none.
 * @throws {SwarmError} STORAGE_FAILED when the file holds no key, is readable by others, or cannot be read or written.
 */
export async function loadOrCreateIdentity(path: string): Promise<PrivateKey> {
  const text = await readKeyFile(path)
  if (text !== undefined) return decodeKey(path, text)
  const key = await generateKeyPair('Ed25519')
  if (await writeKeyFile(path, key)) return key
  return loadOrCreateIdentity(path) // another process was quicker, and its key counts
}

async function readKeyFile(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path)
    if ((mode & 0o077) !== 0 && process.platform !== 'win32') {
      const octal = (mode & 0o777).toString(8)
      throw new SwarmError('STORAGE_FAILED', `the key file ${path} is open to others (mode ${octal})`, {
        hint: `Run: chmod 600 ${path}`,
      })
    }
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    if (error instanceof SwarmError) throw error
    throw new SwarmError('STORAGE_FAILED', `cannot read the key file ${path}`, {
      cause: error,
      hint: 'Check the permissions of the file and of its folder.',
    })
  }
}

function decodeKey(path: string, text: string): PrivateKey {
  try {
    const key = privateKeyFromProtobuf(Uint8Array.from(Buffer.from(text.trim(), 'base64')))
    if (key.type === 'Ed25519') return key
  } catch (error) {
    throw corrupt(path, error)
  }
  throw corrupt(path, undefined)
}

/** False when the file is there already. It appears whole: another process may be about to read it. */
async function writeKeyFile(path: string, key: PrivateKey): Promise<boolean> {
  const text = `${Buffer.from(privateKeyToProtobuf(key)).toString('base64')}\n`
  const temporary = `${path}.${randomUUID()}`
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(temporary, text, { mode: privateMode, flag: 'wx', flush: true })
    await link(temporary, path) // fails where rename would replace
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new SwarmError('STORAGE_FAILED', `cannot write the key file ${path}`, {
      cause: error,
      hint: 'Check that the folder exists, is writable, and that the disk is not full.',
    })
  } finally {
    await rm(temporary, { force: true }).catch(() => {})
  }
}

function corrupt(path: string, cause: unknown): SwarmError {
  return new SwarmError('STORAGE_FAILED', `the key file ${path} holds no Ed25519 key`, {
    cause,
    hint: 'Restore it from a backup, or delete it: the peer then gets a new identity.',
  })
}
