/** The watch over one run on virtual time: what it keeps is what its verdict names. */

import { expect, test } from 'vitest'
import { type Measurement, RunWatch, type WatchInit } from '../../../coordinator/watch.ts'
import type { JobNotice } from '../../../protocols/jobs/record.ts'
import type { Statement } from '../../../protocols/jobs/statement.ts'
import { encodeState, type State } from '../../../protocols/run/state.ts'
import { root as job } from '../jobs/example.ts'
import { VirtualTime } from './virtual-time.ts'

const state = (round: number): State => ({
  job,
  round,
  leases: { cursor: 0, firstStep: 0, steps: 1, holders: [], rates: [] },
  ahead: null,
  weight: round,
  electorate: [],
  parameters: Float32Array.of(round),
  outer: new Float32Array(0),
})
const first = state(0)
const [second, fourth] = [await encodeState(state(2)), await encodeState(state(4))]

const progress = (round: number, root: string, peer = 'a'): JobNotice => ({
  kind: 'progress',
  job,
  peer,
  progress: {
    round,
    root,
    weight: 1,
    phase: 'training',
    loss: 1,
    isLossNotFinite: false,
    samplesTrained: 1,
    samplesPerSecond: 1,
    uploadedBytes: 0,
    downloadedBytes: 0,
    at: 0,
  },
})

/** A run of a minute that is watched on `time`; `measure` by the parameter, which is the state's round. */
function watched(time: VirtualTime, measure: (round: number) => Promise<Measurement>) {
  const said: Statement[] = []
  const kept: string[] = []
  let hear: (notice: JobNotice) => void = () => {}
  let miss: (peer: string) => void = () => {}
  const init: WatchInit = {
    job,
    rules: {
      metric: 'val_accuracy',
      mode: 'max',
      patience: 3,
      minDelta: 0,
      evaluateEvery: 2,
      maxRounds: 20,
      maxMinutes: 1,
    },
    classes: 10,
    expected: { job, parameters: 1, outer: 0 },
    first: { root: 'first', state: () => first },
    jobs: {
      follow: (_, listener) => {
        hear = listener
        return () => {}
      },
      publishStatement: async (statement) => {
        said.push(statement)
      },
    },
    blocks: {
      fetchBlocks: async (cids) => cids.map((cid) => (second.blocks.get(cid) ?? fourth.blocks.get(cid))!),
    },
    onPeerGone: (listener) => {
      miss = listener
      return () => {}
    },
    measure: (parameters) => measure(parameters[0]!),
    keep: async (root) => {
      kept.push(root)
    },
    clock: time.clock,
    epochMs: () => time.clock.now(),
    createdMs: 0,
  }
  const ended = new RunWatch(init).run({ signal: new AbortController().signal })
  return {
    said,
    kept,
    ended,
    hear: (notice: JobNotice) => hear(notice),
    miss: (peer: string) => miss(peer),
  }
}

test('a measurement that is under way when the time is up does not replace the state that the verdict names', async () => {
  const time = new VirtualTime()
  let finish: (measurement: Measurement) => void = () => {}
  const better = new Promise<Measurement>((resolve) => {
    finish = resolve
  })
  let begun = 0
  const run = watched(time, (round) => {
    begun++
    return round < 4 ? Promise.resolve({ loss: 1, accuracy: round / 4 }) : better
  })
  run.hear(progress(2, second.root.toString()))
  await time.until(() => run.kept.length === 2)
  run.hear(progress(4, fourth.root.toString()))
  await time.until(() => begun === 3)
  await time.pass(59_000)
  await time.pass(1_000)
  finish({ loss: 0.5, accuracy: 0.9 })
  await time.until(() => run.said.some((statement) => 'verdict' in statement))
  const verdict = await run.ended
  expect(verdict).toMatchObject({ verdict: 'out-of-budget', state: { root: run.kept.at(-1) } })
  expect(run.said.at(-1)).toBe(verdict)
})

test('of four peers two are gone: what the other two hold is measured at once, not when the gone have been silent long', async () => {
  const time = new VirtualTime()
  const measured: number[] = []
  const run = watched(time, async (round) => {
    measured.push(round)
    return { loss: 1, accuracy: round / 4 }
  })
  await time.until(() => run.kept.length === 1)
  expect(measured).toEqual([0]) // what the run starts from, before anybody is there
  for (const peer of ['a', 'b', 'c', 'd']) run.hear(progress(2, second.root.toString(), peer))
  await time.until(() => run.kept.length === 2)
  for (const peer of ['a', 'b']) run.hear(progress(4, fourth.root.toString(), peer))
  await time.pass(2_000)
  expect(measured).toEqual([0, 2]) // half of those who report is no majority
  for (const peer of ['c', 'd']) run.miss(peer)
  await time.pass(2_000)
  expect(measured).toEqual([0, 2, 4])
})

test('a state that cannot be measured is tried again after pauses that double, a newer one at once; the first final verdict heard ends the watch', async () => {
  const time = new VirtualTime()
  const tries: { round: number; atMs: number }[] = []
  const run = watched(time, async (round) => {
    if (round > 0) tries.push({ round, atMs: time.clock.now() })
    if (round === 2) throw new Error('out of memory')
    return { loss: 1, accuracy: 0.1 }
  })
  run.hear(progress(2, second.root.toString()))
  await time.pass(8_000)
  const gaps = tries.slice(1).map(({ atMs }, place) => atMs - tries[place]!.atMs)
  expect(gaps).toEqual([1_000, 2_000, 4_000])
  run.hear(progress(4, fourth.root.toString()))
  await time.pass(250)
  expect(tries.at(-1)!.round).toBe(4)
  const verdict = { kind: 2, job, at: 0, reason: 'early', state: null, value: null, rounds: 4 } as const
  run.hear({ kind: 'verdict', job, signer: 'another', verdict: { ...verdict, verdict: 'plateaued' } })
  run.hear({ kind: 'verdict', job, signer: 'a third', verdict: { ...verdict, verdict: 'converged' } })
  await time.pass(250)
  expect(await run.ended).toMatchObject({ verdict: 'plateaued' })
})

test('a job that has expired is watched no longer, also when its minutes are not used up', async () => {
  const time = new VirtualTime()
  const run = watched(time, async () => ({ loss: 1, accuracy: 0.1 }))
  await time.until(() => run.kept.length === 1)
  let end: unknown
  void run.ended.then((found) => {
    end = found
  })
  run.hear({ kind: 'forgotten', job })
  await time.pass(1_000)
  expect(end).toBe('stopped')
})
