/** Which jobs a full registry keeps, and that two registries come to agree with themselves about it. */

import { expect, test } from 'vitest'
import { jobsMax, jobsOfOwnerMax, jobWaitingMsMax } from '../../../protocols/core/limits.ts'
import { createManifest } from '../../../protocols/jobs/manifest.ts'
import { type JobRecord, statusOf } from '../../../protocols/jobs/record.ts'
import { roomFor } from '../../../protocols/jobs/room.ts'
import { created, manifestInit } from './example.ts'

/** An open job; `job` is its name, by which the tests know it. */
function record(job: string, owner: string, createdMs = created): JobRecord {
  const manifest = {
    ...createManifest(manifestInit({ name: job })),
    owner,
    created: createdMs,
  }
  return { job, manifest, envelope: new Uint8Array(), progress: new Map(), evaluations: [] }
}

const trained = (known: JobRecord): JobRecord => ({
  ...known,
  progress: new Map([['peer', { heardMs: created } as never]]),
})

const many = (count: number, owner: string, createdMs = created) =>
  Array.from({ length: count }, (_, index) => record(`${owner}-${index}`, owner, createdMs + index))

const newcomer = (owner: string, createdMs = created) => ({
  owner,
  created: createdMs,
  status: 'open' as const,
})

const half = jobsOfOwnerMax

test('an owner has half of the places, and no more', () => {
  expect(roomFor(many(half - 1, 'one'), newcomer('one'))).toEqual({ kind: 'free' })
  expect(roomFor(many(half, 'one'), newcomer('one'))).toEqual({
    kind: 'none',
    reason: `would be one more than the ${half} open jobs of one owner`,
  })
  expect(roomFor(many(half, 'one'), newcomer('two'))).toEqual({ kind: 'free' })
})

test('of a registry that strangers filled the oldest job of the one with the most goes, first of those that nobody trains', () => {
  const crowd = [...many(half, 'crowd'), ...many(half - 1, 'lab'), record('mine', 'me')]
  expect(roomFor(crowd, newcomer('you'))).toEqual({ kind: 'of', job: 'crowd-0' })
  const busy = crowd.map((known) => (known.job === 'crowd-0' ? trained(known) : known))
  expect(roomFor(busy, newcomer('you'))).toEqual({ kind: 'of', job: 'crowd-1' })
  expect(roomFor(crowd, { ...newcomer('you'), status: 'converged' }).kind).toBe('none')
})

test('two keys that fill a registry with jobs that are said to be trained lose the youngest of them, one by one', () => {
  const kept = new Map(
    [...many(half, 'crowd'), ...many(half, 'lab')].map((known) => [known.job, trained(known)]),
  )
  const places: unknown[] = []
  for (let count = 0; count < half; count++) {
    const room = roomFor(kept.values(), newcomer('you'))
    places.push(room.kind === 'of' ? room.job : room.kind)
    if (room.kind === 'of') kept.delete(room.job)
    kept.set(`you-${count}`, record(`you-${count}`, 'you'))
  }
  const last = half - 1
  expect(places.slice(0, 3)).toEqual([`lab-${last}`, `crowd-${last}`, `lab-${last - 1}`])
  expect(places.filter((place) => place !== 'none')).toHaveLength(Math.floor(jobsMax / 3))
})

test('a trained job of an owner who has no more than the newcomer and one stays, however long it takes', () => {
  const strangers = Array.from({ length: jobsMax }, (_, index) =>
    trained(record(`job-${index}`, `owner-${index}`, created + index)),
  )
  expect(roomFor(strangers, newcomer('me', created + 9 * jobWaitingMsMax)).kind).toBe('none')
})

test('against many owners with one job each, a job that has waited an hour for a peer gives its place', () => {
  const strangers = Array.from({ length: jobsMax }, (_, index) =>
    record(`job-${index}`, `owner-${index}`, created + index),
  )
  expect(roomFor(strangers, newcomer('me', created + jobWaitingMsMax)).kind).toBe('none')
  expect(roomFor(strangers, newcomer('me', created + jobWaitingMsMax + 1))).toEqual({
    kind: 'of',
    job: 'job-0',
  })
})

test('a measurement of the state that a run starts from is no training, one of a later state is', () => {
  const measured = (round: number): JobRecord => ({
    ...record('measured', 'crowd'),
    evaluations: [{ statement: { round } } as never],
  })
  const rest = [...many(half - 1, 'crowd', created + 1), ...many(half, 'lab').map(trained)]
  expect(roomFor([measured(0), ...rest], newcomer('you'))).toEqual({ kind: 'of', job: 'measured' })
  expect(roomFor([measured(1), ...rest], newcomer('you'))).toEqual({ kind: 'of', job: 'crowd-0' })
})

test('two registries that teach each other what they lack come to rest', () => {
  const others = Array.from({ length: 40 }, (_, index) =>
    record(`late-${index}`, `owner-${index % 20}`, created + 3 * index * jobWaitingMsMax),
  )
  const here = new Map<string, JobRecord>()
  const there = new Map<string, JobRecord>()
  const teach = (from: ReadonlyMap<string, JobRecord>, to: Map<string, JobRecord>): number => {
    let taught = 0
    for (const known of [...from.values()]) {
      if (to.has(known.job)) continue
      const room = roomFor(to.values(), { ...known.manifest, status: statusOf(known) })
      if (room.kind === 'none') continue
      if (room.kind === 'of') to.delete(room.job)
      to.set(known.job, known)
      taught++
    }
    return taught
  }
  const filled = [...many(half, 'crowd').map(trained), ...many(half, 'lab')]
  teach(new Map(filled.map((known) => [known.job, known])), here)
  teach(new Map([...others, ...many(half, 'crowd')].map((known) => [known.job, known])), there)
  let [passes, moved] = [0, 0]
  for (let last = -1; moved > last && passes < jobsMax; passes++) {
    last = moved
    moved += teach(here, there) + teach(there, here)
  }
  expect([here.size, there.size]).toEqual([jobsMax, jobsMax])
  expect(moved).toBeGreaterThan(0)
  expect(passes).toBeLessThan(jobsMax)
})
