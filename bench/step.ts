/**
 * A training step against its limits: three times onnxruntime's own forward pass (one forward, two products of the same size for
 * each on the way back), the machine's own matrix product, TensorFlow.js on WebAssembly, and PyTorch on the same cores.
 *
 * Every contender is a process that trains the same model with the same batch; they take turns, one at a time, and are compared
 * within each round, so that a machine that slows down half-way slows all of them. A round's time is the best of its repeats,
 * since other programs only ever add time; across rounds the median is told, with least and greatest.
 *
 * Part of the repository and not of the command line: its contenders are development's, and an installed program has none.
 */
import { Child } from './child.ts'
import { quantile, type Spread, spreadOf, spreadText, tableText } from './statistics.ts'
import { matmulOperations, type Opened, type SubjectCalls, type Work } from './step/calls.ts'
import { type Case, type CaseName, caseNames, cases } from './step/cases.ts'
import { Torch } from './step/torch.ts'

/** One line of the result. Ratios are of the same round; null where the contender has nothing to compare with. */
export interface StepRow {
  model: string
  batch: number
  engine: string
  threads: number
  /** Why it did not take part; the numbers are null then. */
  absent: string | null
  steps_per_s: number | null
  step_ms: Spread | null
  /** Step by three forward passes; 1 is the limit. */
  of_limit: Spread | null
  /** Operations a second, as a share of what onnxruntime's product of large matrices reaches here. */
  of_matmul: number | null
  /** How many times faster than TF.js on one thread: with its own gradients, and with those of products rewritten. */
  by_tfjs: number | null
  by_tuned_tfjs: number | null
  /** How many times faster than PyTorch with as many threads. */
  by_pytorch: number | null
  /** From the model file to the training graphs. */
  build_ms: number | null
  /** Largest resident memory of the process, everything that it compares with included. */
  peak_memory_mb: number | null
}

/** Rounds that are counted; one before them warms up. */
const roundCount = 7

const tfjs = { shipped: 'TF.js as shipped', tuned: 'TF.js tuned' } as const

interface Contender {
  engine: string
  threads: number
  open(model: CaseName): Promise<Opened>
  run(work: Work, repeats: number): Promise<number>
  memory(): Promise<number>
  close(): Promise<void>
}

function contenders(model: CaseName): Contender[] {
  const rows: [name: string, engine: string, how: string, threads: number][] = [
    ['bench-step-engine', 'native', 'native', 1],
    ['bench-step-engine', 'native', 'native', 2],
    ['bench-step-engine', 'wasm', 'wasm', 1],
    ['bench-step-engine', 'wasm', 'wasm', 2],
    ['bench-step-engine', 'webgpu', 'webgpu', 1],
    ['bench-step-tfjs', tfjs.shipped, 'as shipped', 1],
    ['bench-step-tfjs', tfjs.tuned, 'tuned', 1],
  ]
  const children = rows.map(([name, engine, how, threads]): Contender => {
    const child = new Child<SubjectCalls>(name)
    return {
      engine,
      threads,
      open: (chosen) => child.ask('open', { model: chosen, threads, how }),
      run: (work, repeats) => child.ask('run', { work, repeats }),
      memory: () => child.ask('memory', null),
      close: () => child.close(),
    }
  })
  const torches = [1, 2].map((threads): Contender => {
    const torch = new Torch(model, threads)
    return {
      engine: 'PyTorch',
      threads,
      open: () => torch.open(),
      run: (_, repeats) => torch.run(repeats),
      memory: () => torch.memory(),
      close: () => torch.close(),
    }
  })
  return [...children, ...torches]
}

/** Measures every model, some minutes in all; prints a table for each unless `json`. */
export async function benchStep({ json }: { json: boolean }): Promise<StepRow[]> {
  const rows: StepRow[] = []
  for (const model of caseNames) {
    const measured = await measure(model)
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
  memoryMb: number
}

async function measure(model: CaseName): Promise<StepRow[]> {
  const field: Times[] = []
  const started = contenders(model)
  try {
    for (const contender of started) {
      const opened = await contender.open(model)
      field.push({ contender, opened, rounds: [], memoryMb: 0 })
    }
    for (let round = -1; round < roundCount; round++) {
      for (const times of field) await playRound(times, cases[model], round >= 0)
    }
    for (const times of field) if (!times.opened.absent) times.memoryMb = await times.contender.memory()
  } finally {
    await Promise.all(started.map((contender) => contender.close()))
  }
  return field.map((times) => rowOf(cases[model], times, field))
}

async function playRound(
  { contender, opened, rounds }: Times,
  { repeats }: Case,
  isCounted: boolean,
): Promise<void> {
  const times: Partial<Record<Work, number>> = {}
  for (const work of opened.works) times[work] = await contender.run(work, repeats)
  if (isCounted && opened.works.length > 0) rounds.push(times)
}

function rowOf({ title, batch }: Case, times: Times, field: readonly Times[]): StepRow {
  const { contender, opened, rounds, memoryMb } = times
  const { engine, threads } = contender
  const steps = rounds.map(({ step }) => step!)
  const isOurs = opened.operations !== undefined
  const others = (name: string, of: number) =>
    field.find((other) => other.contender.engine === name && other.contender.threads === of)
  const median = (ratios: number[]) => (ratios.length === 0 ? null : quantile(ratios, 0.5))
  const by = (other: Times | undefined) =>
    isOurs ? median((other?.rounds ?? []).map(({ step }, round) => step! / steps[round]!)) : null
  const shares = rounds.flatMap(({ step, matmul }) =>
    isOurs ? [(3 * opened.operations!) / step! / (matmulOperations / matmul!)] : [],
  )
  const limits = rounds.flatMap(({ step, forward }) => (forward === undefined ? [] : [step! / (3 * forward)]))
  return {
    model: title,
    batch,
    engine,
    threads,
    absent: opened.absent ?? null,
    steps_per_s: steps.length === 0 ? null : 1000 / quantile(steps, 0.5),
    step_ms: steps.length === 0 ? null : spreadOf(steps),
    of_limit: limits.length === 0 ? null : spreadOf(limits),
    of_matmul: median(shares),
    by_tfjs: by(others(tfjs.shipped, 1)),
    by_tuned_tfjs: by(others(tfjs.tuned, 1)),
    by_pytorch: by(others('PyTorch', threads)),
    build_ms: opened.buildMs ?? null,
    peak_memory_mb: opened.absent === undefined ? memoryMb : null,
  }
}

function table(rows: readonly StepRow[]): string {
  const number = (value: number | null, digits = 2) => (value === null ? '' : value.toFixed(digits))
  const heading = ['', 'threads', 'steps/s', 'ms', 'of 3 forwards', 'of matmul']
  const compared = ['by TF.js', 'by tuned', 'by PyTorch', 'build ms', 'memory MB']
  const there = rows.filter(({ absent }) => absent === null)
  const missing = rows.filter(({ absent }) => absent !== null)
  const lines = there.map((row) => [
    row.engine,
    `${row.threads}`,
    number(row.steps_per_s, 1),
    row.step_ms === null ? '' : spreadText(row.step_ms, 1),
    row.of_limit === null ? '' : spreadText(row.of_limit, 2),
    row.of_matmul === null ? '' : `${(100 * row.of_matmul).toFixed(0)} %`,
    number(row.by_tfjs),
    number(row.by_tuned_tfjs),
    number(row.by_pytorch),
    number(row.build_ms, 0),
    number(row.peak_memory_mb, 0),
  ])
  const absent = missing.map(({ engine, threads, absent }) => `${engine}, ${threads} threads: ${absent}\n`)
  return tableText([[...heading, ...compared], ...lines]) + absent.join('')
}
