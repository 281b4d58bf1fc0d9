/** Every rule of the coordinator at its boundary, who may choose what is measured, and that verdicts never go back. */

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type PeerReport, RunRecord } from '../../../coordinator/run-record.ts'
import { type Judgement, tick } from '../../../coordinator/tick.ts'
import { milestonesPerPeerMax, peerReportsMax, reportExpiryMs } from '../../../protocols/core/limits.ts'
import type { ConvergenceSpec } from '../../../protocols/jobs/spec.ts'

const accuracyRules: ConvergenceSpec = {
  metric: 'val_accuracy',
  mode: 'max',
  target: 0.9,
  patience: 3,
  minDelta: 0.01,
  evaluateEvery: 2,
  maxRounds: 20,
  maxMinutes: 10,
}
const lossRules: ConvergenceSpec = { ...accuracyRules, metric: 'val_loss', mode: 'min', target: 0.1 }

const classes = 10
const first = { round: 0, root: 'root-0' }

/** A record with one evaluation each 2 rounds; `accuracies` and `losses` in order. */
function measured(
  values: { losses?: number[]; accuracies?: number[] },
  rules: Partial<ConvergenceSpec> = {},
): RunRecord {
  const base = values.losses === undefined ? accuracyRules : lossRules
  const record = new RunRecord({ ...base, ...rules }, 0, classes, first)
  const count = (values.losses ?? values.accuracies ?? []).length
  for (let index = 0; index < count; index++) {
    const round = index * 2
    const [loss, accuracy] = [values.losses?.[index] ?? 1, values.accuracies?.[index] ?? null]
    record.evaluated({ round, root: `root-${round}`, loss, accuracy })
  }
  return record
}

function report(peer: string, round: number, more: Partial<PeerReport> = {}): PeerReport {
  return { peer, round, root: `root-${round}`, loss: 1, isLossNotFinite: false, ...more }
}

/** A record of which no more is measured than what the run started from, which no rule ends. */
function reported(reports: PeerReport[], rules: ConvergenceSpec = accuracyRules): RunRecord {
  const record = measured({ accuracies: [0.1] }, rules)
  for (const item of reports) record.observe(item, 0)
  return record
}

const verdictOf = (record: RunRecord, now = 0): Judgement['verdict'] => tick(record, now).judgement.verdict

describe('converged', () => {
  test('an accuracy on the target converges, one just below does not', () => {
    expect(verdictOf(measured({ accuracies: [0.5, 0.9] }))).toBe('converged')
    expect(verdictOf(measured({ accuracies: [0.5, 0.8999] }))).toBe('continue')
  })

  test('a loss on the target converges, one just above does not', () => {
    expect(verdictOf(measured({ losses: [1, 0.1] }))).toBe('converged')
    expect(verdictOf(measured({ losses: [1, 0.1001] }))).toBe('continue')
  })

  test('the verdict names the first state on target, its value, and the rounds done', () => {
    const record = measured({ accuracies: [0.5, 0.91, 0.95] })
    record.observe(report('a', 7), 0)
    expect(tick(record, 0).judgement).toEqual({
      verdict: 'converged',
      reason: 'val_accuracy 0.91 reached the target 0.9',
      state: { round: 2, root: 'root-2' },
      value: 0.91,
      rounds: 7,
    })
  })

  test('a run that is on target converges even when its time is up', () => {
    expect(verdictOf(measured({ accuracies: [0.95] }), 11 * 60_000)).toBe('converged')
  })

  test('without a target no accuracy converges', () => {
    expect(verdictOf(measured({ accuracies: [0.5, 1] }, { target: undefined }))).toBe('continue')
  })
})

describe('plateaued', () => {
  test('as many evaluations as the patience without an improvement end the run, one fewer does not', () => {
    expect(verdictOf(measured({ accuracies: [0.3, 0.5, 0.5, 0.5] }))).toBe('continue')
    expect(verdictOf(measured({ accuracies: [0.3, 0.5, 0.5, 0.5, 0.5] }))).toBe('plateaued')
  })

  test('an improvement counts only when it is more than min_delta', () => {
    expect(verdictOf(measured({ losses: [1, 0.995, 0.993, 0.991] }))).toBe('plateaued')
    expect(verdictOf(measured({ losses: [1, 0.995, 0.993, 0.989] }))).toBe('continue')
  })

  test('many improvements below min_delta add up to one', () => {
    expect(verdictOf(measured({ accuracies: [0.5, 0.506, 0.512, 0.518, 0.524, 0.53] }))).toBe('continue')
  })

  test('the verdict keeps the best state, not the last', () => {
    const { judgement } = tick(measured({ accuracies: [0.3, 0.5, 0.4, 0.45, 0.2] }), 0)
    expect(judgement.state).toEqual({ round: 2, root: 'root-2' })
    expect(judgement.value).toBe(0.5)
  })
})

describe('diverged', () => {
  test('a held-out loss that is not finite diverges at once', () => {
    expect(verdictOf(measured({ losses: [1, Number.NaN] }))).toBe('diverged')
    expect(verdictOf(measured({ losses: [1, Number.POSITIVE_INFINITY] }))).toBe('diverged')
  })

  test('a held-out loss above 1.5 times the best diverges when seen twice running', () => {
    expect(verdictOf(measured({ losses: [1, 1.51] }))).toBe('continue')
    expect(verdictOf(measured({ losses: [1, 1.51, 1.5] }))).toBe('continue')
    expect(verdictOf(measured({ losses: [1, 1.51, 1.51] }))).toBe('diverged')
  })

  test('near a loss of zero, losing less than a tenth of what was gained is no divergence', () => {
    expect(verdictOf(measured({ losses: [2.2, 0.2, 0.39, 0.39] }))).toBe('continue')
    expect(verdictOf(measured({ losses: [2.2, 0.2, 0.41, 0.41] }))).toBe('diverged')
  })

  test('where accuracy is asked for, a rising loss diverges once a tenth of what was learned is lost, twice', () => {
    const losses = [2.3, 0.2, 1.2, 1.4]
    const judged = (accuracies: number[], rules: Partial<ConvergenceSpec> = {}) =>
      verdictOf(measured({ losses, accuracies }, { ...accuracyRules, target: 0.99, ...rules }))
    expect(judged([0.1, 0.94, 0.93, 0.93])).toBe('continue')
    expect(judged([0.1, 0.9, 0.81, 0.83])).toBe('continue')
    expect(judged([0.1, 0.9, 0.83, 0.81])).toBe('continue')
    expect(judged([0.1, 0.9, 0.81, 0.81])).toBe('diverged')
    expect(judged([0.1, 0.94, 0.93, 0.93], lossRules)).toBe('diverged')
  })

  test('a rising loss diverges while the accuracy is that of guessing', () => {
    const record = measured({ losses: [2.3, 4, 1e6], accuracies: [0.1, 0.11, 0.1] }, accuracyRules)
    expect(verdictOf(record)).toBe('diverged')
  })

  test('a training loss that is not finite diverges at a majority of the reporting peers', () => {
    const broken = { isLossNotFinite: true, loss: null }
    expect(verdictOf(reported([report('a', 1, broken), report('b', 1)]))).toBe('continue')
    const three = reported([report('a', 1, broken), report('b', 1), report('c', 1, broken)])
    expect(tick(three, 0).judgement.reason).toBe('the training loss of 2 of 3 peers is not finite')
    expect(verdictOf(three)).toBe('diverged')
  })
})

describe('out of budget', () => {
  test('the last round ends the run once its state is measured', () => {
    const record = measured({ accuracies: [0.1, 0.2, 0.3] }, { maxRounds: 5 })
    for (const peer of ['a', 'b']) record.observe(report(peer, 5), 0)
    expect(tick(record, 0).evaluate).toEqual({ round: 5, root: 'root-5' })
    expect(verdictOf(record)).toBe('continue')
    record.evaluated({ round: 5, root: 'root-5', loss: 1, accuracy: 0.4 })
    expect(tick(record, 0).judgement).toMatchObject({ verdict: 'out-of-budget', rounds: 5, value: 0.4 })
  })

  test('the time is up at max_minutes and not a millisecond earlier', () => {
    const record = measured({ accuracies: [0.1] })
    expect(verdictOf(record, 10 * 60_000 - 1)).toBe('continue')
    expect(verdictOf(record, 10 * 60_000)).toBe('out-of-budget')
  })

  test('a run without any measurement keeps the newest agreed state', () => {
    const record = new RunRecord(accuracyRules, 0, classes, first)
    for (const item of [report('a', 3), report('b', 3), report('c', 4)]) record.observe(item, 0)
    const { judgement } = tick(record, 10 * 60_000)
    expect(judgement).toMatchObject({ verdict: 'out-of-budget', state: { round: 3 }, value: null, rounds: 3 })
  })
})

describe('what is measured next', () => {
  test('what the run starts from comes first, before any peer is there and however far they are', () => {
    const record = new RunRecord(accuracyRules, 0, classes, first)
    expect(tick(record, 0).evaluate).toEqual(first)
    for (const peer of ['a', 'b']) record.observe(report(peer, 8), 0)
    expect(tick(record, 0).evaluate).toEqual(first)
    record.evaluated({ ...first, loss: 2.3, accuracy: 0.1 })
    expect(tick(record, 0).evaluate).toEqual({ round: 8, root: 'root-8' })
  })

  test('the newest milestone that more than half of the reporting peers have named', () => {
    const record = reported([report('a', 4), report('b', 2), report('c', 2), report('d', 2)])
    expect(tick(record, 0).evaluate).toEqual({ round: 2, root: 'root-2' })
    record.observe(report('b', 4), 0)
    expect(tick(record, 0).evaluate?.round).toBe(2)
    record.observe(report('c', 4), 0)
    expect(tick(record, 0).evaluate).toEqual({ round: 4, root: 'root-4' })
  })

  test('a peer that went on still counts for the milestone it left', () => {
    const record = reported([report('a', 2), report('b', 2), report('a', 3), report('b', 3)])
    expect(tick(record, 0).evaluate).toEqual({ round: 2, root: 'root-2' })
  })

  test('a state is measured once, and none older than the last', () => {
    const record = reported([report('a', 2), report('a', 4)])
    record.evaluated({ round: 4, root: 'root-4', loss: 1, accuracy: 0.5 })
    expect(tick(record, 0).evaluate).toBeUndefined()
  })

  test('one liar among three cannot choose the state', () => {
    const record = reported([report('a', 2), report('b', 2), report('liar', 8, { root: 'forged' })])
    expect(tick(record, 0).evaluate).toEqual({ round: 2, root: 'root-2' })
  })

  test('peers that fell silent no longer count in the majority', () => {
    const record = reported([report('a', 2), report('b', 2), report('c', 2)])
    record.observe(report('a', 4), 1)
    record.forgetSilent(reportExpiryMs)
    expect(record.reports.map(({ peer }) => peer)).toEqual(['a'])
    expect(tick(record, 0).evaluate?.round).toBe(4)
  })

  test('nothing, when the run is over', () => {
    const record = reported([report('a', 2)])
    expect(tick(record, 10 * 60_000).evaluate).toBeUndefined()
  })
})

test('a late report does not take a peer back', () => {
  const record = reported([report('a', 5), report('a', 3)])
  expect(record.reports).toEqual([report('a', 5)])
})

test('peers with different roots of one round are reported, the larger branch first', () => {
  const record = reported([report('a', 3, { root: 'other' }), report('b', 3), report('c', 3), report('d', 4)])
  expect(tick(record, 0).forks).toEqual([
    {
      round: 3,
      branches: [
        { root: 'root-3', peers: ['b', 'c'] },
        { root: 'other', peers: ['a'] },
      ],
    },
  ])
})

test('who goes supports nothing any more, and who comes back supports what it names then', () => {
  const record = new RunRecord(accuracyRules, 0, classes, first)
  const supported = () => [...record.supported].map(({ state, peers }) => [state.round, [...peers].sort()])
  record.observe(report('a', 2), 0)
  record.observe(report('b', 2), 0)
  record.observe(report('b', 3), 0)
  expect(supported()).toEqual([
    [2, ['a', 'b']],
    [3, ['b']],
  ])
  record.forget('b')
  expect(supported()).toEqual([[2, ['a']]])
  record.observe(report('b', 3), 0)
  expect(supported()).toEqual([
    [2, ['a']],
    [3, ['b']],
  ])
})

test('the record is bounded in peers and in milestones of each', () => {
  const record = new RunRecord(accuracyRules, 0, classes, first)
  for (let round = 0; round <= 2 * milestonesPerPeerMax; round += 2) record.observe(report('a', round), 0)
  expect([...record.supported].length).toBe(milestonesPerPeerMax)
  for (let index = 0; index <= peerReportsMax; index++) record.observe(report(`peer-${index}`, 1), 0)
  expect(record.reports.length).toBe(peerReportsMax)
})

type Happening =
  | { kind: 'report'; report: PeerReport }
  | { kind: 'evaluation'; loss: number; accuracy: number }
  | { kind: 'silence'; ms: number }

const happenings: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({
    kind: fc.constant('report' as const),
    report: fc.record({
      peer: fc.constantFrom('a', 'b', 'c'),
      round: fc.nat(5),
      root: fc.constantFrom('x', 'x', 'x', 'y'),
      loss: fc.constant(1),
      isLossNotFinite: fc.nat(9).map((chance) => chance === 0),
    }),
  }),
  fc.record({
    kind: fc.constant('evaluation' as const),
    loss: fc.oneof(fc.double({ min: 0, max: 3, noNaN: true }), fc.constant(1), fc.constant(Number.NaN)),
    accuracy: fc.double({ min: 0, max: 1, noNaN: true }),
  }),
  fc.record({ kind: fc.constant('silence' as const), ms: fc.integer({ min: 1, max: 100_000 }) }),
)

/** Short patience, so that a short list of happenings can reach every verdict. */
const quickRules: ConvergenceSpec = { ...accuracyRules, evaluateEvery: 1, patience: 1, target: 0.95 }

test('whatever happens, only new milestones of a run that goes on are measured, and every verdict can come', () => {
  const seen = new Set<string>()
  fc.assert(
    fc.property(fc.array(happenings, { maxLength: 80, size: 'max' }), (list) => {
      const record = new RunRecord(quickRules, 0, classes, first)
      let now = 0
      for (const happening of list) {
        if (happening.kind === 'report') record.observe(happening.report, now)
        if (happening.kind === 'silence') now += happening.ms
        record.forgetSilent(now)
        const { judgement, evaluate } = tick(record, now)
        seen.add(judgement.verdict)
        if (evaluate === undefined) continue
        expect(judgement.verdict).toBe('continue')
        expect(record.isMilestone(evaluate.round)).toBe(true)
        expect(evaluate.round).toBeGreaterThan(record.evaluations.at(-1)?.round ?? -1)
        if (happening.kind === 'evaluation') record.evaluated({ ...evaluate, ...happening })
      }
    }),
    { numRuns: 500, seed: 7 },
  )
  expect([...seen].sort()).toEqual(['continue', 'converged', 'diverged', 'out-of-budget', 'plateaued'])
})
