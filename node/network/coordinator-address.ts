/**
 * Which swarm is meant: the one that was named, or that of the coordinator on this machine. One that runs here writes its
 * addresses into a file, and where its swarm's key is, so that `starling list` in another terminal needs no option; the
 * file goes when the coordinator goes.
 *
 *     <state>/coordinator-<pid>.json     one for each process, since several may run: the one started last is found
 *
 * What a process that was killed has left behind counts no more, and the next coordinator removes it.
 */

import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { SwarmKey } from '../peer/swarm-key.ts'
import { type Dirs, dirsFor } from '../storage/dirs.ts'
import { isRunning } from '../storage/is-running.ts'
import { loadSwarmKey } from '../storage/swarm-key.ts'

/** What a person said of the swarm that is meant. */
export interface NamedSwarm {
  /** Multiaddrs of coordinators; empty: the one on this machine. */
  coordinator: readonly string[]
  /** File with the key of a private swarm, as typed; `undefined`: the swarm is open. */
  swarmKey?: string | undefined
}

/** How to reach it. */
export interface FoundSwarm {
  /** Multiaddrs of its coordinators, 1 or more. */
  addresses: readonly string[]
  /** Of a private swarm. */
  key: SwarmKey | undefined
}

/** What a coordinator tells the other programs of its machine. */
export interface Published {
  addresses: readonly string[]
  /** File of its swarm's key, absolute; `undefined`: it takes in anybody. */
  swarmKey?: string | undefined
}

/**
 * Writes the file. The returned function takes it away.
 * @throws {SwarmError} STORAGE_FAILED.
 */
export async function publishAddresses(dirs: Dirs, published: Published): Promise<() => Promise<void>> {
  const path = join(dirs.state, `coordinator-${process.pid}.json`)
  const temporary = `${path}.new`
  try {
    await mkdir(dirs.state, { recursive: true })
    await writeFile(temporary, `${JSON.stringify(published)}\n`)
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
 * The swarm that was named on the command line, or that of this machine's coordinator, which says itself where its key
 * is. A key that was named is never left out: what is meant for a private swarm must not go into another.
 * @throws {SwarmError} NO_COORDINATOR when there is neither; REFUSED when this machine's has no key, or another than the
 * one that was named; what {@link loadSwarmKey} throws.
 */
export async function findSwarm(
  { coordinator, swarmKey }: NamedSwarm,
  { env, cwd }: { env: Readonly<Record<string, string | undefined>>; cwd: string },
): Promise<FoundSwarm> {
  const named = swarmKey === undefined ? undefined : await loadSwarmKey(resolve(cwd, swarmKey))
  if (coordinator.length > 0) return { addresses: coordinator, key: named }
  const found = await newestPublished(dirsFor(env))
  if (found !== undefined) {
    const key = found.swarmKey === undefined ? undefined : await loadSwarmKey(found.swarmKey)
    if (named !== undefined && named !== key) throw otherSwarmHere(swarmKey, key === undefined)
    return { addresses: found.addresses, key }
  }
  throw new SwarmError('NO_COORDINATOR', 'no coordinator was named, and none runs on this machine', {
    hint: 'Give its address with --coordinator, start one with `starling coordinator start`, or train on this machine alone with `starling launch <job.yaml> --local 3`.',
  })
}

function otherSwarmHere(swarmKey: string | undefined, isOpen: boolean): SwarmError {
  const why = isOpen ? 'is open to anybody' : 'has another key'
  return new SwarmError('REFUSED', `${swarmKey} was named, but the swarm on this machine ${why}`, {
    hint: 'Name the coordinator that is meant with --coordinator, or leave out --swarm-key and STARLING_SWARM_KEY.',
  })
}

/** Of the newest file whose process runs. */
async function newestPublished({ state }: Dirs): Promise<Published | undefined> {
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
    const published = await readPublished(path)
    if (published.addresses.length > 0) return published
  }
  return undefined
}

async function addressFiles(state: string): Promise<{ path: string; pid: number }[]> {
  const names = await readdir(state).catch(() => [])
  return names.flatMap((name) => {
    const pid = /^coordinator-(\d+)\.json$/.exec(name)?.[1]
    return pid === undefined ? [] : [{ path: join(state, name), pid: Number(pid) }]
  })
}

async function readPublished(path: string): Promise<Published> {
  try {
    const { addresses, swarmKey } = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    return {
      addresses: Array.isArray(addresses) ? addresses.filter((address) => typeof address === 'string') : [],
      swarmKey: typeof swarmKey === 'string' ? swarmKey : undefined,
    }
  } catch {
    return { addresses: [] } // half a file, from a disk that was full: the same as none
  }
}
