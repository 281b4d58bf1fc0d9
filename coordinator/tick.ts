/**
 * The coordinator's judgement, as one pure function of what is known about a run and the time.
 *
 *     RunRecord + now ──▶ evaluate:  which state to measure next
 *                     ──▶ judgement: whether the run goes on, and why not
 *                     ──▶ forks:     rounds on which the peers disagree
 *
 * Verdicts are monotone advice: who watches a run stops at the first final one that it gives or hears. So two
 * coordinators, a late one or one that comes back can end a run early or late, but never take back that it ended.
 */

import { isFinal } from '../protocols/jobs/statement.ts'
import { agreedStates, type Fork, findForks, nextEvaluation } from './agreement.ts'
import { bestEvaluation, type FinalVerdict, firstOnTarget, metricOf, roundsDone, rules } from './rules.ts'
import type { RunRecord, StateName } from './run-record.ts'

/** A run's standing: it goes on, or it has ended. */
export interface Judgement {
  verdict: 'continue' | FinalVerdict
  /** One sentence for people. */
  reason: string
  /** The state worth keeping: the one on target, else the best measured, else the newest agreed; `null` with none. */
  state: StateName | null
  /** The job's metric at `state`; `null` when it was not measured. */
  value: number | null
  /** Rounds that a majority had committed. */
  rounds: number
}

export interface Decisions {
  /** The agreed state to measure next; absent when nothing new is agreed or the run is over. */
  evaluate: StateName | undefined
  judgement: Judgement
  forks: Fork[]
}

/**
 * `record` is read, not changed; `now` is on the same clock as `record.startedMs`.
 * The caller evaluates one state at a time: while it does, it ignores `evaluate`.
 */
export function tick(record: RunRecord, now: number): Decisions {
  const judgement = judge(record, now)
  return {
    evaluate: isFinal(judgement) ? undefined : nextEvaluation(record),
    judgement,
    forks: findForks(record),
  }
}

function judge(record: RunRecord, now: number): Judgement {
  const measured = firstOnTarget(record) ?? bestEvaluation(record)
  const state = measured ?? agreedStates(record)[0]
  const common = {
    state: state === undefined ? null : { round: state.round, root: state.root },
    value: measured === undefined ? null : metricOf(record, measured),
    rounds: roundsDone(record),
  }
  for (const rule of rules) {
    const reason = rule.reason(record, now)
    if (reason !== undefined) return { verdict: rule.verdict, reason, ...common }
  }
  return { verdict: 'continue', reason: 'no rule that ends the run applies yet', ...common }
}
