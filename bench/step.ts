/**
 * A training step against its limits: three times onnxruntime's own forward pass (one forward, two products of the same
 * size for each on the way back), the machine's own matrix product, TensorFlow.js on WebAssembly, and PyTorch on the
 * same cores.
 *
 * Every contender is a process that trains the same model with the same batch; they take turns, one at a time, and are
 * compared within each round, so that a machine that slows down half-way slows all of them. A turn's time is the best
 * of its runs, since other programs only ever add time; across rounds the median is told, with least and greatest. Who
 * fails, or is too slow to wait for, is told of in a line, and the others go on.
 *
 * Part of the repository and not of the command line: its contenders are development's, and an installed program has
 * none.
 */
import type { Recomputation } from '../engine/program/recomputation.ts'
import { quantile, type Spread, spreadOf, spreadText, tableText } from './statistics.ts'
import type { Opened, Work } from './step/calls.ts'
import { type Case, type CaseName, caseNames, cases } from './step/cases.ts'
import {
  type Contender,
  type ContenderName,
  contenderNames,
  contendersFor,
  tfjsTitles,
} from './step/contenders.ts'
import { matmulOperations } from './step/models.ts'

/** One line of the result. Ratios are of the same round; null where the contender has nothing to compare with. */
export interface StepRow {
  model: string
  batch: number
  engine: string
  /** Of the processor; null on a graphics processor. */
  threads: number | null
  /** Why it did not take part; the numbers are null then. */
  absent: string | null
  steps_per_s: number | null
  step_ms: Spread | null
  /**
   * Step by three forward passes. 1 is the least it can cost, or a little less: nobody asks for the samples' gradient.
   */
  of_limit: Spread | null
  /**
   * Operations a second, as a share (0 to 1) of what onnxruntime's product of large matrices reaches in the same turn.
   */
  of_matmul: Spread | null
  /** How many times faster than TF.js on one thread: with its own gradients, and with those of products rewritten. */
  by_tfjs: Spread | null
  by_tuned_tfjs: Spread | null
  /** How many times faster than PyTorch with as many threads. */
  by_pytorch: Spread | null
  /** From the model file to the training graphs. */
  build_ms: number | null
  /**
   * Largest resident memory of the process that trains, without what it is compared with; memory of a device is not in
   * it.
   */
  peak_memory_mb: number | null
}

/** Rounds that are counted; one before them warms up. */
const roundCountDefault = 5

/** A turn ends when this is over, so that a slow contender costs little more than a fast one. */
const turnMs = 600

/**
 * Products that a machine's rate is the best of. Many, since one that is disturbed makes the step look better than it
 * is.
 */
const matmulRepeatsMax = 50

/** Who takes longer for a step does not take part: a turn cannot be shorter than a step, and all turns wait for it. */
const stepMsMax = 15_000

export interface StepOptions {
  json: boolean
  /** Default: all. */
  models?: readonly CaseName[] | undefined
  contenders?: readonly ContenderName[] | undefined
  rounds?: number | undefined
  /** What our contenders recompute. Default: nothing. */
  recomputation?: Recomputation | undefined
}

/** Measures model by model, about seven minutes in all on two quiet cores; prints a table for each unless `json`. */
export async function benchStep({ json, ...options }: StepOptions): Promise<StepRow[]> {
  const { models = caseNames, contenders = contenderNames, recomputation = 'nothing' } = options
  const rows: StepRow[] = []
  for (const model of models) {
    const rounds = options.rounds ?? cases[model].rounds ?? roundCountDefault
    const measured = await measure(model, contendersFor(model, contenders, recomputation), rounds)
    rows.push(...measured)
    if (!json)
      process.stdout.write(`\n${cases[model].title}, batch ${cases[model].batch}\n${table(measured)}`)
  }
  return rows
}

/** What a contender did in each round, in ms. */
interface Times {
  contender: Contender
  opened: Opened
  rounds: Partial<Record<Work, number>>[]
}

async function measure(
  model: CaseName,
  contenders: readonly Contender[],
  roundCount: number,
): Promise<StepRow[]> {
  const field: Times[] = []
  try {
    for (const contender of contenders) field.push(await enter(contender))
    for (let round = -1; round < roundCount; round++) {
      for (const times of field) await playRound(times, cases[model], round >= 0)
    }
  } finally {
    await Promise.all(contenders.map((contender) => contender.close()))
  }
  return field.map((times) => rowOf(cases[model], times, field))
}

async function enter(contender: Contender): Promise<Times> {
  const times: Times = { contender, opened: { works: [] }, rounds: [] }
  await attempt(times, async () => {
    times.opened = await contender.open()
    if (times.opened.absent !== undefined) return
    const stepMs = await contender.run({ work: 'step', repeatsMax: 2, ms: 4 * stepMsMax }) // a stall is no slowness
    if (stepMs > stepMsMax) throw new Error(`a step takes ${Math.round(stepMs / 1000)} s`)
  })
  return times
}

async function playRound(times: Times, { repeatsMax }: Case, isCounted: boolean): Promise<void> {
  await attempt(times, async () => {
    const { contender, opened, rounds } = times
    const played: Partial<Record<Work, number>> = {}
    for (const work of opened.works) {
      const most = work === 'matmul' ? matmulRepeatsMax : repeatsMax
      played[work] = await contender.run({ work, repeatsMax: most, ms: turnMs })
    }
    if (isCounted && opened.works.length > 0) rounds.push(played)
  })
}

/** A contender that fails leaves, with the first line of what it says; what it did before does not count. */
async function attempt(times: Times, task: () => Promise<void>): Promise<void> {
  try {
    await task()
  } catch (error) {
    const [reason] = (error instanceof Error ? error.message : String(error)).split('\n')
    times.opened = { absent: reason!, works: [] }
    times.rounds = []
    await times.contender.close()
  }
}

function rowOf({ title, batch }: Case, times: Times, field: readonly Times[]): StepRow {
  const { contender, opened, rounds } = times
  const { name, threads } = contender
  const steps = rounds.map(({ step }) => step!)
  const isOurs = opened.operations !== undefined
  const of = (ratios: number[]) => (ratios.length === 0 ? null : spreadOf(ratios))
  const by = (isOther: (other: Contender) => boolean) => {
    const other = isOurs ? field.find((candidate) => isOther(candidate.contender)) : undefined
    return of((other?.rounds ?? []).map(({ step }, round) => step! / steps[round]!))
  }
  const limits = rounds.flatMap(({ step, forward }) => (forward === undefined ? [] : [step! / (3 * forward)]))
  const shares = rounds.flatMap(({ step, matmul }) =>
    matmul === undefined ? [] : [opened.operations! / step! / (matmulOperations / matmul)],
  )
  return {
    model: title,
    batch,
    engine: contender.title,
    threads,
    absent: opened.absent ?? null,
    steps_per_s: steps.length === 0 ? null : 1000 / quantile(steps, 0.5),
    step_ms: of(steps),
    of_limit: of(limits),
    of_matmul: of(shares),
    by_tfjs: by((other) => other.title === tfjsTitles.shipped),
    by_tuned_tfjs: by((other) => other.title === tfjsTitles.tuned),
    by_pytorch: by((other) => name !== 'webgpu' && other.name === 'pytorch' && other.threads === threads),
    build_ms: opened.buildMs ?? null,
    peak_memory_mb: opened.memoryMb ?? null,
  }
}

/** Said below a table whose products were disturbed. */
const doubt =
  'A share over 100 %: another program had the processor during the products. Measure on a quiet machine.\n'

function table(rows: readonly StepRow[]): string {
  const number = (value: number | null, digits: number) => (value === null ? '' : value.toFixed(digits))
  const spread = (value: Spread | null, digits: number) => (value === null ? '' : spreadText(value, digits))
  const percent = (share: Spread | null) =>
    share && { median: 100 * share.median, min: 100 * share.min, max: 100 * share.max }
  const heading = ['', 'threads', 'steps/s', 'ms', 'of 3 forwards', '% of matmul']
  const compared = ['by TF.js', 'by tuned', 'by PyTorch', 'build ms', 'memory MB']
  const lines = rows
    .filter(({ absent }) => absent === null)
    .map((row) => [
      row.engine,
      number(row.threads, 0),
      number(row.steps_per_s, 1),
      spread(row.step_ms, 1),
      spread(row.of_limit, 2),
      spread(percent(row.of_matmul), 0),
      spread(row.by_tfjs, 2),
      spread(row.by_tuned_tfjs, 2),
      spread(row.by_pytorch, 2),
      number(row.build_ms, 0),
      number(row.peak_memory_mb, 0),
    ])
  const missing = rows.filter(({ absent }) => absent !== null)
  const absences = missing.map(({ engine, threads, absent }) =>
    threads === null ? `${engine}: ${absent}\n` : `${engine}, threads ${threads}: ${absent}\n`,
  )
  const isDisturbed = rows.some(({ of_matmul }) => of_matmul !== null && of_matmul.max > 1)
  const present = lines.length === 0 ? '' : tableText([[...heading, ...compared], ...lines])
  return present + absences.join('') + (isDisturbed ? doubt : '')
}
