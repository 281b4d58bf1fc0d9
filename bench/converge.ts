/**
 * What averaging costs in loss: the GPT of examples/shakespeare, trained on the same number of tokens by one machine and by
 * swarms of several sizes, local steps and codecs, each the mean of several seeds. All share one global batch and one number
 * of inner steps: with twice the peers, each trains half the batch.
 *
 * The swarm runs in this process (converge/swarm.ts): a run's real leases, codecs, error feedback and outer step, no network and
 * no faults. The whole table takes hours; results are kept in a file after each run, and what is in it is not run again.
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
  const known = await readResults(options.results)
  const sizes = new Set<number>()
  for (const run of runsOf(options)) {
    const recipe = recipeOf(run, options.recipe)
    const totalSteps = innerSteps(options.tokens, recipe.windows)
    const tokens = totalSteps * recipe.windows * contextTokens
    sizes.add(tokens)
    const identity = { ...run, recipe, text, tokens }
    if (known.some((result) => isSame(result, identity))) continue
    const trained = await trainRun(run, { model, recipe, totalSteps, dataSet })
    const { loss, bytesUpPerParameter, seconds } = trained
    const result = { ...identity, loss, bytes_up_per_parameter: bytesUpPerParameter, seconds }
    known.push(result)
    await writeResults(options.results, known)
    if (!options.json) process.stdout.write(`${runText(result)}\n`)
  }
  const rows = rowsOf(known.filter((result) => result.text === text && sizes.has(result.tokens)))
  if (!options.json) process.stdout.write(`\n${convergeText(rows)}`)
  return rows
}

/** Seed by seed, and in each the one machine first, since all others are compared with it. */
function runsOf({ peersList, stepsList, codecs, seeds }: ConvergeOptions): Run[] {
  const swarms = peersList
    .filter((peers) => peers > 1)
    .flatMap((peers) => stepsList.flatMap((steps) => codecs.map((codec) => ({ peers, steps, codec }))))
    // error feedback needs an optimizer without momentum, and AdamW steps on the mean when there is one local step
    .filter(({ steps, codec }) => steps > 1 || codec !== 'topk')
  const machine = peersList.includes(1) ? [{ peers: 1, steps: oneMachineSteps, codec: 'f32' as const }] : []
  return Array.from({ length: seeds }, (_, seed) =>
    [...machine, ...swarms].map((each) => ({ ...each, seed: seed + 1 })),
  ).flat()
}

function runText({ peers, steps, codec, seed, loss, seconds }: RunResult): string {
  return `${peers} peers, ${steps} local steps, ${codec}, seed ${seed}: loss ${loss.toFixed(4)}, ${seconds.toFixed(0)} s`
}
