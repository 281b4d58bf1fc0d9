/** What a donation has come to: counted from what happens, and right also after a pause. */

import { expect, test } from 'vitest'
import { Ledger } from '../../../browser-client/peer/ledger.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import type { Progress } from '../../../protocols/jobs/index.ts'

const report = (samplesTrained: number, uploadedBytes: number): Progress =>
  ({ samplesTrained, uploadedBytes, downloadedBytes: 2 * uploadedBytes, samplesPerSecond: 7 }) as Progress

const round = (number: number, own: number | undefined, others: number) => ({
  round: number,
  loss: 1.5,
  totalWeight: (own ?? 0) + others,
  contributors: [
    { peer: 'other', weight: others },
    ...(own === undefined ? [] : [{ peer: 'self', weight: own }]),
  ],
})

function begun(): Ledger {
  const ledger = new Ledger(1_000)
  ledger.opened('self')
  return ledger
}

test("the share of the run is this tab's samples among all that were averaged since it joined", () => {
  const ledger = begun()
  ledger.committed(round(0, undefined, 300), 2_000)
  expect(ledger.snapshot.contribution).toMatchObject({ shareOfRun: 0, roundsCommitted: 0 })
  ledger.committed(round(1, 100, 200), 3_000)
  expect(ledger.snapshot.contribution).toMatchObject({ shareOfRun: 100 / 600, roundsCommitted: 1 })
})

test('counters that start again after a pause are added to what was before', () => {
  const ledger = begun()
  ledger.reported(report(256, 1_000))
  ledger.reported(report(512, 1_500))
  ledger.reported(report(128, 200))
  ledger.exchanged({ bytesUp: 10, bytesDown: 20 })
  expect(ledger.snapshot.contribution).toMatchObject({
    samples: 640,
    bytesUp: 1_710,
    bytesDown: 3_420,
    samplesPerSecond: 7,
  })
})

test('the time to the first step counts from the click, and later steps do not change it', () => {
  const ledger = begun()
  ledger.stepped(3_400)
  ledger.stepped(9_000)
  expect(ledger.snapshot.contribution).toMatchObject({ localSteps: 2, firstStepMs: 2_400 })
})

test("a round's own loss and its evaluation become one point of the curve, in the order of the rounds", () => {
  const ledger = begun()
  ledger.committed(round(4, 32, 32), 5_000)
  ledger.committed(round(2, undefined, 32), 6_000)
  ledger.evaluated({ kind: 1, job: 'j', at: 0, round: 4, root: 'r', loss: 0.5, accuracy: 0.9 }, 7_000)
  expect(ledger.snapshot.curve).toEqual([
    { round: 2, seconds: 5, heldOut: null, accuracy: null, own: null },
    { round: 4, seconds: 4, heldOut: 0.5, accuracy: 0.9, own: 1.5 },
  ])
})

test('a long run forgets the beginning of its curve', () => {
  const ledger = begun()
  for (let number = 0; number < 600; number++) ledger.committed(round(number, 1, 1), 2_000)
  expect(ledger.snapshot.curve).toHaveLength(512)
  expect(ledger.snapshot.curve[0]!.round).toBe(88)
})

test('a snapshot that was handed out does not change', () => {
  const ledger = begun()
  const { snapshot } = ledger
  ledger.stepped(2_000)
  ledger.progress({ what: 'model', bytes: 1, bytesTotal: 2 })
  expect(snapshot.contribution.localSteps).toBe(0)
  expect(snapshot.progress).toEqual([])
})

test('that peers speak other versions is shown until a round counts, and not of newcomers afterwards', () => {
  const ledger = begun()
  const mismatch = new SwarmError('VERSION_MISMATCH', 'peer other speaks allreduce/9')
  ledger.differs(mismatch)
  expect(ledger.snapshot.mismatch).toBe(mismatch)
  ledger.committed(round(0, 100, 300), 2_000)
  expect(ledger.snapshot.mismatch).toBeNull()
  ledger.differs(mismatch)
  expect(ledger.snapshot.mismatch).toBeNull()
})
