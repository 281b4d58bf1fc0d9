/** Reads the JPEG files of an image folder: the folder, its splits and its classes, and nothing deeper. */

import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImageFile } from '../data/image-folder.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import { jobBytesMax } from '../protocols/core/limits.ts'

/** Folders below each other: a split, a class. */
const depthMax = 2

/**
 * The JPEGs of `folder`. Links are not followed.
 * @throws {SwarmError} DATA_MISSING when it cannot be read; LIMIT_EXCEEDED when all files together are larger than a job may be.
 * @throws {unknown} `signal.reason`.
 */
export async function readImageFolder(
  folder: string,
  { signal }: { signal?: AbortSignal } = {},
): Promise<ImageFile[]> {
  const paths = await imagePaths(folder, '', 0)
  const files: ImageFile[] = []
  let bytesTotal = 0
  for (const path of paths) {
    signal?.throwIfAborted()
    const { size } = await stat(join(folder, path))
    bytesTotal += size
    if (bytesTotal > jobBytesMax)
      throw new SwarmError('LIMIT_EXCEEDED', `${folder} has more than ${jobBytesMax} bytes of images`)
    files.push({ path, bytes: new Uint8Array(await readFile(join(folder, path))) })
  }
  return files
}

async function imagePaths(folder: string, below: string, depth: number): Promise<string[]> {
  const entries = await readdir(join(folder, below), { withFileTypes: true }).catch((cause) => {
    throw new SwarmError('DATA_MISSING', `the image folder ${join(folder, below)} cannot be read`, {
      cause,
      hint: 'Give the folder with --data, or correct the path in the job file.',
    })
  })
  const found: string[] = []
  for (const entry of entries) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory() && depth < depthMax) found.push(...(await imagePaths(folder, path, depth + 1)))
    else if (entry.isFile() && /\.jpe?g$/i.test(entry.name)) found.push(path)
  }
  return found
}
