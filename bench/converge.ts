/**
 * What averaging costs in loss: the GPT of examples/shakespeare, trained on the same number of tokens by one machine and by
 * swarms of several sizes, local steps and codecs, each the mean of several seeds. All swarms share the global batch and the
 * number of inner steps of the one machine: with twice the peers, each trains half the batch (as the DiLoCo scaling laws do,
 * Charles et al. 2025, table 4).
 *
 * The swarm runs in this process (converge-swarm.ts): real peers, codecs, error feedback, leases and outer optimizers, no
 * network and no faults. The whole table takes hours; results are kept in a file after each run, and what is in it is not
 * run again.
 */

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { batch } from '../data/batch.ts'
import type { DataSet } from '../data/data-set.ts'
import { sampleAt } from '../data/sampler.ts'
import { textDataSet } from '../data/text.ts'
import type { Compute, OpenedModel } from '../engine/compute/compute.ts'
import {
  learningRate,
  type OuterSettings,
  outerOptimizer,
  type TrainSettings,
  trainingSpec,
} from '../engine/job-settings.ts'
import { openNodeCompute } from '../node/compute.ts'
import { seededRandom } from '../protocols/core/random.ts'
import { outerDefault } from '../protocols/jobs/spec.ts'
import { type CodecName, codecFor } from '../protocols/wire/codecs/index.ts'
import { runSwarm } from './converge-swarm.ts'
import { tableText } from './statistics.ts'

export interface ConvergeOptions {
  peersList: readonly number[]
  stepsList: readonly number[]
  codecs: readonly CodecName[]
  seeds: number
  /** Tokens that each run trains on, at least. */
  tokens: number
  /** File of results; what it holds of the same settings is not run again. */
  results: string
}

/** One run. */
interface Run {
  peers: number
  steps: number
  codec: CodecName
  seed: number
}

/** A run and what came of it. `text` and `tokens` are part of what makes runs comparable. */
interface RunResult extends Run {
  text: string
  tokens: number
  /** Mean held-out loss of the last state, nats a token. */
  loss: number
  bytes_up_per_parameter: number
  seconds: number
}

/** One line of the table: the mean over the seeds. */
export interface ConvergeRow {
  peers: number
  steps: number
  codec: CodecName
  seeds: number
  loss: number
  loss_min: number
  loss_max: number
  /** Above the one machine's mean, as a share of it. */
  excess: number | null
  bytes_up_per_parameter_round: number
  /** The same for each inner step, which is what runs with other numbers of local steps are compared by. */
  bytes_up_per_parameter_step: number
}

const contextTokens = 64

/** Samples of one inner step of the whole swarm: 8 peers with 4 each, and enough for the optimizer's rate. */
const globalBatch = 32

/** Held-out windows that measure the last state: 32,768 tokens, a standard error of about 0.01 nats that is the same for all. */
const heldOut = 512

const examples = fileURLToPath(new URL('../examples/', import.meta.url))

/** Trains what is not in the results file yet, and tells the table. */
export async function benchConverge(options: ConvergeOptions & { json: boolean }): Promise<ConvergeRow[]> {
  const { text, dataSet } = await corpus()
  const known = await readResults(options.results)
  const tokens = innerSteps(options.tokens) * globalBatch * contextTokens
  const isKnown = (run: Run) => known.some((result) => isSame(result, { ...run, text, tokens }))
  for (const run of runsOf(options)) {
    if (isKnown(run)) continue
    const result = await train(run, { tokens, text, dataSet })
    known.push(result)
    await writeFile(options.results, `${JSON.stringify(known, null, 1)}\n`)
    if (!options.json) process.stdout.write(`${runText(result)}\n`)
  }
  const rows = rowsOf(known.filter((result) => result.text === text && result.tokens === tokens))
  if (!options.json) process.stdout.write(`\n${tableText([heading, ...rows.map(cellsOf)])}`)
  return rows
}

/** The one machine first, since all others are compared with it. */
function runsOf({ peersList, stepsList, codecs, seeds }: ConvergeOptions): Run[] {
  const swarms = peersList
    .filter((peers) => peers > 1)
    .flatMap((peers) => stepsList.flatMap((steps) => codecs.map((codec) => ({ peers, steps, codec }))))
    // error feedback needs an optimizer without momentum, and AdamW steps on the mean when there is one local step
    .filter(({ steps, codec }) => steps > 1 || codec !== 'topk')
  const machine = { peers: 1, steps: oneMachineSteps, codec: 'f32' as const }
  return Array.from({ length: seeds }, (_, seed) =>
    [machine, ...swarms].map((each) => ({ ...each, seed: seed + 1 })),
  ).flat()
}

/** One peer that takes its own steps whole: the plain optimizer, whatever the number. Ten give ten times fewer hashes. */
const oneMachineSteps = 10

/** Inner steps of the whole swarm for at least `tokens`: whole rounds of 1, 10, 30 and 100 of them. */
const innerSteps = (tokens: number) => 300 * Math.ceil(tokens / (300 * globalBatch * contextTokens))

/** The example's training, with the schedule over the steps of this run. */
function settingsOf({ peers, steps }: Run, totalSteps: number): TrainSettings {
  return {
    optimizer: 'adamw',
    learningRate: 0.003,
    betas: [0.9, 0.99],
    epsilon: 1e-8,
    weightDecay: 0.1,
    gradClip: 1,
    schedule: 'cosine',
    warmupSteps: Math.ceil(totalSteps / 20),
    totalSteps,
    minLearningRate: 0.0001,
    batchSize: globalBatch / peers,
    localSteps: steps,
  }
}

async function train(
  run: Run,
  { tokens, text, dataSet }: { tokens: number; text: string; dataSet: DataSet },
): Promise<RunResult> {
  const startedMs = performance.now()
  const { peers, steps, codec, seed } = run
  const totalSteps = innerSteps(tokens)
  const settings = settingsOf(run, totalSteps)
  const computes = Array.from({ length: peers }, () => openNodeCompute())
  try {
    const model = new Uint8Array(await readFile(join(examples, 'shakespeare/gpt.onnx')))
    const spec = trainingSpec({ loss: 'softmax_cross_entropy' }, settings)
    const opened = await Promise.all(
      computes.map((compute) => compute.open(model, spec, { backend: 'native', threads: 1 })),
    )
    const outer = peers === 1 ? { kind: 'plain' as const, learningRate: 1 } : outerOf(codec)
    const optimizer = outerOptimizer(settings, steps > 1 ? outer : undefined, opened[0]!.parameters)
    const result = await runSwarm(
      {
        plan: {
          job: 'converge',
          batch: settings.batchSize,
          localSteps: steps,
          isSparse: codec === 'topk',
          isOverlapped: false,
          hasEvenLeases: true,
          peersMin: peers,
          roundsMax: Math.ceil(totalSteps / steps),
          localLearningRate: (step) => learningRate(settings, step),
          outerLearningRate: optimizer.learningRate,
        },
        initial: initialOf(opened[0]!, seed),
        trainers: computes,
        samples: {
          batch: (positions) =>
            batch(
              dataSet.train,
              positions.map((position) => sampleAt(seed, dataSet.train.count, position)),
              opened[0]!,
            ),
        },
        outerOptimizer: optimizer,
        codec: codecFor(codec),
      },
      { signal: new AbortController().signal },
    )
    const loss = await heldOutLoss(computes[0]!, opened[0]!, dataSet, result.parameters)
    const seconds = (performance.now() - startedMs) / 1000
    return { ...run, text, tokens, loss, bytes_up_per_parameter: result.bytesUpPerParameter, seconds }
  } finally {
    await Promise.all(computes.map((compute) => compute.close()))
  }
}

/**
 * These runs have tens of rounds, in which momentum 0.9 is still accelerating: after ten rounds with 8 peers, 0.7 and 0.9 gave
 * a loss of 2.456, 0.9 and 0.8 2.447, 0.7 and 0.5 2.441, 1 and 0.5 2.433.
 */
function outerOf(codec: CodecName): OuterSettings {
  const outer = outerDefault({ codec })
  return outer.kind === 'nesterov' ? { kind: 'nesterov', learningRate: 1, momentum: 0.5 } : outer
}

/** Another start for each seed: the file's weight matrices with their elements shuffled, which keeps each one's distribution. */
function initialOf({ initial, parameters }: OpenedModel, seed: number): Float32Array {
  const random = seededRandom(seed)
  const values = initial.slice()
  for (const { offset, length, shape } of parameters) {
    if (shape.length < 2) continue
    for (let i = length - 1; i > 0; i--) {
      const other = offset + random.integer(i + 1)
      const value = values[offset + i]!
      values[offset + i] = values[other]!
      values[other] = value
    }
  }
  return values
}

async function heldOutLoss(
  compute: Compute,
  opened: OpenedModel,
  { validation }: DataSet,
  parameters: Float32Array,
): Promise<number> {
  const windows = Array.from({ length: heldOut }, (_, index) =>
    Math.floor((index * (validation.count - 1)) / (heldOut - 1)),
  )
  const size = opened.inputs[0]!.shape[0]!
  const batches = Array.from({ length: Math.floor(heldOut / size) }, (_, index) =>
    batch(validation, windows.slice(index * size, (index + 1) * size), opened),
  )
  return (await compute.evaluate(parameters, batches)).loss
}

/** Tiny Shakespeare where STARLING_TEST_DATA names a folder that holds it, else a text drawn here. */
async function corpus(): Promise<{ text: string; dataSet: DataSet }> {
  const folder = process.env.STARLING_TEST_DATA
  const bytes = folder === undefined ? drawnText() : await readFile(join(folder, 'tinyshakespeare.txt'))
  return {
    text: folder === undefined ? 'drawn words' : 'Tiny Shakespeare',
    dataSet: textDataSet(bytes, { context: contextTokens, split: 0.9 }),
  }
}

/** 400,000 characters of 200 words, each more often the earlier it stands; 65 different characters, as the model has. */
function drawnText(): Uint8Array {
  const random = seededRandom(7)
  const alphabet = Array.from({ length: 64 }, (_, i) => String.fromCharCode(33 + i))
  const words = Array.from({ length: 200 }, () =>
    Array.from({ length: 2 + random.integer(7) }, () => alphabet[random.integer(64)]!).join(''),
  )
  let text = alphabet.join('')
  while (text.length < 400_000) text += ` ${words[Math.floor(200 * random.next() ** 2)]!}`
  return new TextEncoder().encode(text)
}

async function readResults(path: string): Promise<RunResult[]> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as RunResult[]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function isSame(a: Omit<RunResult, 'loss' | 'bytes_up_per_parameter' | 'seconds'>, b: typeof a): boolean {
  const key = (run: typeof a) => [run.peers, run.steps, run.codec, run.seed, run.text, run.tokens].join()
  return key(a) === key(b)
}

function rowsOf(results: readonly RunResult[]): ConvergeRow[] {
  const groups = new Map<string, RunResult[]>()
  for (const result of results) {
    const key = [result.peers, result.steps, result.codec].join()
    groups.set(key, [...(groups.get(key) ?? []), result])
  }
  const machine = results.filter(({ peers }) => peers === 1)
  return [...groups.values()].map((group) => {
    const { peers, steps, codec } = group[0]!
    const losses = group.map(({ loss }) => loss)
    const seeds = new Set(group.map(({ seed }) => seed))
    const reference = machine.filter(({ seed }) => seeds.has(seed)).map(({ loss }) => loss)
    const bytes = mean(group.map((result) => result.bytes_up_per_parameter))
    return {
      peers,
      steps,
      codec,
      seeds: group.length,
      loss: mean(losses),
      loss_min: Math.min(...losses),
      loss_max: Math.max(...losses),
      excess: reference.length === group.length ? mean(losses) / mean(reference) - 1 : null,
      bytes_up_per_parameter_round: bytes,
      bytes_up_per_parameter_step: bytes / steps,
    }
  })
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

const heading = [
  'swarm',
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
    String(row.seeds),
    `${row.loss.toFixed(4)} (${row.loss_min.toFixed(4)}–${row.loss_max.toFixed(4)})`,
    row.excess === null ? '' : `${(100 * row.excess).toFixed(2)} %`,
    row.bytes_up_per_parameter_round.toFixed(3),
    row.bytes_up_per_parameter_step.toFixed(4),
  ]
}

function runText({ peers, steps, codec, seed, loss, seconds }: RunResult): string {
  return `${peers} peers, ${steps} local steps, ${codec}, seed ${seed}: loss ${loss.toFixed(4)}, ${seconds.toFixed(0)} s`
}
