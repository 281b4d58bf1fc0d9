/** The key file of a peer. */

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadOrCreateIdentity } from '../../../node/storage/identity.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'starling-identity-'))
})
afterEach(() => rm(folder, { recursive: true }))

test('a key is made once, for its owner only, and is the same at the next start', async () => {
  const path = join(folder, 'deep/er/identity.key')
  const first = await loadOrCreateIdentity(path)
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  const second = await loadOrCreateIdentity(path)
  expect(second.equals(first)).toBe(true)
  expect(second.type).toBe('Ed25519')
})

test('processes that start at the same time get the same key', async () => {
  const path = join(folder, 'identity.key')
  const keys = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateIdentity(path)))
  expect(keys.every((key) => key.equals(keys[0]!))).toBe(true)
  expect(await readdir(folder)).toEqual(['identity.key'])
})

test.each([
  ['is empty', ''],
  ['holds junk', 'not a key\n'],
  ['is cut short', 'CAESQK'],
])('a key file that %s is refused with the remedy, and left as it is', async (_, text) => {
  const path = join(folder, 'identity.key')
  await writeFile(path, text, { mode: 0o600 })
  await expect(loadOrCreateIdentity(path)).rejects.toMatchObject({
    code: 'STORAGE_FAILED',
    message: `the key file ${path} holds no Ed25519 key`,
    hint: expect.stringContaining('delete it'),
  })
  expect(await readFile(path, 'utf8')).toBe(text)
})

test('a key file that others can read is refused with the command that mends it', async () => {
  const path = join(folder, 'identity.key')
  await loadOrCreateIdentity(path)
  await chmod(path, 0o644)
  await expect(loadOrCreateIdentity(path)).rejects.toMatchObject({
    code: 'STORAGE_FAILED',
    message: `the key file ${path} is open to others (mode 644)`,
    hint: `Run: chmod 600 ${path}`,
  })
})
