/**
 * Where the coordinator of this machine is. One that runs here writes its addresses into a file, so that
 * `starling list` in another terminal needs no option; the file goes when the coordinator goes.
 *
 *     <state>/coordinator-<pid>.json     one for each process, since several may run: the one started last is found
 *
 * What a process that was killed has left behind counts no more, and the next coordinator removes it.
 */

import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SwarmError } from '../../protocols/core/errors.ts'
import { type Dirs, dirsFor } from '../storage/dirs.ts'
import { isRunning } from '../storage/is-running.ts'

/**
 * Writes the file. The returned function takes it away.
 * @throws {SwarmError} STORAGE_FAILED.
 */
export async function publishAddresses(
  dirs: Dirs,
  addresses: readonly string[],
): Promise<() => Promise<void>> {
  const path = join(dirs.state, `coordinator-${process.pid}.json`)
  const temporary = `${path}.new`
  try {
    await mkdir(dirs.state, { recursive: true })
    await writeFile(temporary, `${JSON.stringify({ addresses })}\n`)
    await rename(temporary, path)
    for (const left of await addressFiles(dirs.state))
      if (!isRunning(left.pid)) await rm(left.path, { force: true })
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {})
    throw new SwarmError('STORAGE_FAILED', `cannot write ${path}`, {
      cause,
      hint: 'Free some space, or choose another place with STARLING_HOME.',
    })
  }
  return () => rm(path, { force: true })
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

/** Those of the newest file whose process runs. */
async function publishedAddresses({ state }: Dirs): Promise<string[]> {
  const running = (await addressFiles(state)).filter(({ pid }) => isRunning(pid))
  const dated = await Promise.all(
    running.map(async ({ path }) => {
      const writtenMs = await stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0, // gone meanwhile, and so without addresses
      )
      return { path, writtenMs }
    }),
  )
  for (const { path } of dated.sort((a, b) => b.writtenMs - a.writtenMs)) {
    const addresses = await readAddresses(path)
    if (addresses.length > 0) return addresses
  }
  return []
}

async function addressFiles(state: string): Promise<{ path: string; pid: number }[]> {
  const names = await readdir(state).catch(() => [])
  return names.flatMap((name) => {
    const pid = /^coordinator-(\d+)\.json$/.exec(name)?.[1]
    return pid === undefined ? [] : [{ path: join(state, name), pid: Number(pid) }]
  })
}

async function readAddresses(path: string): Promise<string[]> {
  try {
    const { addresses } = JSON.parse(await readFile(path, 'utf8')) as { addresses: unknown }
    return Array.isArray(addresses) ? addresses.filter((address) => typeof address === 'string') : []
  } catch {
    return [] // half a file, from a disk that was full: the same as none
  }
}
