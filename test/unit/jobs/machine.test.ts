import { describe, expect, test } from 'vitest'
import {
  evaluationsMax,
  jobsMax,
  jobsOfOwnerMax,
  peerReportsMax,
  reportExpiryMs,
} from '../../../protocols/core/limits.ts'
import { type JobsState, step } from '../../../protocols/jobs/machine.ts'
import {
  createManifest,
  encodeManifest,
  jobIdOf,
  type ManifestInit,
} from '../../../protocols/jobs/manifest.ts'
import type { Progress } from '../../../protocols/jobs/messages.ts'
import { recalled, statusOf, summaryOf } from '../../../protocols/jobs/record.ts'
import type { SignedJob } from '../../../protocols/jobs/signed.ts'
import { type Statement, statementKind } from '../../../protocols/jobs/statement.ts'
import { coordinatorId, created, manifestInit, ownerId, root, strangerId } from './example.ts'

const nowMs = created + 1000

async function signed(changes: Partial<ManifestInit> = {}): Promise<SignedJob> {
  const manifest = createManifest(manifestInit(changes))
  const bytes = encodeManifest(manifest)
  return { job: await jobIdOf(bytes), manifest, envelope: bytes }
}
const example = await signed()
const { job } = example

/** A registry that knows the example job. */
function opened(): JobsState {
  const state: JobsState = new Map()
  step(state, { kind: 'ManifestOpened', signed: example, from: ownerId, nowMs })
  return state
}

const say = (state: JobsState, statement: Statement, signer = coordinatorId) =>
  step(state, {
    kind: 'StatementOpened',
    signed: { statement, signer, envelope: Uint8Array.of(1) },
    from: strangerId,
  })
const verdict = (said: 'continue' | 'converged' | 'diverged', at: number): Statement => ({
  kind: statementKind.verdict,
  job,
  at,
  verdict: said,
  reason: 'because',
  state: { round: 4, root },
  value: 0.5,
  rounds: 4,
})
const evaluation = (round: number, named = `${root}${round}`): Statement => ({
  kind: statementKind.evaluation,
  job,
  at: nowMs,
  round,
  root: named,
  loss: 1,
  accuracy: 0.5,
})
const stop: Statement = { kind: statementKind.stop, job, at: nowMs, reason: 'enough' }
const progress = (at: number, round = 1): Progress => ({
  round,
  root,
  weight: 10,
  phase: 'training',
  loss: 2,
  isLossNotFinite: false,
  samplesTrained: 10,
  samplesPerSecond: 5,
  uploadedBytes: 1,
  downloadedBytes: 2,
  at,
})
const report = (state: JobsState, peer: string, at: number, heardMs = nowMs, round = 1) =>
  step(state, { kind: 'ProgressReceived', job, peer, progress: progress(at, round), nowMs: heardMs })

describe('a job', () => {
  test('is taken up once, while it is valid', async () => {
    const state = opened()
    expect(state.get(job)?.manifest.name).toBe('glyphs-cnn')
    expect(step(state, { kind: 'ManifestOpened', signed: example, from: ownerId, nowMs })).toEqual([])

    const fresh: JobsState = new Map()
    const at = (time: number) =>
      step(fresh, { kind: 'ManifestOpened', signed: example, from: 'x', nowMs: time })
    expect(at(example.manifest.expires)).toMatchObject([{ kind: 'refused', from: 'x', code: 'EXPIRED' }])
    expect(at(created - 600_001)).toMatchObject([{ kind: 'refused', code: 'JOB_INVALID' }])
    expect(fresh.size).toBe(0)
    expect(at(created - 600_000)).toMatchObject([{ kind: 'added', job }])
  })

  test('is forgotten when it expires, and not a moment before', () => {
    const state = opened()
    const { expires } = example.manifest
    expect(step(state, { kind: 'TimePassed', nowMs: expires - 1 })).toEqual([])
    expect(step(state, { kind: 'TimePassed', nowMs: expires })).toEqual([{ kind: 'forgotten', job }])
    expect(state.size).toBe(0)
  })

  test('takes the place of an ended one where there are too many, or is refused with what to do', async () => {
    const state = opened()
    for (let i = 1; i < jobsMax; i++) {
      const more = await signed({ name: `job-${i}`, owner: i % 2 === 0 ? ownerId : strangerId })
      expect(step(state, { kind: 'ManifestOpened', signed: more, from: ownerId, nowMs })).toHaveLength(1)
    }
    const last = await signed({ name: 'one-more', owner: ownerId })
    const open = () => step(state, { kind: 'ManifestOpened', signed: last, from: ownerId, nowMs })
    expect(open()).toMatchObject([
      { kind: 'refused', code: 'LIMIT_EXCEEDED', hint: expect.stringContaining('Stop a job') },
    ])
    say(state, verdict('converged', nowMs))
    expect(open()).toMatchObject([
      { kind: 'forgotten', job },
      { kind: 'added', job: last.job },
    ])
    expect(state.size).toBe(jobsMax)
  })
})

test('one that comes with its end takes no place of an open job, of its owner least of all', async () => {
  const state: JobsState = new Map()
  for (let i = 0; i < jobsOfOwnerMax; i++) {
    const more = await signed({ name: `job-${i}` })
    step(state, { kind: 'ManifestOpened', signed: more, from: ownerId, nowMs })
  }
  const open = { kind: 'ManifestOpened', signed: example, from: ownerId, nowMs } as const
  expect(step(state, open)).toMatchObject([{ kind: 'refused', code: 'LIMIT_EXCEEDED' }])
  const end = { statement: stop, signer: strangerId, envelope: Uint8Array.of(1) }
  expect(step(state, { ...open, said: [end] })).toMatchObject([{ kind: 'refused', code: 'LIMIT_EXCEEDED' }])
  expect(step(state, { ...open, said: [{ ...end, signer: ownerId }] })).toMatchObject([
    { kind: 'added', job },
    { kind: 'stopped', job },
  ])
  expect(statusOf(state.get(job)!)).toBe('stopped')
})

describe('a statement', () => {
  test('counts only from whom the manifest names for it', () => {
    const state = opened()
    const refused = [{ kind: 'refused', from: strangerId, code: 'REFUSED' }]
    expect(say(state, verdict('converged', nowMs), strangerId)).toMatchObject(refused)
    expect(say(state, verdict('converged', nowMs), ownerId)).toMatchObject(refused)
    expect(say(state, evaluation(2), ownerId)).toMatchObject(refused)
    expect(say(state, stop, coordinatorId)).toMatchObject(refused)
    expect(statusOf(state.get(job)!)).toBe('open')
    expect(say(state, { ...stop, job: 'another' }, ownerId)).toMatchObject([
      { kind: 'refused', code: 'NOT_FOUND' },
    ])
  })

  test('that ends the job is final, whoever speaks later', () => {
    for (const [end, status] of [
      [verdict('converged', nowMs + 5), 'converged'],
      [stop, 'stopped'],
    ] as const) {
      const state = opened()
      expect(say(state, verdict('continue', nowMs))).toMatchObject([
        { kind: 'verdict', signer: coordinatorId },
      ])
      expect(say(state, end, end === stop ? ownerId : coordinatorId)).toHaveLength(1)
      expect(statusOf(state.get(job)!)).toBe(status)
      for (const late of [verdict('continue', nowMs + 9), verdict('diverged', nowMs + 9)]) {
        expect(say(state, late)).toEqual([])
      }
      expect(say(state, stop, ownerId)).toEqual([])
      expect(statusOf(state.get(job)!)).toBe(status)
    }
  })

  test('that goes on is replaced by a newer one only; a final one counts however late it comes', () => {
    const state = opened()
    say(state, verdict('continue', nowMs + 2))
    expect(say(state, verdict('continue', nowMs + 1))).toEqual([])
    expect(say(state, verdict('continue', nowMs + 2))).toEqual([])
    expect(say(state, verdict('continue', nowMs + 3))).toHaveLength(1)
    expect(say(state, verdict('diverged', nowMs))).toHaveLength(1)
    expect(statusOf(state.get(job)!)).toBe('diverged')
  })

  test('about one state is kept once, in the order of rounds, and the oldest go first', () => {
    const state = opened()
    say(state, evaluation(4))
    say(state, evaluation(2))
    expect(say(state, evaluation(4))).toEqual([])
    const rounds = () => state.get(job)!.evaluations.map(({ statement }) => statement.round)
    expect(rounds()).toEqual([2, 4])
    for (let round = 5; rounds().length < evaluationsMax; round++) say(state, evaluation(round))
    say(state, evaluation(9999))
    expect(rounds()).toHaveLength(evaluationsMax)
    expect(rounds()[0]).toBe(4)
    expect(rounds().at(-1)).toBe(9999)
  })
})

describe('progress', () => {
  test('is the newest report of each peer, by the peer’s own clock', () => {
    const state = opened()
    expect(report(state, 'a', 10, nowMs, 3)).toMatchObject([
      { kind: 'progress', peer: 'a', progress: { round: 3 } },
    ])
    expect(report(state, 'a', 10, nowMs, 4)).toEqual([])
    expect(report(state, 'a', 9, nowMs, 5)).toEqual([])
    expect(report(state, 'b', 1, nowMs, 7)).toHaveLength(1)
    expect(summaryOf(state.get(job)!)).toMatchObject({ round: 7, peers: 2, status: 'open' })
    expect(
      step(state, { kind: 'ProgressReceived', job: 'x', peer: 'a', progress: progress(1), nowMs }),
    ).toMatchObject([{ kind: 'refused', code: 'NOT_FOUND' }])
  })

  test('of a silent peer is dropped, and of more peers than the limit refused', () => {
    const state = opened()
    for (let i = 0; i < peerReportsMax; i++) report(state, `peer-${i}`, 1, nowMs + (i === 0 ? 0 : 10))
    expect(report(state, 'one-more', 1)).toMatchObject([{ kind: 'refused', code: 'LIMIT_EXCEEDED' }])
    step(state, { kind: 'TimePassed', nowMs: nowMs + reportExpiryMs })
    expect(state.get(job)!.progress.size).toBe(peerReportsMax - 1)
    expect(report(state, 'one-more', 1)).toHaveLength(1)
  })
})

test('who begins to follow late is told everything that still holds, in the order it makes sense', () => {
  const state = opened()
  report(state, 'a', 1)
  say(state, evaluation(2))
  say(state, verdict('converged', nowMs))
  expect(recalled(state.get(job)!).map(({ kind }) => kind)).toEqual(['progress', 'evaluation', 'verdict'])
})
