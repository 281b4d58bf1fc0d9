/**
 * What averaging costs in loss: the GPT of examples/shakespeare, trained on the same number of tokens by one machine
 * and by swarms of several sizes, local steps and codecs, each the mean of several seeds. All share one global batch
 * and one number of inner steps: with twice the peers, each trains half the batch.
 *
 * The swarm runs in this process (converge/swarm.ts): a run's real leases, codecs, error feedback and outer step, no
 * network and no faults. The whole table takes hours; results are kept in a file after each run, and what is in it is
 * not run again.
 */

import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { CodecName } from '../protocols/wire/codecs/index.ts'
import { contextTokens, corpus } from './converge/corpus.ts'
import { innerSteps, oneMachineSteps, type RecipeOverrides, type Run, recipeOf } from './converge/recipe.ts'
import { isSame, type RunResult, readResults, writeResults } from './converge/results.ts'
import { type ConvergeRow, convergeText, rowsOf } from './converge/table.ts'
import { trainRun } from './converge/train.ts'

export interface ConvergeOptions {
  /** 1 is the one machine. */
  peersList: readonly number[]
  stepsList: readonly number[]
  codecs: readonly CodecName[]
  seeds: number
  /** Tokens that each run trains on, at least. */
  tokens: number
  recipe: RecipeOverrides
  /** File of results; what it holds of the same settings is not run again. */
  results: string
}

const modelPath = fileURLToPath(new URL('../examples/shakespeare/gpt.onnx', import.meta.url))

/** Trains what is not in the results file yet, and tells the table of all that is in it of the same tokens. */
export async function benchConverge(options: ConvergeOptions & { json: boolean }): Promise<ConvergeRow[]> {
  const { text, dataSet } = await corpus()
  const model = new Uint8Array(await readFile(modelPath))
  const planned = runsOf(options).map((run) => plannedOf(run, options))
  const known = await readResults(options.results)
  for (const { run, recipe, totalSteps, tokens } of planned) {
    const identity = { ...run, recipe, text, tokens }
    if (known.some((result) => isSame(result, identity))) continue
    const trained = await trainRun(run, { model, recipe, totalSteps, dataSet })
    const result: RunResult = {
      ...identity,
      loss: trained.loss,
      bytes_up_per_parameter: trained.bytesUpPerParameter,
      bytes_up_per_parameter_step: trained.bytesUpPerParameterStep,
      seconds: trained.seconds,
    }
    known.push(result)
    await writeResults(options.results, known)
    if (!options.json) process.stdout.write(`${runText(result)}\n`)
  }
  const sizes = new Set(planned.map(({ tokens }) => tokens))
  const rows = rowsOf(known.filter((result) => result.text === text && sizes.has(result.tokens)))
  if (!options.json) process.stdout.write(`\n${convergeText(rows)}`)
  return rows
}

/** Seed by seed, and in each the one machine first, since all others are compared with it. */
function runsOf({ peersList, stepsList, codecs, seeds, recipe }: ConvergeOptions): Run[] {
  const swarms = peersList
    .filter((peers) => peers > 1)
    .flatMap((peers) => stepsList.flatMap((steps) => codecs.map((codec) => ({ peers, steps, codec }))))
    // error feedback needs an optimizer without momentum, Muon whole matrices: neither steps on a mean of gradients
    .filter(({ steps, codec }) => !hasAveragedGradients(steps, recipe) || isForGradients(codec, recipe))
  const machine = peersList.includes(1) ? [{ peers: 1, steps: oneMachineSteps, codec: 'f32' as const }] : []
  return Array.from({ length: seeds }, (_, seed) =>
    [...machine, ...swarms].map((each) => ({ ...each, seed: seed + 1 })),
  ).flat()
}

function plannedOf(run: Run, options: ConvergeOptions) {
  const recipe = recipeOf(run, options.recipe)
  const totalSteps = innerSteps(options.tokens, recipe.windows)
  const localSteps = totalSteps - recipe.averagedSteps
  if (localSteps <= 0 || localSteps % run.steps !== 0)
    throw new Error(`${totalSteps} steps less ${recipe.averagedSteps} are no whole rounds of ${run.steps}`)
  return { run, recipe, totalSteps, tokens: totalSteps * recipe.windows * contextTokens }
}

function hasAveragedGradients(steps: number, { averagedSteps = 0 }: RecipeOverrides): boolean {
  return steps === 1 || averagedSteps > 0
}

function isForGradients(codec: CodecName, { optimizer }: RecipeOverrides): boolean {
  return codec !== 'topk' && optimizer !== 'muon'
}

function runText({ peers, steps, codec, seed, loss, seconds }: RunResult): string {
  return `${peers} peers, ${steps} local steps, ${codec}, seed ${seed}: loss ${loss.toFixed(4)}, ${seconds.toFixed(0)} s`
}
