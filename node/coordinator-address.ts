/**
 * Where the coordinator of this machine is. One that runs here writes its addresses into a file, so that `starling list`
 * in another terminal needs no option; the file goes when the coordinator goes.
 */

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SwarmError } from '../protocols/core/errors.ts'
import { type Dirs, dirsFor } from './dirs.ts'

const fileName = 'coordinator.json'

/**
 * Writes the file. The returned function takes it away, unless another coordinator has written its own meanwhile.
 * @throws {SwarmError} STORAGE_FAILED.
 */
export async function publishAddresses(
  dirs: Dirs,
  addresses: readonly string[],
): Promise<() => Promise<void>> {
  const path = join(dirs.state, fileName)
  const text = `${JSON.stringify({ addresses })}\n`
  const temporary = `${path}.${process.pid}`
  try {
    await mkdir(dirs.state, { recursive: true })
    await writeFile(temporary, text)
    await rename(temporary, path)
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {})
    throw new SwarmError('STORAGE_FAILED', `cannot write ${path}`, {
      cause,
      hint: 'Free some space, or choose another place with STARLING_HOME.',
    })
  }
  return async () => {
    const current = await readFile(path, 'utf8').catch(() => undefined)
    if (current === text) await rm(path, { force: true })
  }
}

/**
 * The addresses given on the command line, or those of this machine's coordinator.
 * @throws {SwarmError} NO_COORDINATOR when there are neither.
 */
export async function coordinatorAddresses(
  given: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<readonly string[]> {
  const addresses = given.length > 0 ? given : await publishedAddresses(dirsFor(env))
  if (addresses.length > 0) return addresses
  throw new SwarmError('NO_COORDINATOR', 'no coordinator was named, and none runs on this machine', {
    hint: 'Give its address with --coordinator, start one with `starling coordinator start`, or train on this machine alone with `starling launch <job.yaml> --local 3`.',
  })
}

async function publishedAddresses(dirs: Dirs): Promise<string[]> {
  const text = await readFile(join(dirs.state, fileName), 'utf8').catch(() => undefined)
  if (text === undefined) return []
  try {
    const { addresses } = JSON.parse(text) as { addresses: unknown }
    return Array.isArray(addresses) ? addresses.filter((address) => typeof address === 'string') : []
  } catch {
    return [] // half a file, from a disk that was full: the same as none
  }
}
