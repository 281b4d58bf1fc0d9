/** What a person reads when a run is over: how it ended, where the model is, and what to try next. */

import { bytes, count, loss } from '../../protocols/core/quantities.ts'
import type { RunEnd, VerdictEvent } from '../run/run-events.ts'
import { duration, percent } from './format.ts'

const sentences: { readonly [End in RunEnd]: string } = {
  converged: 'The run converged',
  plateaued: 'The run stopped getting better',
  diverged: 'The run diverged',
  'out-of-budget': 'The run used up its budget',
  stopped: 'The run was stopped',
}

const advice: { readonly [End in RunEnd]: string | undefined } = {
  converged: undefined,
  plateaued: 'Try a longer patience, a smaller learning_rate, or a larger model.',
  diverged: 'Try a smaller learning_rate, or set grad_clip.',
  'out-of-budget': 'Try more max_rounds or max_minutes, or more peers.',
  stopped: undefined,
}

/** The last line of the event stream, for people: `verdict: converged after 40 rounds, …`. */
export function verdictLine(verdict: VerdictEvent): string {
  const { rounds, peers, seconds, uploaded_bytes_per_peer } = verdict
  const value = verdict.value === null ? 'not measured' : metricText(verdict, verdict.value)
  const who = peers === 1 ? '1 peer' : `${count(peers)} peers`
  return (
    `${sentences[verdict.verdict]} after ${count(rounds)} rounds with ${who} in ${duration(seconds)}: ` +
    `${value}, ${bytes(uploaded_bytes_per_peer)} sent by each peer.`
  )
}

/** Lines under the verdict: advice, the model's path, and `commands` that the caller knows to be useful now. */
export function nextSteps(verdict: VerdictEvent, commands: readonly string[]): string[] {
  const hint = advice[verdict.verdict]
  return [
    ...(hint === undefined ? [] : [hint]),
    ...(verdict.model === null ? [] : [`Model: ${verdict.model}`]),
    ...(commands.length === 0 ? [] : ['Next:', ...commands.map((command) => `  ${command}`)]),
  ]
}

function metricText({ metric }: VerdictEvent, value: number): string {
  return metric === 'val_accuracy' ? `held-out accuracy ${percent(value)}` : `held-out loss ${loss(value)}`
}
