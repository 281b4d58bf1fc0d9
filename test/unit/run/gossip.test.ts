/** A run's gossip on virtual time: how often a peer reports, and what it hears of others. */

import { expect, test } from 'vitest'
import type { JobNotice, JobRecord } from '../../../protocols/jobs/index.ts'
import { runGossip } from '../../../protocols/run/gossip.ts'
import type { Report } from '../../../protocols/run/ports.ts'
import { VirtualClock } from '../../../simulator/clock.ts'

const report = (round: number): Report => ({
  round,
  root: `root-${round}`,
  weight: 32 * round,
  phase: 'training',
  loss: 1,
  isLossNotFinite: false,
  samplesTrained: 32 * round,
  samplesPerSecond: 10,
})

/** The gossip of peer `self` in run `job`; `sent` fills with the time and the round of each of its reports. */
function gossiping() {
  const clock = new VirtualClock()
  const sent: [number, number][] = []
  const listeners = new Set<(notice: JobNotice) => void>()
  const progress = new Map<string, unknown>()
  const gossip = runGossip({
    job: 'job',
    self: 'self',
    jobs: {
      get: () => ({ progress }) as unknown as JobRecord,
      on(listener) {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      publishProgress: (_, { round }) => void sent.push([clock.now(), round]),
    },
    traffic: () => ({ uploadedBytes: 0, downloadedBytes: 0 }),
    clock,
  })
  const pass = (ms: number) => {
    const endMs = clock.now() + ms
    while (clock.runNext(endMs));
  }
  const hear = (job: string, peer: string) => {
    for (const listener of [...listeners])
      listener({
        kind: 'progress',
        job,
        peer,
        progress: { ...report(1), uploadedBytes: 0, downloadedBytes: 0, at: 0 },
      })
  }
  return { gossip, sent, progress, listeners, pass, hear }
}

test('a report goes out at once, the newest of those that come too fast a quarter of a second later, and again every two seconds', () => {
  const { gossip, sent, pass } = gossiping()
  gossip.report(report(1))
  pass(50)
  gossip.report(report(2))
  pass(50)
  gossip.report(report(3))
  pass(4_500)
  gossip.close()
  pass(10_000)
  expect(sent).toEqual([
    [0, 1],
    [250, 3],
    [2_250, 3],
    [4_250, 3],
  ])
})

test('with more peers each reports less often, and all together forty times a second at most', () => {
  const { gossip, sent, progress, pass } = gossiping()
  for (let peer = 0; peer < 36; peer++) progress.set(`peer ${peer}`, { progress: report(1), heardMs: 0 })
  gossip.report(report(1))
  for (const round of [2, 3]) {
    pass(50)
    gossip.report(report(round))
  }
  pass(850)
  for (let peer = 36; peer < 1_000; peer++) progress.set(`peer ${peer}`, { progress: report(1), heardMs: 0 })
  pass(8_950)
  gossip.report(report(4))
  pass(50_000)
  gossip.close()
  expect(sent).toEqual([
    [0, 1],
    [900, 3],
    [900 + 9_000, 3],
    [9_900 + 20_000, 4], // a third of the time for which a report counts, however many there are
    [9_900 + 40_000, 4],
  ])
})

test('where others stand is what they said; a change is news of another peer of this run, and waiting for it can be cancelled', async () => {
  const { gossip, progress, listeners, hear } = gossiping()
  for (const peer of ['self', 'other']) progress.set(peer, { progress: report(7), heardMs: 0 })
  expect([...gossip.standings()]).toEqual([['other', report(7)]])
  const control = new AbortController()
  const { signal } = control
  let isChanged = false
  const changed = gossip.changed({ signal }).then(() => {
    isChanged = true
  })
  hear('job', 'self')
  hear('another job', 'other')
  await Promise.resolve()
  expect(isChanged).toBe(false)
  hear('job', 'other')
  await changed
  const cancelled = gossip.changed({ signal })
  control.abort(new Error('not needed'))
  await expect(cancelled).rejects.toThrow('not needed')
  expect(listeners.size).toBe(0)
})
