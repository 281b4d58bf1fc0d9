/**
 * `npm run bench -- [NAME] [--json]`: runs one measurement, or all. Each is a file beside this one that says what it
 * measures and how; its rows go to stdout, as a table for people or as one JSON document.
 */

import { parseArgs } from 'node:util'
import { type Recomputation, recomputations } from '../engine/program/recomputation.ts'
import { type CodecName, codecFor, codecNames } from '../protocols/wire/codecs/index.ts'
import { benchBuild } from './build.ts'
import { benchChurn, churnSteps } from './churn.ts'
import { benchCodecs } from './codecs.ts'
import type { RecipeOverrides } from './converge/recipe.ts'
import { benchConverge } from './converge.ts'
import { benchPledges } from './pledges.ts'
import { benchReduce, type LinkShape } from './reduce.ts'
import { benchSilence } from './silence.ts'
import { benchStartUp } from './start-up.ts'
import { machineNow, machineText } from './statistics.ts'
import { type CaseName, caseNames } from './step/cases.ts'
import { type ContenderName, contenderNames } from './step/contenders.ts'
import { benchStep } from './step.ts'
import { benchTab } from './tab.ts'

interface Settings {
  json: boolean
  /** Undefined where the command line says nothing: each measurement has its own default. */
  peers: readonly number[] | undefined
  steps: readonly number[] | undefined
  codecs: readonly CodecName[] | undefined
  models: readonly CaseName[] | undefined
  contenders: readonly ContenderName[] | undefined
  parameters: number
  rounds: number | undefined
  recomputation: Recomputation | undefined
  seeds: number
  /** What chance begins with. */
  seed: number
  tokens: number
  recipe: RecipeOverrides
  results: string
  shape: LinkShape | undefined
}

interface Measurement {
  name: string
  summary: string
  run(settings: Settings): Promise<object[]>
}

const measurements: readonly Measurement[] = [
  { name: 'build', summary: 'training graphs of two large models, from their files', run: benchBuild },
  { name: 'step', summary: 'a training step, by its limits, TF.js and PyTorch', run: benchStep },
  {
    name: 'reduce',
    summary: 'an average of real peers, by a raw TCP stream',
    run: ({ peers, codecs, rounds, ...rest }) =>
      benchReduce({
        ...rest,
        peers: peers?.[0] ?? 3,
        codecs: codecs ?? ['f32', 'int8', 'int4', 'topk'],
        rounds: rounds ?? 20,
      }),
  },
  {
    name: 'codecs',
    summary: 'coding and decoding of updates, by a copy of the same values',
    run: ({ codecs, rounds, ...rest }) =>
      benchCodecs({ ...rest, codecs: codecs ?? codecNames, rounds: rounds ?? 20 }),
  },
  {
    name: 'converge',
    summary: 'loss at equal tokens, by peers, local steps and codec; hours, and resumable',
    run: ({ peers, steps, codecs, ...rest }) =>
      benchConverge({
        ...rest,
        peersList: peers ?? [1, 2, 4, 8],
        stepsList: steps ?? [1, 10, 30, 100],
        codecs: codecs ?? ['f32', 'int8', 'int4', 'topk'],
      }),
  },
  {
    name: 'churn',
    summary: 'loss and agreement of real processes of which 30 % are killed in every round; many minutes',
    run: ({ peers, rounds, steps, ...rest }) =>
      benchChurn({
        ...rest,
        peers: peers?.[0] ?? 10,
        rounds: rounds ?? 50,
        steps: steps?.[0] ?? churnSteps,
      }),
  },
  {
    name: 'pledges',
    summary: 'what a voter writes to its disk, by bare writes',
    run: ({ rounds, ...rest }) => benchPledges({ ...rest, rounds: rounds ?? 20 }),
  },
  {
    name: 'silence',
    summary: 'a round in which a peer falls silent, in virtual time',
    run: ({ peers, ...rest }) => benchSilence({ ...rest, peers: peers?.[0] ?? 6 }),
  },
  {
    name: 'start-up',
    summary: 'nodes from their spawn to their first round, by bare Node and onnxruntime',
    run: benchStartUp,
  },
  {
    name: 'tab',
    summary:
      'a tab in Chromium: its first step, steps by TensorFlow.js, links by bare channels, its throttle',
    run: benchTab,
  },
]

const usage = `Usage: npm run bench -- [NAME] [options]

${measurements.map(({ name, summary }) => `  ${name.padEnd(12)} ${summary}`).join('\n')}

Without a name all of them run, one after another, but converge and churn, which take long.

  --json             one JSON document instead of tables
  --peers N          peers, to 64: reduce (default 3), churn (default 10), silence (default 6); converge: a list (default 1,2,4,8)
  --parameters N     reduce, codecs, pledges: length of the vectors (default 1000000)
  --rounds N         rounds that are counted: reduce, codecs, pledges (default 20), step (default 5, ResNet-18 3); of the job: churn (default 50)
  --models LIST      step: ${caseNames.join(',')} (default: all)
  --contenders LIST  step: ${contenderNames.join(',')} (default: all)
  --recompute WHAT   step: activations that ours makes again: ${recomputations.join(', ')} (default: nothing)
  --link MBIT,MS     reduce: links of so many Mbit/s each way and that round trip, by proxies (default: loopback);
                     silence: updates of 16 MiB over uplinks of that rate (default: of a few bytes)
  --steps LIST       local steps: churn (default ${churnSteps}); converge: a list (default 1,10,30,100)
  --codecs LIST      reduce, converge: codecs (default f32,int8,int4,topk); codecs: the same (default all)
  --optimizer NAME   converge: adamw or muon (default adamw)
  --windows N        converge: samples of a step of all peers together (default 32)
  --rate R           converge: the inner learning rate's peak (default: by the number of peers)
  --outer R,M        converge: the outer step's rate and momentum (default: by the codec)
  --averaged N       converge: steps at the start whose gradients are averaged (default 0)
  --seed N           churn: who is killed, and when (default 1)
  --seeds N          converge, silence: seeds of each (default 3)
  --tokens N         converge: tokens of each run (default 600000), in whole rounds
  --results FILE     converge: results, which are added to and not measured again (default converge.json)
  --help             this text
`

process.exitCode = await main()

async function main(): Promise<number> {
  const { settings, chosen, isHelp } = readArguments()
  if (isHelp) {
    process.stdout.write(usage)
    return 0
  }
  if (settings === undefined || chosen.length === 0) {
    process.stderr.write(usage)
    return 2
  }
  const machine = machineNow()
  if (!settings.json) process.stdout.write(`${machineText(machine)}\n`)
  const results: { bench: string; rows: object[] }[] = []
  for (const { name, summary, run } of chosen) {
    if (!settings.json) process.stdout.write(`\n${name}: ${summary}\n`)
    results.push({ bench: name, rows: await run(settings) })
  }
  if (settings.json) process.stdout.write(`${JSON.stringify({ machine, results }, null, 2)}\n`)
  return 0
}

/** These run only when they are asked for. */
function isLong(name: string): boolean {
  return name === 'converge' || name === 'churn'
}

/** `settings` is undefined, or `chosen` empty, when the words make no sense. */
function readArguments(): {
  settings: Settings | undefined
  chosen: readonly Measurement[]
  isHelp: boolean
} {
  try {
    const { values, positionals } = parseArgs({
      options: {
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        peers: { type: 'string' },
        steps: { type: 'string' },
        link: { type: 'string' },
        codecs: { type: 'string' },
        optimizer: { type: 'string' },
        windows: { type: 'string' },
        rate: { type: 'string' },
        outer: { type: 'string' },
        averaged: { type: 'string' },
        seed: { type: 'string', default: '1' },
        seeds: { type: 'string', default: '3' },
        tokens: { type: 'string', default: '600000' },
        results: { type: 'string', default: 'converge.json' },
        parameters: { type: 'string', default: '1000000' },
        rounds: { type: 'string' },
        models: { type: 'string' },
        contenders: { type: 'string' },
        recompute: { type: 'string' },
      },
      allowPositionals: true,
    })
    const chosen = measurements.filter(({ name }) =>
      positionals.length === 0 ? !isLong(name) : positionals.includes(name),
    )
    const isKnown = positionals.every((word) => measurements.some(({ name }) => name === word))
    const settings = {
      json: values.json,
      peers: listOf(values.peers, (text) => wholeNumber(text, 1, 64)),
      steps: listOf(values.steps, (text) => wholeNumber(text, 1, 1000)),
      codecs: listOf(values.codecs, (text) => codecFor(text).name),
      seed: wholeNumber(values.seed, 0, 2 ** 31),
      seeds: wholeNumber(values.seeds, 1, 100),
      tokens: wholeNumber(values.tokens, 1, 1e12),
      recipe: recipeOf(values),
      results: values.results,
      shape: shapeOf(values.link),
      parameters: wholeNumber(values.parameters, 1, 100_000_000),
      rounds: listOf(values.rounds, (text) => wholeNumber(text, 1, 10_000))?.[0],
      models: listOf(values.models, (text) => oneOf(text, caseNames)),
      contenders: listOf(values.contenders, (text) => oneOf(text, contenderNames)),
      recomputation: listOf(values.recompute, (text) => oneOf(text, recomputations))?.[0],
    }
    return { settings, chosen: isKnown ? chosen : [], isHelp: values.help }
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : error}\n\n`)
    return { settings: undefined, chosen: [], isHelp: false }
  }
}

function listOf<Item>(text: string | undefined, read: (item: string) => Item): Item[] | undefined {
  return text?.split(',').map(read)
}

function oneOf<Name extends string>(text: string, names: readonly Name[]): Name {
  const found = names.find((name) => name === text)
  if (found === undefined) throw new Error(`'${text}' is none of ${names.join(', ')}`)
  return found
}

function shapeOf(text: string | undefined): LinkShape | undefined {
  const [mbitPerSecond, rttMs] = listOf(text, (item) => wholeNumber(item, 1, 100_000)) ?? []
  if (mbitPerSecond === undefined) return undefined
  if (rttMs === undefined) throw new Error(`${text} is not MBIT,MS`)
  return { mbitPerSecond, rttMs }
}

function recipeOf({
  optimizer,
  windows,
  rate,
  outer,
  averaged,
}: Partial<Record<'optimizer' | 'windows' | 'rate' | 'outer' | 'averaged', string>>): RecipeOverrides {
  const [outerRate, momentum] = listOf(outer, positive) ?? []
  return {
    optimizer: optimizer === undefined ? undefined : oneOf(optimizer, ['adamw', 'muon'] as const),
    windows: windows === undefined ? undefined : wholeNumber(windows, 8, 4096),
    learningRate: rate === undefined ? undefined : positive(rate),
    outer: outerRate === undefined ? undefined : outerOf(outerRate, momentum ?? 0),
    averagedSteps: averaged === undefined ? undefined : wholeNumber(averaged, 0, 1e9),
  }
}

function outerOf(learningRate: number, momentum: number): RecipeOverrides['outer'] {
  if (momentum >= 1) throw new Error(`a momentum of ${momentum} never ends`)
  return momentum === 0 ? { kind: 'plain', learningRate } : { kind: 'nesterov', learningRate, momentum }
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value >= 0) || value > 100) throw new Error(`${text} is not a number from 0 to 100`)
  return value
}

function wholeNumber(text: string, min: number, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < min || value > max)
    throw new Error(`${text} is not a whole number from ${min} to ${max}`)
  return value
}
