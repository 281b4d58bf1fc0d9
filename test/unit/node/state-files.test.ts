/** What processes leave in the state folder for others, and what becomes of it when they are gone. */

import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findSwarm, publishAddresses } from '../../../node/network/coordinator-address.ts'
import { dirsFor } from '../../../node/storage/dirs.ts'
import { pruneRunFolders, runFolder, runFoldersKept } from '../../../node/storage/run-folders.ts'

/** A process that has ended, and one that runs: the parent of this. */
const gone = spawnSync(process.execPath, ['--version']).pid
const other = process.ppid

async function home() {
  const folder = await mkdtemp(join(tmpdir(), 'starling-state-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const env = { STARLING_HOME: folder }
  return { env, dirs: dirsFor(env) }
}

async function leave(state: string, pid: number, ageSeconds: number): Promise<void> {
  const path = join(state, `coordinator-${pid}.json`)
  await mkdir(state, { recursive: true })
  await writeFile(path, JSON.stringify({ addresses: [`of ${pid}`] }))
  const time = Date.now() / 1000 - ageSeconds
  await utimes(path, time, time)
}

const foundIn = async (env: Readonly<Record<string, string>>) =>
  (await findSwarm({ coordinator: [] }, { env, cwd: '/' })).addresses

test('a second coordinator on this machine is found first, and the first one again when it goes', async () => {
  const { env, dirs } = await home()
  await leave(dirs.state, other, 60)
  await leave(dirs.state, gone, -60)
  const retract = await publishAddresses(dirs, { addresses: ['of this'] })
  const names = [other, process.pid].map((pid) => `coordinator-${pid}.json`)
  expect((await readdir(dirs.state)).sort()).toEqual(names.sort())
  expect(await foundIn(env)).toEqual(['of this'])
  await retract()
  expect(await foundIn(env)).toEqual([`of ${other}`])
})

test('a coordinator that was killed is not found', async () => {
  const { env, dirs } = await home()
  await leave(dirs.state, gone, 0)
  await expect(foundIn(env)).rejects.toMatchObject({ code: 'NO_COORDINATOR' })
})

test('the newest run folders are kept, and of the older ones those that are in use', async () => {
  const { state } = (await home()).dirs
  const names = Array.from({ length: runFoldersKept + 4 }, (_, minute) => {
    return `2026-01-02T03${String(minute).padStart(2, '0')}00.000Z-${minute === 1 ? other : gone}`
  })
  for (const name of [...names, 'mine']) await mkdir(join(state, 'runs', name, 'homes'), { recursive: true })
  await pruneRunFolders(state)
  expect((await readdir(join(state, 'runs'))).sort()).toEqual([names[1], ...names.slice(4), 'mine'])
  // the names that are made are the names that are known
  expect(runFolder(state, 1)).toBe(join(state, 'runs', `1970-01-01T000000.001Z-${process.pid}`))
})
