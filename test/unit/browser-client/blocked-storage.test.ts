/** A donor whose browser lets pages keep nothing: the tab works, and each refusal is met where it comes. */

import { beforeEach, expect, test, vi } from 'vitest'
import { takeOnlyTab } from '../../../browser-client/peer/only-tab.ts'
import { loadOrCreateIdentity } from '../../../browser-client/storage/identity.ts'
import { makeRoom, openJobBlocks } from '../../../browser-client/storage/job-blocks.ts'
import { keepAddresses, keptJob } from '../../../browser-client/storage/kept-jobs.ts'

const denied = (): never => {
  throw new DOMException('access is denied in this context', 'SecurityError')
}

beforeEach(() => {
  vi.stubGlobal('indexedDB', { open: denied, deleteDatabase: denied })
  vi.stubGlobal('navigator', { storage: { estimate: denied }, locks: { request: async () => denied() } })
  return () => vi.unstubAllGlobals()
})

test('it is a new peer at each visit, and remembers no job', async () => {
  const [first, second] = [await loadOrCreateIdentity(), await loadOrCreateIdentity()]
  expect([first.type, first.equals(second)]).toEqual(['Ed25519', false])
  await keepAddresses('job', ['/ip4/192.0.2.7/tcp/4002/ws'])
  expect(await keptJob('job')).toBeUndefined()
})

test('it keeps blocks in memory, for which room is not asked of the disk', async () => {
  expect(await makeRoom('job', 1_000_000, new Uint8Array(1))).toEqual([])
  const { isKept } = await openJobBlocks('job')
  expect(isKept).toBe(false)
})

test('it donates, where it cannot be known whether another tab does', async () => {
  const release = await takeOnlyTab()
  expect(release).toBeTypeOf('function')
})
