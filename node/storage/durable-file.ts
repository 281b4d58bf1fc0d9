/**
 * A file that is either the old one or the new one, whole, whatever ends the process or the power in between: written
 * beside its place, flushed to the disk, then renamed. Of the process's own files, a checksum at the end tells what the
 * disk spoiled:
 *
 *     contents │ SHA-256 of them, 32 bytes
 */

import { createHash } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { SwarmError } from '../../protocols/core/errors.ts'

const checksumBytes = 32

/** Read and hashed at a time; neither takes 2 GiB or more at once, which the state of a large model has. */
const readBytes = 1 << 26

/**
 * Puts `pieces`, one after another, in the place of what is at `path`. One call at a time for each path. `mode`: of the
 * new file, before the umask.
 * @throws {Error} what the file system says; what was there is then still there, and what was written of the new one is
 * not: a full disk gets its room back.
 */
export async function replaceFile(path: string, pieces: readonly Uint8Array[], mode = 0o666): Promise<void> {
  const temporary = `${path}.new`
  try {
    const file = await open(temporary, 'w', mode)
    try {
      for (const piece of pieces) await file.writeFile(piece)
      await file.datasync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw error
  }
  await flushFolder(dirname(path))
}

/**
 * {@link replaceFile} with a checksum, in a file that only this user reads.
 * @throws {SwarmError} STORAGE_FAILED.
 */
export async function writeDurably(path: string, pieces: readonly Uint8Array[]): Promise<void> {
  const hash = createHash('sha256')
  for (const piece of pieces) hash.update(piece)
  try {
    await replaceFile(path, [...pieces, hash.digest()], 0o600)
  } catch (cause) {
    throw failed(`cannot write ${path}`, cause)
  }
}

/**
 * What {@link writeDurably} wrote; undefined when there is nothing, or the disk has spoiled it.
 * @throws {SwarmError} STORAGE_FAILED.
 */
export async function readDurable(path: string): Promise<Uint8Array | undefined> {
  try {
    const { bytes, checksum } = await readHashed(path)
    const contents = bytes.subarray(0, -checksumBytes)
    return checksum.equals(bytes.subarray(contents.length)) ? contents : undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw failed(`cannot read ${path}`, error)
  }
}

/** The whole file, and the SHA-256 of what stands before its checksum. */
async function readHashed(path: string): Promise<{ bytes: Uint8Array; checksum: Buffer }> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    const bytes = new Uint8Array(size)
    const hash = createHash('sha256')
    const end = size - checksumBytes
    for (let at = 0; at < size; ) {
      const { bytesRead } = await file.read(bytes, at, Math.min(readBytes, size - at))
      if (bytesRead === 0) break // it was cut off meanwhile: its checksum is missing
      hash.update(bytes.subarray(at, Math.max(at, Math.min(at + bytesRead, end))))
      at += bytesRead
    }
    return { bytes, checksum: hash.digest() }
  } finally {
    await file.close()
  }
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

/** What systems say that flush no folders, and folders that may be written and not read. */
const unflushable: ReadonlySet<unknown> = new Set(['EINVAL', 'ENOTSUP', 'EISDIR', 'EACCES', 'EPERM'])

/** A rename is durable once its folder is, where that can be asked for. Windows journals the entries of its folders. */
async function flushFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  try {
    const folder = await open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  } catch (error) {
    if (!unflushable.has((error as NodeJS.ErrnoException).code)) throw error
  }
}

/** What a person may mend without starting anything again: room on the disk, or in a quota. */
const roomCodes: ReadonlySet<unknown> = new Set(['ENOSPC', 'EDQUOT'])

function failed(what: string, cause: unknown): SwarmError {
  return new SwarmError('STORAGE_FAILED', what, {
    cause,
    retry: roomCodes.has((cause as NodeJS.ErrnoException).code) ? 'same-peer' : 'never',
    hint: 'Free some space, check the permissions, or choose another place with STARLING_HOME.',
  })
}
