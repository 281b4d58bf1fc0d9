/** A node whose disk is full when it fetches a job's blocks: it stays away for a while, and not for good. */

import { expect, test } from 'vitest'
import { TriedJobs } from '../../../node/run/tried-jobs.ts'
import { blockStore } from '../../../protocols/shards/index.ts'

test('a block that cannot be stored may be stored later, when somebody has made room', async () => {
  const full = { put: async () => Promise.reject(new Error('Error: ENOSPC: no space left on device, write')) }
  const failure: unknown = await blockStore(full as never)
    .put({} as never, new Uint8Array(1))
    .catch((error: unknown) => error)
  expect(failure).toMatchObject({
    code: 'STORAGE_FAILED',
    message: expect.stringContaining('no space left on device'),
  })
  const tried = new TriedJobs()
  expect(tried.fail('job', failure, 0)).toBe(5_000)
  expect([tried.waitMs('job', 4_999), tried.waitMs('job', 5_000)]).toEqual([1, 0])
})
