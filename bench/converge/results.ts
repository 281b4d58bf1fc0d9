/** The file of results: a list of runs, written after each, so that hours of training can be cut into slices. */

import { readFile, writeFile } from 'node:fs/promises'
import type { Recipe, Run } from './recipe.ts'

/** Everything that makes two runs the same. */
export interface RunIdentity extends Run {
  recipe: Recipe
  text: string
  tokens: number
}

/** A run and what came of it. */
export interface RunResult extends RunIdentity {
  /** Mean held-out loss of the last state, nats a token. */
  loss: number
  /** Of one peer in a round of local steps. */
  bytes_up_per_parameter: number
  /** Of one peer by inner steps, over the whole run: what runs with other numbers of local steps are compared by. */
  bytes_up_per_parameter_step: number
  seconds: number
}

/** The results in the file at `path`; none where there is no file yet. */
export async function readResults(path: string): Promise<RunResult[]> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as RunResult[]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

export async function writeResults(path: string, results: readonly RunResult[]): Promise<void> {
  await writeFile(path, `${JSON.stringify(results, null, 2)}\n`)
}

export function isSame(a: RunIdentity, b: RunIdentity): boolean {
  return keyOf(a) === keyOf(b)
}

function keyOf({ peers, steps, codec, seed, recipe, text, tokens }: RunIdentity): string {
  return [peers, steps, codec, seed, text, tokens, recipeKey(recipe)].join()
}

/** One text for each recipe, in whatever order a file has its keys. */
export function recipeKey({ optimizer, windows, learningRate, outer, averagedSteps }: Recipe): string {
  const momentum = outer.kind === 'nesterov' ? outer.momentum : 0
  return [optimizer, windows, learningRate, outer.learningRate, momentum, averagedSteps].join()
}
