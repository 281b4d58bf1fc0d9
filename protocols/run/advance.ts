/**
 * State `r + 1` from state `r` and what round `r` came to: a pure function of what all peers agree on, so that all come
 * to the same bits. The outer optimizer steps on the average; whoever is a member now gets a lease, sized by what it
 * said of its own pace when it gave its update.
 */

import type { Contribution, RoundOutcome } from '../allreduce/index.ts'
import { cursorAfter, type Leases, type LeaseUnit } from './leases.ts'
import { nextLocalSteps } from './local-steps.ts'
import { firstLocalSteps, isGradientJob, type RunPlan } from './plan.ts'
import type { OuterOptimizer } from './ports.ts'
import type { State } from './state.ts'

type Committed = Extract<RoundOutcome, { kind: 'committed' }>

/** The state before round 0. `initial`: f32[parameterCount], copied. */
export function firstState(plan: RunPlan, initial: Float32Array, outer: OuterOptimizer): State {
  return {
    job: plan.job,
    round: 0,
    weight: 0,
    electorate: [],
    leases: { cursor: 0, firstStep: 0, steps: firstLocalSteps(plan), holders: [], rates: [] },
    ahead: null,
    parameters: initial.slice(),
    outer: new Float32Array(outer.stateLength(initial.length)),
  }
}

/** The state after the round that starts from `from`, whose arrays stay as they are. */
export function advance(from: State, outcome: Committed, plan: RunPlan, optimizer: OuterOptimizer): State {
  const parameters = from.parameters.slice()
  const outer = from.outer.slice()
  optimizer.step(parameters, outer, outcome.average, {
    learningRate: plan.outerLearningRate(from.round),
    stepNumber: from.round + 1,
  })
  return {
    job: from.job,
    round: from.round + 1,
    weight: from.weight + outcome.totalWeight,
    electorate: outcome.electorate,
    ...nextLeases(from, outcome, plan),
    parameters,
    outer,
  }
}

/** What a step of a lease is in this job. */
export function leaseUnit(plan: RunPlan): LeaseUnit {
  return { batch: plan.batch, isGradient: isGradientJob(plan), isEven: plan.hasEvenLeases }
}

function nextLeases(from: State, outcome: Committed, plan: RunPlan): Pick<State, 'leases' | 'ahead'> {
  const current = heldLeases(from.leases, outcome.electorate)
  const following = (before: Leases, contributions: readonly Contribution[]): Leases => ({
    cursor: cursorAfter(before, contributions, leaseUnit(plan)),
    firstStep: before.firstStep + before.steps,
    steps: stepsAfter(current.steps, outcome.contributors, plan),
    holders: outcome.electorate,
    rates: outcome.electorate.map((peer) => rateOf(peer, outcome.contributors, current)),
  })
  const leases = from.ahead ?? following(current, outcome.contributors)
  // What the next round will use of its overflow is not known yet: where peers begin early, nobody uses any.
  return { leases, ahead: plan.isOverlapped ? following(leases, []) : null }
}

/**
 * In the first round whoever was there shared the samples alike; the members that came of it are near enough to them.
 */
function heldLeases(leases: Leases, electorate: readonly string[]): Leases {
  if (leases.holders.length > 0) return leases
  return { ...leases, holders: electorate, rates: electorate.map(() => 0) }
}

function rateOf(peer: string, contributions: readonly Contribution[], { holders, rates }: Leases): number {
  const said = contributions.find((contribution) => contribution.peer === peer)?.pace?.samplesPerSecond
  return said ?? rates[holders.indexOf(peer)] ?? 0
}

function stepsAfter(steps: number, contributions: readonly Contribution[], plan: RunPlan): number {
  if (plan.localSteps !== 'auto') return plan.localSteps
  return nextLocalSteps({ steps, contributions, batch: plan.batch, isOverlapped: plan.isOverlapped })
}
