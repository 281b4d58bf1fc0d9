/** The table of `converge`: the mean over the seeds of each swarm, beside the one machine's over the same seeds. */

import type { CodecName } from '../../protocols/wire/codecs/index.ts'
import { tableText } from '../statistics.ts'
import type { Recipe } from './recipe.ts'
import { type RunResult, recipeKey } from './results.ts'

/** One line. */
export interface ConvergeRow {
  peers: number
  steps: number
  codec: CodecName
  recipe: Recipe
  tokens: number
  seeds: number
  loss: number
  loss_min: number
  loss_max: number
  /** Above the one machine's mean over the same seeds, as a share of it; null where that was not trained. */
  excess: number | null
  /** As in {@link RunResult}. */
  bytes_up_per_parameter_round: number
  bytes_up_per_parameter_step: number
}

/**
 * The lines of `results`, which are of one text and one number of tokens. The one machine that others are compared with
 * is the best of those that trained with as many windows and the same optimizer.
 */
export function rowsOf(results: readonly RunResult[]): ConvergeRow[] {
  const groups = new Map<string, RunResult[]>()
  for (const result of results) {
    const key = [result.peers, result.steps, result.codec, recipeKey(result.recipe)].join()
    groups.set(key, [...(groups.get(key) ?? []), result])
  }
  const machines = [...groups.values()].filter((group) => group[0]!.peers === 1)
  return [...groups.values()].map((group) => rowOf(group, machines))
}

function rowOf(group: readonly RunResult[], machines: readonly RunResult[][]): ConvergeRow {
  const { peers, steps, codec, recipe, tokens } = group[0]!
  const losses = group.map(({ loss }) => loss)
  const reference = referenceOf(group, machines)
  return {
    peers,
    steps,
    codec,
    recipe,
    tokens,
    seeds: group.length,
    loss: mean(losses),
    loss_min: Math.min(...losses),
    loss_max: Math.max(...losses),
    excess: reference === undefined ? null : mean(losses) / reference - 1,
    bytes_up_per_parameter_round: mean(group.map((result) => result.bytes_up_per_parameter)),
    bytes_up_per_parameter_step: mean(group.map((result) => result.bytes_up_per_parameter_step)),
  }
}

/** The least mean loss of a one machine that has all of `group`'s seeds. */
function referenceOf(group: readonly RunResult[], machines: readonly RunResult[][]): number | undefined {
  const { windows, optimizer } = group[0]!.recipe
  const means = machines
    .filter(([machine]) => machine!.recipe.windows === windows && machine!.recipe.optimizer === optimizer)
    .map((machine) => machine.filter(({ seed }) => group.some((each) => each.seed === seed)))
    .filter((machine) => machine.length === group.length)
    .map((machine) => mean(machine.map(({ loss }) => loss)))
  return means.length === 0 ? undefined : Math.min(...means)
}

/** `rows` as text. */
export function convergeText(rows: readonly ConvergeRow[]): string {
  return tableText([heading, ...rows.map(cellsOf)])
}

const heading = [
  'swarm',
  'recipe',
  'seeds',
  'held-out loss',
  'above one machine',
  'B up/param, round',
  'B up/param, step',
]

function cellsOf(row: ConvergeRow): string[] {
  const { peers, steps, codec } = row
  return [
    peers === 1 ? 'one machine' : `${peers} peers, ${steps} local steps, ${codec}`,
    recipeText(row),
    String(row.seeds),
    `${row.loss.toFixed(4)} (${row.loss_min.toFixed(4)}–${row.loss_max.toFixed(4)})`,
    row.excess === null ? '' : `${(100 * row.excess).toFixed(2)} %`,
    row.bytes_up_per_parameter_round.toFixed(3),
    row.bytes_up_per_parameter_step.toFixed(4),
  ]
}

function recipeText({ peers, steps, recipe }: ConvergeRow): string {
  const { optimizer, windows, learningRate, outer, averagedSteps } = recipe
  const inner = `${windows} windows, ${optimizer} ${learningRate}`
  if (peers === 1 || steps === 1) return inner
  const momentum = outer.kind === 'nesterov' ? ` and ${outer.momentum}` : ''
  const first = averagedSteps === 0 ? '' : `, ${averagedSteps} averaged steps first`
  return `${inner}, outer ${outer.learningRate}${momentum}${first}`
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
