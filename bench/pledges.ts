/**
 * What a vote's memory costs on this machine's disk (of its temporary files): a promise, a vote with a vector of
 * results in int8, and a state, each written as a node writes it, flushes included. In each turn stands a bare write
 * and `fdatasync` of as many bytes, so that it shows what of it is the disk.
 */

import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { KeptRun } from '../node/storage/kept-run.ts'
import { encodeState } from '../protocols/run/state.ts'
import { removeScratch, scratchFolder } from './scratch-folder.ts'
import { type Spread, spreadOf, spreadText, tableText } from './statistics.ts'

export interface PledgesOptions {
  json: boolean
  /** Of the vote's results, and of the state; with momentum that has twice as many numbers. */
  parameters: number
  /** Turns that are counted. */
  rounds: number
}

/** One line of the result. */
export interface PledgeRow {
  written: 'promise' | 'vote' | 'state'
  bytes: number
  rounds: number
  ms: Spread
  bare_ms: Spread
}

/** Bytes of a promise: header and ballot, without a seal. */
const promiseBytes = 300

interface Subject {
  written: PledgeRow['written']
  bytes: number
  write(): Promise<void>
}

/** Measures each in turn, so that a busy moment meets all of them. Prints a table unless `json`. */
export async function benchPledges({ json, parameters, rounds }: PledgesOptions): Promise<PledgeRow[]> {
  const folder = await scratchFolder('pledges')
  try {
    const run = await KeptRun.open(folder, 'job')
    const subjects = await subjectsOn(run, parameters)
    const times = subjects.map(() => ({ ms: [] as number[], bareMs: [] as number[] }))
    for (let turn = 0; turn < rounds; turn++) {
      for (const [index, { bytes, write }] of subjects.entries()) {
        times[index]!.ms.push(await timed(write))
        times[index]!.bareMs.push(await timed(() => writeBare(join(folder, 'bare'), bytes)))
      }
    }
    const rows = subjects.map(({ written, bytes }, index): PledgeRow => {
      const { ms, bareMs } = times[index]!
      return { written, bytes, rounds, ms: spreadOf(ms), bare_ms: spreadOf(bareMs) }
    })
    if (!json) process.stdout.write(tableText([heading, ...rows.map(cellsOf)]))
    return rows
  } finally {
    await removeScratch(folder)
  }
}

async function subjectsOn(run: KeptRun, parameters: number): Promise<Subject[]> {
  const promise = [new Uint8Array(promiseBytes)]
  const vote = [...promise, new Uint8Array(parameters).fill(1)]
  const values = Float32Array.from({ length: 2 * parameters }, (_, index) => index)
  const state = await encodeState({
    job: 'job',
    round: 1,
    weight: 1,
    electorate: ['peer'],
    leases: { cursor: 0, firstStep: 0, steps: 1, holders: ['peer'], rates: [1] },
    ahead: null,
    parameters: values.subarray(0, parameters),
    outer: values.subarray(parameters),
  })
  const keep = async (): Promise<void> => {
    run.keep(state)
    await run.close()
  }
  return [
    { written: 'promise', bytes: promiseBytes, write: () => run.pledges.write(promise) },
    { written: 'vote', bytes: promiseBytes + parameters, write: () => run.pledges.write(vote) },
    { written: 'state', bytes: values.byteLength, write: keep },
  ]
}

async function writeBare(path: string, bytes: number): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(new Uint8Array(bytes))
    await file.datasync()
  } finally {
    await file.close()
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await work()
  return performance.now() - startedMs
}

const heading = ['written', 'bytes', 'ms', 'bare write, ms']

function cellsOf({ written, bytes, ms, bare_ms: bare }: PledgeRow): string[] {
  return [written, String(bytes), spreadText(ms, 2), spreadText(bare, 2)]
}
