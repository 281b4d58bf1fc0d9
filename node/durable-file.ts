/**
 * A file that is either the old one or the new one, whole, whatever ends the process or the power in between: written beside its
 * place, flushed to the disk, then renamed. A checksum at its end tells what the disk spoiled.
 *
 *     contents │ SHA-256 of them, 32 bytes
 */

import { createHash } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SwarmError } from '../protocols/core/errors.ts'

const checksumBytes = 32

/**
 * Puts `pieces`, one after another, in the place of what is at `path`. One call at a time for each path.
 * @throws {SwarmError} STORAGE_FAILED; what was there is then still there.
 */
export async function writeDurably(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const temporary = `${path}.new`
  try {
    const hash = createHash('sha256')
    for (const piece of pieces) hash.update(piece)
    const file = await open(temporary, 'w', 0o600)
    try {
      for (const piece of [...pieces, hash.digest()]) await file.writeFile(piece)
      await file.datasync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await flushFolder(dirname(path))
  } catch (cause) {
    throw failed(`cannot write ${path}`, cause)
  }
}

/** What {@link writeDurably} wrote; undefined when there is nothing, or the disk has spoiled it. */
export async function readDurable(path: string): Promise<Uint8Array | undefined> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw failed(`cannot read ${path}`, error)
  }
  const contents = bytes.subarray(0, -checksumBytes)
  const checksum = createHash('sha256').update(contents).digest()
  return checksum.equals(bytes.subarray(contents.length)) ? contents : undefined
}

/** Removes `path`, so that a power cut does not bring it back. @throws {SwarmError} STORAGE_FAILED. */
export async function removeDurably(path: string): Promise<void> {
  try {
    await rm(path, { force: true })
    await flushFolder(dirname(path))
  } catch (cause) {
    throw failed(`cannot remove ${path}`, cause)
  }
}

/** A rename is durable once its folder is. Windows opens no folders, and journals their entries. */
async function flushFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function failed(what: string, cause: unknown): SwarmError {
  return new SwarmError('STORAGE_FAILED', what, {
    cause,
    hint: 'Free some space, check the permissions, or choose another place with STARLING_HOME.',
  })
}
