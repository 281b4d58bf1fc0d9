/**
 * The measurements as commands: each with what it takes, and nothing else. What one measures, and how, stands in the
 * file that it is run from.
 */

import { type Command, InvalidArgumentError, Option } from 'commander'
import { recomputations } from '../engine/program/recomputation.ts'
import { wholeNumber } from '../node/cli/common-options.ts'
import { codecNames } from '../protocols/wire/codecs/index.ts'
import { benchBuild } from './build.ts'
import { benchChurn, type ChurnOptions, churnSteps } from './churn.ts'
import { benchCodecs, type CodecsOptions } from './codecs.ts'
import type { RecipeOverrides } from './converge/recipe.ts'
import { benchConverge, type ConvergeOptions } from './converge.ts'
import { benchPledges, type PledgesOptions } from './pledges.ts'
import { benchReduce, type LinkShape, type ReduceOptions } from './reduce.ts'
import { benchSilence, type SilenceOptions } from './silence.ts'
import { benchStartUp } from './start-up.ts'
import { caseNames } from './step/cases.ts'
import { contenderNames } from './step/contenders.ts'
import { benchStep, type StepOptions } from './step.ts'
import { benchTab } from './tab.ts'

/** The action of a measurement: `rows` makes it with the command's options, and writes a table unless they say JSON. */
export type Measure = <Options extends { json: boolean }>(
  rows: (options: Options) => Promise<object[]>,
) => (own: unknown, command: Command) => Promise<void>

/** Those that run when none is named: the others take hours, or many minutes. */
export const shortMeasurements = [
  'build',
  'step',
  'reduce',
  'codecs',
  'pledges',
  'silence',
  'start-up',
  'tab',
] as const

const averageCodecs = ['f32', 'int8', 'int4', 'topk'] as const
const parameters = wholeNumber(1, 100_000_000)
const rounds = wholeNumber(1, 10_000)
const peers = wholeNumber(1, 64)

/** Adds every measurement to `program`. */
export function addMeasurements(program: Command, measure: Measure): void {
  const add = (name: string, summary: string): Command =>
    program
      .command(name)
      .summary(summary)
      .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
  add('build', 'training graphs of two large models, from their files').action(measure(benchBuild))
  addStep(add('step', 'a training step, by its limits, TF.js and PyTorch'), measure)
  add('reduce', 'an average of real peers, by a raw TCP stream')
    .option('--peers <count>', 'peers, each a process', peers, 3)
    .option('--parameters <count>', 'length of the vectors', parameters, 1_000_000)
    .option('--rounds <count>', 'rounds that are counted', rounds, 20)
    .addOption(
      list('--codecs <list>', 'codecs', codecNames).default([...averageCodecs], averageCodecs.join()),
    )
    .option('--link <Mbit/s,ms>', 'rate each way and round trip of every link, by proxies', linkShape)
    .action(measure<ReduceOptions & { json: boolean }>(benchReduce))
  add('codecs', 'coding and decoding of updates, by a copy of the same values')
    .option('--parameters <count>', 'length of the vector', parameters, 1_000_000)
    .option('--rounds <count>', 'turns that are counted', rounds, 20)
    .addOption(list('--codecs <list>', 'codecs', codecNames).default([...codecNames], 'all'))
    .action(measure<CodecsOptions & { json: boolean }>(benchCodecs))
  addConverge(
    add('converge', 'loss at equal tokens, by peers, local steps and codec; hours, and resumable'),
    measure,
  )
  add('churn', 'loss and agreement of real processes of which 30 % are killed in every round; many minutes')
    .option('--peers <count>', 'peers, each a process', peers, 10)
    .option('--rounds <count>', 'rounds of the job', rounds, 50)
    .option('--steps <count>', 'local steps of a round', wholeNumber(1, 1000), churnSteps)
    .option('--seed <number>', 'of who is killed, and when', wholeNumber(0, 2 ** 31), 1)
    .action(measure<ChurnOptions>(benchChurn))
  add('pledges', 'what a voter writes to its disk, by bare writes')
    .option('--parameters <count>', 'of the model', parameters, 1_000_000)
    .option('--rounds <count>', 'turns that are counted', rounds, 20)
    .action(measure<PledgesOptions>(benchPledges))
  add('silence', 'a round in which a peer falls silent, in virtual time')
    .option('--peers <count>', 'peers of the run', peers, 6)
    .option('--seeds <count>', 'seeds of each moment', wholeNumber(1, 1000), 3)
    .option('--link <Mbit/s,ms>', 'updates of 16 MiB over such links; without it, of a few bytes', linkShape)
    .action(measure<SilenceOptions & { json: boolean }>(benchSilence))
  add('start-up', 'nodes from their spawn to their first round, by bare Node and onnxruntime').action(
    measure(benchStartUp),
  )
  add(
    'tab',
    'a tab in Chromium: its first step, steps by TensorFlow.js, links by bare channels, its throttle',
  ).action(measure(benchTab))
}

function addStep(command: Command, measure: Measure): void {
  command
    .addOption(list('--models <list>', 'models', caseNames).default(undefined, 'all'))
    .addOption(list('--contenders <list>', 'what is measured', contenderNames).default(undefined, 'all'))
    .option('--rounds <count>', 'rounds that are counted (default: 5, of ResNet-18 3)', rounds)
    .addOption(
      new Option('--recompute <what>', 'activations that ours makes again')
        .choices(recomputations)
        .default('nothing'),
    )
    .action(
      measure<StepOptions & { recompute: StepOptions['recomputation'] }>(({ recompute, ...options }) =>
        benchStep({ ...options, recomputation: recompute }),
      ),
    )
}

interface ConvergeWords extends Omit<ConvergeOptions, 'peersList' | 'stepsList' | 'recipe'> {
  json: boolean
  peers: number[]
  steps: number[]
  optimizer: RecipeOverrides['optimizer']
  windows: number | undefined
  rate: number | undefined
  outer: RecipeOverrides['outer']
  averaged: number | undefined
}

function addConverge(command: Command, measure: Measure): void {
  command
    .addOption(
      new Option('--peers <list>', 'numbers of peers')
        .argParser(listOf(peers))
        .default([1, 2, 4, 8], '1,2,4,8'),
    )
    .addOption(
      new Option('--steps <list>', 'local steps of a round')
        .argParser(listOf(wholeNumber(1, 1000)))
        .default([1, 10, 30, 100], '1,10,30,100'),
    )
    .addOption(
      list('--codecs <list>', 'codecs', codecNames).default([...averageCodecs], averageCodecs.join()),
    )
    .option('--seeds <count>', 'seeds of each', wholeNumber(1, 100), 3)
    .option('--tokens <count>', 'tokens of each run, in whole rounds', wholeNumber(1, 1e12), 600_000)
    .addOption(new Option('--optimizer <name>', 'of the local steps').choices(['adamw', 'muon']))
    .option('--windows <count>', 'samples of a step of all peers together', wholeNumber(8, 4096))
    .option('--rate <rate>', "the inner learning rate's peak (default: by the number of peers)", positive)
    .option('--outer <rate,momentum>', "the outer step's (default: by the codec)", outerStep)
    .option('--averaged <count>', 'steps at the start whose gradients are averaged', wholeNumber(0, 1e9))
    .option('--results <file>', 'results, which are added to and not measured again', 'converge.json')
    .action(
      measure<ConvergeWords>(({ peers, steps, optimizer, windows, rate, outer, averaged, ...rest }) =>
        benchConverge({
          ...rest,
          peersList: peers,
          stepsList: steps,
          recipe: { optimizer, windows, learningRate: rate, outer, averagedSteps: averaged },
        }),
      ),
    )
}

/** An option whose value is some of `choices`, with commas between them. */
function list<Name extends string>(flags: string, what: string, choices: readonly Name[]): Option {
  const one = (text: string): Name => {
    const found = choices.find((choice) => choice === text)
    if (found === undefined) throw new InvalidArgumentError(`'${text}' is none of ${choices.join(', ')}.`)
    return found
  }
  return new Option(flags, `${what}: ${choices.join(',')}`).argParser(listOf(one))
}

function listOf<Item>(one: (text: string) => Item): (text: string) => Item[] {
  return (text) => text.split(',').map(one)
}

function linkShape(text: string): LinkShape {
  const [mbitPerSecond, rttMs, ...more] = listOf(wholeNumber(1, 100_000))(text)
  if (rttMs === undefined || more.length > 0)
    throw new InvalidArgumentError('It must be Mbit/s and ms, as in 100,50.')
  return { mbitPerSecond: mbitPerSecond!, rttMs }
}

function outerStep(text: string): RecipeOverrides['outer'] {
  const [learningRate, momentum = 0] = listOf(positive)(text)
  if (momentum >= 1) throw new InvalidArgumentError('The momentum must be below 1.')
  return momentum === 0
    ? { kind: 'plain', learningRate: learningRate! }
    : { kind: 'nesterov', learningRate: learningRate!, momentum }
}

function positive(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value <= 100) return value
  throw new InvalidArgumentError('It must be a number from 0 to 100.')
}
