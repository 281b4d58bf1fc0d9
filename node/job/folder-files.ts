/** Reads the files of a folder of data: the folder, its splits and their classes, and nothing deeper. */

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { FolderFile } from '../../data/folder.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import { jobBytesMax } from '../../protocols/core/limits.ts'
import { readFailure } from '../storage/read-failure.ts'

/** Folders below each other: a split, a class. */
const depthMax = 2

/**
 * The files of `folder` whose names are `wanted`. Links are not followed.
 * @throws {SwarmError} DATA_MISSING when it cannot be read; LIMIT_EXCEEDED when all files together are larger than a
 * job may be.
 * @throws {unknown} `signal.reason`.
 */
export async function readFolder(
  folder: string,
  wanted: (name: string) => boolean,
  { signal }: { signal?: AbortSignal } = {},
): Promise<FolderFile[]> {
  const paths = await pathsIn(folder, '', { wanted, depth: 0 })
  const files: FolderFile[] = []
  let bytesTotal = 0
  for (const path of paths) {
    signal?.throwIfAborted()
    const file = join(folder, path)
    bytesTotal += (await stat(file).catch(unreadable(file))).size
    if (bytesTotal > jobBytesMax)
      throw new SwarmError('LIMIT_EXCEEDED', `${folder} has more than ${jobBytesMax} bytes of data`)
    const { buffer, byteOffset, byteLength } = await readFile(file).catch(unreadable(file))
    files.push({ path, bytes: new Uint8Array(buffer, byteOffset, byteLength) })
  }
  return files
}

async function pathsIn(
  folder: string,
  below: string,
  { wanted, depth }: { wanted: (name: string) => boolean; depth: number },
): Promise<string[]> {
  const place = join(folder, below)
  const entries = await readdir(place, { withFileTypes: true }).catch(notListed(place))
  const found: string[] = []
  for (const entry of entries) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory() && depth < depthMax)
      found.push(...(await pathsIn(folder, path, { wanted, depth: depth + 1 })))
    else if (entry.isFile() && wanted(entry.name)) found.push(path)
  }
  return found
}

function notListed(folder: string): (cause: unknown) => never {
  return (cause) => {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOTDIR') return unreadable(`the folder ${folder}`)(cause)
    throw new SwarmError('DATA_MISSING', `${folder} is no folder, and one with files of data is wanted`, {
      cause,
      hint: 'Give the folder that holds the files; docs/data.md has its form, and how a table becomes one.',
    })
  }
}

function unreadable(what: string): (cause: unknown) => never {
  return (cause) => {
    throw new SwarmError('DATA_MISSING', `${what} cannot be read${readFailure(cause)}`, {
      cause,
      hint: 'Give the folder with --data, or correct the path in the job file; its files must be readable.',
    })
  }
}
