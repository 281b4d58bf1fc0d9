/** How a peer finds out that its run is over, with nobody left to say so. */

import { expect, test } from 'vitest'
import { listenForEnd } from '../../../node/peer/run-end.ts'
import { createManifest } from '../../../protocols/jobs/manifest.ts'
import type { JobListener } from '../../../protocols/jobs/service.ts'
import { VirtualClock } from '../../../simulator/clock.ts'
import { created, manifestInit } from '../jobs/example.ts'

const job = 'the-job'

function listening({ startedMs = created, maxMinutes = 10 } = {}) {
  const init = manifestInit()
  const manifest = createManifest({
    ...init,
    convergence: { ...init.convergence, maxMinutes },
    expires: created + maxMinutes * 60_000 + 3_600_000,
  })
  const clock = new VirtualClock()
  const listeners = new Set<JobListener>()
  const end = listenForEnd({
    signed: { job, manifest, envelope: new Uint8Array() },
    jobs: {
      follow: (_, listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
    },
    clock,
    epochMs: () => startedMs + clock.now(),
  })
  const advance = (ms: number) => {
    const untilMs = clock.now() + ms
    while (clock.runNext(untilMs)) {}
  }
  return { end, advance, clock, listeners }
}

test('the run ends two minutes after its minutes are used up, though nobody says so', () => {
  const { end, advance } = listening()
  advance(12 * 60_000 - 1)
  expect([end.signal.aborted, end.ended]).toEqual([false, undefined])
  advance(1)
  expect(end.signal.aborted).toBe(true)
  expect(end.ended).toEqual({ kind: 'out-of-budget', reason: 'the 10 minutes are used up' })
})

test('a run of 30 days, longer than a timer can be, does not end at once', () => {
  const { end, advance } = listening({ maxMinutes: 43_200 })
  advance(60_000)
  expect(end.ended).toBeUndefined()
})

test('a peer that comes after the end is told at once', () => {
  expect(listening({ startedMs: created + 13 * 60_000 }).end.ended?.kind).toBe('out-of-budget')
})

test('a job that is forgotten ends its run, and the first ending counts', () => {
  const { end, advance, listeners } = listening()
  for (const listener of listeners) listener({ kind: 'forgotten', job })
  expect(end.signal.aborted).toBe(true)
  advance(3_600_000)
  expect(end.ended).toEqual({ kind: 'stopped', reason: 'the job has expired, or given its place to another' })
})

test('once closed it neither listens nor wakes', () => {
  const { end, clock, listeners } = listening()
  end.close()
  expect(listeners.size).toBe(0)
  expect(clock.runNext(Number.MAX_SAFE_INTEGER)).toBe(false)
})
