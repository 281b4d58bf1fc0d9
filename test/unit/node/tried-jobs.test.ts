import { expect, test } from 'vitest'
import { TriedJobs } from '../../../node/run/tried-jobs.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'

const passing = new SwarmError('BLOCK_NOT_FOUND', 'nobody has it', { retry: 'other-peer' })
const lasting = new SwarmError('MODEL_UNSUPPORTED', 'no such operator')

test('a failure that may pass keeps a node away twice as long each time, and never longer than five minutes', () => {
  const jobs = new TriedJobs()
  const waits = Array.from({ length: 8 }, () => jobs.fail('job', passing, 1_000)! / 1_000)
  expect(waits).toEqual([5, 10, 20, 40, 80, 160, 300, 300])
  expect(jobs.waitMs('job', 101_000)).toBe(200_000)
  expect(jobs.waitMs('job', 302_000)).toBe(0)
})

test('what would fail again, a bug and a job that has ended are not tried again', () => {
  const jobs = new TriedJobs()
  expect(jobs.fail('unsupported', lasting, 0)).toBeUndefined()
  expect(jobs.fail('bug', new TypeError('x is undefined'), 0)).toBeUndefined()
  jobs.end('ended')
  for (const job of ['unsupported', 'bug', 'ended'])
    expect(jobs.waitMs(job, 1e12)).toBe(Number.POSITIVE_INFINITY)
  expect(jobs.waitMs('another', 0)).toBe(0)
})

test('jobs that the swarm has forgotten are forgotten here too', () => {
  const jobs = new TriedJobs()
  jobs.end('old')
  jobs.end('known')
  jobs.keepOnly(['known'])
  expect(jobs.waitMs('old', 0)).toBe(0)
  expect(jobs.waitMs('known', 0)).toBe(Number.POSITIVE_INFINITY)
})
