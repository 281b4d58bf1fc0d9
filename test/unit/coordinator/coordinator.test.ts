/** Which jobs a coordinator takes up, in what order, and what becomes of one that it cannot make ready. */

import { expect, onTestFinished, test } from 'vitest'
import { Coordinator, type CoordinatorInit, type OpenJob } from '../../../coordinator/index.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { createManifest, sealManifest, sealStatement, statementKind } from '../../../protocols/jobs/index.ts'
import type { State } from '../../../protocols/run/state.ts'
import { coordinatorId, created, manifestInit, ownerKey } from '../jobs/example.ts'
import { loneService } from '../jobs/lone-service.ts'
import { VirtualTime } from './virtual-time.ts'

const sealed = (name: string) => sealManifest(createManifest(manifestInit({ name })), ownerKey)

const firstState: State = {
  job: '',
  round: 0,
  weight: 0,
  electorate: [],
  leases: { cursor: 0, firstStep: 0, steps: 1, holders: [], rates: [] },
  ahead: null,
  parameters: new Float32Array(1),
  outer: new Float32Array(0),
}

const opened: OpenJob = {
  expected: { job: '', parameters: 1, outer: 0 },
  first: { root: 'first', state: () => firstState },
  measure: async () => ({ loss: 1, accuracy: 0 }),
  keep: async () => {},
  close: async () => {},
}

/**
 * A coordinator alone on virtual time, which opens jobs with `open`; `events` are the kinds of its log lines before a
 * watch. `beforeSaying` may keep it from saying anything.
 */
function coordinating(open: CoordinatorInit['open'], beforeSaying = async () => {}) {
  const time = new VirtualTime()
  const epochMs = () => created + 1000 + time.clock.now()
  const jobs = loneService(epochMs)
  const events: string[] = []
  const coordinator = new Coordinator({
    self: coordinatorId,
    jobs: {
      on: (listener) => jobs.on(listener),
      follow: (job, listener) => jobs.follow(job, listener),
      publishStatement: async (statement) => {
        await beforeSaying()
        await jobs.publishStatement(statement)
      },
    },
    blocks: { fetchBlocks: async () => [] },
    onPeerGone: () => () => {},
    open,
    clock: time.clock,
    epochMs,
    onEvent: ({ kind }) => {
      if (kind !== 'run') events.push(kind)
    },
  })
  onTestFinished(() => coordinator.close())
  const said = (job: string) => {
    const { verdict, reason } = jobs.get(job)!.verdict?.statement ?? {}
    return verdict === undefined ? undefined : `${verdict}: ${reason}`
  }
  return { coordinator, time, jobs, events, said }
}

const watching = 'continue: the coordinator holds the model and the data, and watches the run'

test('of the jobs of an earlier life only the open ones are opened', async () => {
  const names: string[] = []
  const { time, jobs } = coordinating(async ({ manifest }) => {
    names.push(manifest.name)
    return opened
  })
  const [over, open] = [await sealed('over'), await sealed('open')]
  const stop = { kind: statementKind.stop, job: over.job, at: created, reason: 'enough' }
  await jobs.recall(over.envelope, [(await sealStatement(stop, ownerKey)).envelope])
  await jobs.recall(open.envelope, [])
  await time.pass(1_000)
  expect(names).toEqual(['open'])
})

test('jobs are opened one after the other, but one that waits for its blocks gives way after ten seconds', async () => {
  const names: string[] = []
  let finish = (_: OpenJob) => {}
  const { time, jobs } = coordinating(({ manifest }, { signal }) => {
    names.push(manifest.name)
    return new Promise((resolve, reject) => {
      finish = resolve
      signal.addEventListener('abort', () => reject(signal.reason))
    })
  })
  for (const name of ['first', 'second', 'third']) await jobs.announce((await sealed(name)).envelope)
  await time.pass(1_000)
  expect(names).toEqual(['first'])
  finish(opened)
  await time.pass(9_000)
  expect(names).toEqual(['first', 'second'])
  await time.pass(1_000)
  expect(names).toEqual(['first', 'second', 'third'])
})

test('what may pass is tried again, and the owner is not troubled with it', async () => {
  let tries = 0
  const { time, jobs, events, said } = coordinating(async () => {
    if (++tries < 4) throw new SwarmError('PEER_GONE', 'the peer went away', { retry: 'other-peer' })
    return opened
  })
  const { job, envelope } = await sealed('job')
  await jobs.announce(envelope)
  await time.pass(6_900)
  expect([events, said(job)]).toEqual([['taken-up', 'retrying', 'retrying', 'retrying'], undefined])
  await time.pass(200)
  expect([events.at(-1), said(job)]).toEqual(['watching', watching])
})

test('what does not pass is told, and the run is watched when it has passed after all', async () => {
  let isFull = true
  const { time, jobs, events, said } = coordinating(async () => {
    if (isFull) throw new SwarmError('STORAGE_FAILED', 'the disk is full')
    return opened
  })
  const { job, envelope } = await sealed('job')
  await jobs.announce(envelope)
  await time.pass(7_100)
  expect([events.at(-1), said(job)]).toEqual([
    'failed',
    'continue: the coordinator cannot measure the run: the disk is full',
  ])
  isFull = false
  await time.pass(60_000)
  expect([events.at(-1), said(job)]).toEqual(['watching', watching])
})

test('a job is tried again also when the owner could not be told why it was not measured', async () => {
  let [tries, unsaid] = [0, 0]
  const { time, jobs, events, said } = coordinating(
    async () => {
      if (++tries < 6) throw new SwarmError('STORAGE_FAILED', 'the disk is full')
      return opened
    },
    async () => {
      if (unsaid === 2) return
      unsaid++
      throw new Error('gossip is down')
    },
  )
  const { job, envelope } = await sealed('job')
  await jobs.announce(envelope)
  await time.pass(60_000)
  expect([unsaid, events.at(-1), said(job)]).toEqual([2, 'watching', watching])
})

test('telling an owner that is cut short because the coordinator stops is no failure to log', async () => {
  const closed: Promise<void>[] = []
  const { coordinator, time, jobs, events } = coordinating(
    async () => {
      throw new SwarmError('MODEL_UNSUPPORTED', 'operator Det is unknown')
    },
    async () => {
      closed.push(coordinator.close())
      throw new Error('gossip is down')
    },
  )
  await jobs.announce((await sealed('job')).envelope)
  await time.pass(100)
  await Promise.all(closed)
  expect([closed.length, events]).toEqual([1, ['taken-up', 'failed']])
})

test('a fault of the job itself is told at once, and the job ends when its minutes are used up', async () => {
  let tries = 0
  const { time, jobs, events, said } = coordinating(async () => {
    tries++
    throw new SwarmError('MODEL_UNSUPPORTED', 'operator Det is unknown')
  })
  const { job, envelope } = await sealed('job')
  await jobs.announce(envelope)
  await time.pass(100)
  const reason = 'the coordinator cannot measure the run: operator Det is unknown'
  expect([events, said(job)]).toEqual([['taken-up', 'failed'], `continue: ${reason}`])
  await time.pass(10 * 60_000)
  expect([tries, said(job)]).toEqual([2, `out-of-budget: the 10 minutes are used up, and ${reason}`])
})

test('a job that its owner stops is no longer waited for', async () => {
  let isGivenUp = false
  const { time, jobs } = coordinating(
    (_, { signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          isGivenUp = true
          reject(signal.reason)
        })
      }),
  )
  const { job, envelope } = await sealed('job')
  await jobs.announce(envelope)
  await time.pass(100)
  const stop = { kind: statementKind.stop, job, at: created, reason: 'enough' }
  await jobs.recall(envelope, [(await sealStatement(stop, ownerKey)).envelope])
  expect(isGivenUp).toBe(true)
})
