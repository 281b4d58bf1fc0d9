/** The file of a private swarm's key, and what it does to a command's search for its swarm. */

import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findSwarm, publishAddresses } from '../../../node/network/coordinator-address.ts'
import { dirsFor } from '../../../node/storage/dirs.ts'
import { loadOrCreateSwarmKey, loadSwarmKey } from '../../../node/storage/swarm-key.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'starling-swarm-key-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('a key is made once, for its owner only, and two are not alike', async () => {
  const path = join(folder, 'swarm.key')
  const key = await loadOrCreateSwarmKey(path)
  expect(key).toMatch(/^[A-Za-z0-9_-]{43}$/)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await readFile(path, 'utf8')).toBe(`${key}\n`)
  expect(await loadOrCreateSwarmKey(path)).toBe(key)
  expect(await loadSwarmKey(path)).toBe(key)
  expect(await loadOrCreateSwarmKey(join(folder, 'another.key'))).not.toBe(key)
})

test('who is invited must have the file: none is made', async () => {
  const path = join(folder, 'swarm.key')
  await expect(loadSwarmKey(path)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    message: `there is no swarm key at ${path}`,
  })
  await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
})

test.each([
  ['a word that somebody thought up', 'swordfish\n', 0o600, 'holds no swarm key'],
  ['a key that is cut short', `${'a'.repeat(42)}\n`, 0o600, 'holds no swarm key'],
  ['a key that others can read', `${'a'.repeat(43)}\n`, 0o644, 'is open to others (mode 644)'],
])('%s is refused', async (_, text, mode, why) => {
  const path = join(folder, 'swarm.key')
  await writeFile(path, text)
  await chmod(path, mode)
  for (const load of [loadSwarmKey, loadOrCreateSwarmKey])
    await expect(load(path)).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      message: expect.stringContaining(why),
    })
})

test('the coordinator of this machine brings its own key, and whoever named another is not led into its swarm', async () => {
  const io = { env: { STARLING_HOME: join(folder, 'home') }, cwd: folder }
  const [ours, named] = [join(folder, 'ours.key'), join(folder, 'named.key')]
  const key = await loadOrCreateSwarmKey(ours)
  const namedKey = await loadOrCreateSwarmKey(named)
  const retract = await publishAddresses(dirsFor(io.env), { addresses: ['here'], swarmKey: ours })
  expect(await findSwarm({ coordinator: [] }, io)).toEqual({ addresses: ['here'], key })
  expect(await findSwarm({ coordinator: [], swarmKey: 'ours.key' }, io)).toEqual({ addresses: ['here'], key })
  await expect(findSwarm({ coordinator: [], swarmKey: named }, io)).rejects.toMatchObject({
    code: 'REFUSED',
    message: `${named} was named, but the swarm on this machine has another key`,
  })
  expect(await findSwarm({ coordinator: ['there'], swarmKey: 'named.key' }, io)).toEqual({
    addresses: ['there'],
    key: namedKey,
  })
  expect(await findSwarm({ coordinator: ['there'] }, io)).toEqual({ addresses: ['there'], key: undefined })
  await retract()
  const open = await publishAddresses(dirsFor(io.env), { addresses: ['here'] })
  await expect(findSwarm({ coordinator: [], swarmKey: named }, io)).rejects.toMatchObject({
    code: 'REFUSED',
    message: `${named} was named, but the swarm on this machine is open to anybody`,
  })
  await open()
})
