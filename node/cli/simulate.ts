/**
 * Body of `starling simulate`: runs the experiments of `simulator/` and shows them. What is simulated, and what is not,
 * is told in simulator/averaging/ and simulator/home-links/; every number comes from the seed, none from this machine's
 * speed.
 */

import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { SwarmError } from '../../protocols/core/errors.ts'
import { rowPeersMax } from '../../protocols/core/limits.ts'
import { bytes, count } from '../../protocols/core/quantities.ts'
import { errorPlot } from '../../simulator/averaging/error-plot.ts'
import {
  type ErrorByRound,
  errorByRound,
  methods,
  type RoundsUntil,
  roundsUntil,
} from '../../simulator/averaging/experiment.ts'
import { leastError } from '../../simulator/averaging/least-error.ts'
import { publishedFor, tableFailures, tablePeers } from '../../simulator/averaging/published.ts'
import { machineRounds } from '../../simulator/home-links/machine-rounds.ts'
import { machineWorkload } from '../../simulator/home-links/machine-swarm.ts'
import { type HomeRounds, homeRounds, workload } from '../../simulator/home-links/rounds.ts'
import { percent } from '../terminal/format.ts'
import type { CommonOptions } from './common-options.ts'
import { exitCodes } from './exit-codes.ts'
import { type CliIo, writeJson } from './io.ts'
import { table } from './table.ts'

export interface SimulateOptions extends CommonOptions {
  /** >= 2. */
  peers: number
  /** Probability in [0, 1). */
  failures: number
  /** >= 1. */
  rounds: number
  /** >= 1. */
  draws: number
  /** 32 bits. */
  seed: number
  /** Share of the peers that leave within an hour, in [0, 1). */
  churn: number
  /** Path of a folder for the plot, as typed; made where it is missing. Tables have no plot. */
  svg?: string
  table?: 'moshpit' | 'sizes'
  /** The protocol machines, instead of the plan's functions on a model. */
  machines?: boolean
}

/** Runs what `options` ask for and prints it. @throws the reason of `io.signal` when it aborts. */
export async function runSimulate(options: SimulateOptions, io: CliIo): Promise<number> {
  if (options.machines === true) machines(options, io)
  else if (options.table === 'moshpit') await moshpitTable(options, io)
  else if (options.table === 'sizes') await sizesTable(options, io)
  else await averaging(options, io)
  return exitCodes.ok.code
}

async function averaging(options: SimulateOptions, io: CliIo): Promise<void> {
  const { peers, failures, rounds, draws, seed, churn } = options
  const errors: ErrorByRound[] = []
  for (const method of methods) {
    await breathe(io)
    errors.push(errorByRound(method, { peers, failures }, { rounds, draws, seed }))
  }
  await breathe(io)
  const homeLinks = homeRounds({ peers, churn, seed, draws })
  if (options.svg !== undefined) await draw(resolve(io.cwd, options.svg), errors)
  if (options.json) {
    writeJson(io, { peers, failures, rounds, draws, seed, churn, averaging: errors, homeLinks })
  } else {
    io.stdout.write(
      `${averagingHeading(options)}\n\n${averagingTable(options, errors)}\n${averagingNote}${driftNote}\n`,
    )
    io.stdout.write(`${homesHeading(options)}\n\n${homesTable([homeLinks])}\n${homesNote}`)
  }
}

function machines({ peers, rounds, churn, seed, json }: SimulateOptions, io: CliIo): void {
  if (peers <= rowPeersMax)
    throw new SwarmError('USAGE', `--machines with ${peers} peers: they are one row`, {
      hint: `Ask for more than ${rowPeersMax} peers; single rows are simulated by npm run sim.`,
    })
  const result = machineRounds({ peers, churn, seed }, rounds)
  if (json) {
    writeJson(io, { ...result, churn, seed })
    return
  }
  const { parameters, codec, trainingMs } = machineWorkload
  const { deaths, vectorsSent, roundMs, committedWeight, links } = result
  const heading =
    `${rounds} rounds of the protocol machines: ${count(parameters)} parameters as ${codec} on home links, ${trainingMs / 1000} s of training, ` +
    `${percent(churn)} of the peers leaving within an hour; seed ${seed}.`
  const header = [
    'PEERS',
    'DIED',
    'VECTORS SENT A ROUND',
    'ROUND P50',
    'P95',
    'LEAST WEIGHT',
    'LINKS',
    'MOST',
  ]
  const cells = [
    count(peers),
    String(deaths),
    vectorsSent.toFixed(2),
    seconds(roundMs.p50),
    seconds(roundMs.p95),
    percent(committedWeight),
    links.mean.toFixed(1),
    String(links.max),
  ]
  io.stdout.write(`${heading}\n\n${table(header, [cells])}\n${machinesNote}`)
}

const machinesNote =
  'Every message is encoded, sent and decoded, every commit checked; ROUND is from the last update to a commit. Sketches stand for\n' +
  'the vectors; no packet loss, no slow start, no faults but deaths.\n'

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}

async function draw(folder: string, errors: readonly ErrorByRound[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'errors.svg'), errorPlot(errors))
}

function averagingHeading({ peers, failures, draws, seed }: SimulateOptions): string {
  return (
    `Averaging error of ${count(peers)} peers, ${percent(failures)} of them failing in each round: the variance over all ` +
    `peers, also those that failed; it starts at 1.\nMean of ${draws} draws (median, 90 %), seed ${seed}.`
  )
}

const averagingNote =
  'Starling: the real plan code, sketches of one number a part; peers that return fetch the state and give nothing until they\n' +
  'have it. Keeping: the same round, but they give their old values to it, as the peers of all other methods do.\n' +
  'The others: the rules of the Moshpit paper, one number a peer.\n' +
  'At best: what no method passes, in the mean over many draws, and the share of draws in which it is 0: who failed in every round\n' +
  'has heard nobody.\n'

const driftNote = 'DRIFT: how far the mean over all peers has moved from that of the first values, squared.\n'

function averagingTable(setting: SimulateOptions, errors: readonly ErrorByRound[]): string {
  const rounds = errors[0]!.mean.map((_, index) => `ROUND ${index + 1}`)
  const lines = errors.map(({ method, mean, median, high, drift, vectorsSent }) => [
    method,
    ...mean.map((error, round) => `${short(error)} (${short(median[round]!)}, ${short(high[round]!)})`),
    short(drift),
    vectorsSent.toFixed(2),
  ])
  const least = rounds.map((_, index) => {
    const { mean, noneShare } = leastError(setting, index + 1)
    return `${short(mean)} (0 in ${percent(noneShare)})`
  })
  return table(
    ['METHOD', ...rounds, 'DRIFT', 'VECTORS SENT A ROUND'],
    [...lines, ['At best', ...least, '', '']],
  )
}

/** An error in few characters; what is below the resolution of a double, at a mean near 0, is nothing. */
function short(error: number): string {
  return error < 1e-30 ? '0' : error.toExponential(1)
}

interface TableRow {
  peers: number
  failures: number
  methods: (RoundsUntil & { method: string })[]
  /** Null where the paper has no such row. */
  sgpPublished: RoundsUntil | null
  moshpitPublished: RoundsUntil | null
}

async function moshpitTable({ draws, seed, json }: SimulateOptions, io: CliIo): Promise<void> {
  const rows: TableRow[] = []
  for (const peers of tablePeers) {
    for (const failures of tableFailures) {
      const cells: TableRow['methods'] = []
      for (const method of methods) {
        await breathe(io)
        const rounds = roundsUntil(method, { peers, failures }, { draws, seed })
        cells.push({ method: method.name, ...rounds })
      }
      const { sgp = null, moshpit = null } = publishedFor(peers, failures) ?? {}
      rows.push({ peers, failures, methods: cells, sgpPublished: sgp, moshpitPublished: moshpit })
    }
  }
  if (json) writeJson(io, { draws, seed, rows })
  else io.stdout.write(`${tableHeading(draws, seed)}\n\n${rowsTable(rows)}\n${averagingNote}`)
}

function tableHeading(draws: number, seed: number): string {
  return (
    'Rounds until the variance over all peers is below 1e-9 (below 1e-4), at most 50; ' +
    `mean of ${draws} draws, seed ${seed}.`
  )
}

function rowsTable(rows: readonly TableRow[]): string {
  const cell = (rounds: RoundsUntil | null): string =>
    rounds === null ? '' : `${rounds.fine.toFixed(1)} (${rounds.coarse.toFixed(1)})`
  const header = [
    'PEERS',
    'FAILURES',
    ...methods.map(({ name }) => name.toUpperCase()),
    'SGP, PUBLISHED',
    'MOSHPIT, PUBLISHED',
  ]
  const lines = rows.map(({ peers, failures, methods, sgpPublished, moshpitPublished }) => [
    String(peers),
    String(failures),
    ...methods.map(cell),
    cell(sgpPublished),
    cell(moshpitPublished),
  ])
  return table(header, lines)
}

async function sizesTable({ churn, draws, seed, json }: SimulateOptions, io: CliIo): Promise<void> {
  const rows: HomeRounds[] = []
  for (const peers of sizes) {
    await breathe(io)
    rows.push(homeRounds({ peers, churn, seed, draws }))
  }
  if (json) writeJson(io, { churn, draws, seed, rows })
  else io.stdout.write(`${homesHeading({ churn, draws, seed })}\n\n${homesTable(rows)}\n${homesNote}`)
}

/** Powers of ten up to the largest run there may be. */
const sizes = [10, 100, 1_000, 10_000]

function homesHeading({ churn, draws, seed }: Pick<SimulateOptions, 'churn' | 'draws' | 'seed'>): string {
  return (
    `A round of ${count(workload.parameters)} parameters as ${workload.codec} on home links (median 20 Mbit/s up, ` +
    `five regions), ${percent(churn)} of the peers leaving within an hour; ${draws} draws, seed ${seed}.`
  )
}

function homesTable(rows: readonly HomeRounds[]): string {
  const header = ['PEERS', 'SENT', 'ROUND P50', 'P95', 'LEAST', 'WEIGHT', 'LINKS', 'MOST', 'UTILISATION']
  const lines = rows.map(({ peers, bytesSent, roundMs, leastMs, committedWeight, links, utilisation }) => [
    count(peers),
    bytes(bytesSent),
    seconds(roundMs.p50),
    seconds(roundMs.p95),
    seconds(leastMs),
    percent(committedWeight),
    links.mean.toFixed(1),
    String(links.max),
    percent(utilisation),
  ])
  return table(header, lines)
}

const homesNote =
  'A model of access links over the real plan: no votes, no packet loss, nobody excluded for being slow.\n' +
  'LEAST: the slowest uplink sends its update once. UTILISATION: a round trains for 5 minutes, nothing overlaps.\n'

/** Lets signals in between two experiments, which take up to a few seconds each. */
async function breathe(io: CliIo): Promise<void> {
  await setImmediate()
  io.signal.throwIfAborted()
}
