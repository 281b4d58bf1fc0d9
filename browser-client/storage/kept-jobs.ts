/**
 * What a tab remembers of the jobs whose blocks it keeps, as one list in the origin's key-value store: how much each
 * takes, what its owner signed, which backend won the timing, and where peers of its run were. With it a donor who
 * comes back has a job made ready while the swarm is still being looked for, and finds it without a coordinator.
 *
 * Storage may be switched off, full or written by an older page. Then nothing is remembered, which costs the next visit
 * time and nothing else; so writes that fail are dropped. What is signed is checked again by whoever takes it up.
 */

import { get, update } from 'idb-keyval'
import type { BackendName } from '../../engine/backends/backend.ts'
import type { RuntimeName } from '../program.ts'
import type { KeptJob as KeptSize } from './evictions.ts'
import { unlessRefused } from './refusal.ts'

const listKey = 'starling/kept-jobs'

/** What won a timing, and under which conditions it was timed. */
export interface KeptChoice {
  /** Of the page's program. */
  build: string
  /** What the donor allowed. */
  threads: number
  mayUseGpu: boolean
  runtime: RuntimeName
  backend: BackendName
  /** Milliseconds since 1970. */
  chosenMs: number
}

export interface KeptJob extends KeptSize {
  /** The signed manifest. */
  envelope?: Uint8Array
  choice?: KeptChoice | undefined
  /** Addresses at which other peers of the run were reached, without the coordinator. */
  addresses?: readonly string[]
}

/**
 * A choice is believed for a day: it was made beside whatever else the machine did then, and drivers and browsers are
 * updated about as often as this is forgotten.
 */
const choiceMsMax = 24 * 3_600_000

/**
 * One that answers is enough, and a home computer is off as often as on; all are redialled for as long as the tab is
 * open.
 */
const addressesMax = 4

/** The list, in no order. */
export async function keptJobs(): Promise<readonly KeptJob[]> {
  return (await unlessRefused(() => get<KeptJob[]>(listKey))) ?? []
}

/** What is kept of `job`; undefined at its first visit. */
export async function keptJob(job: string): Promise<KeptJob | undefined> {
  return (await keptJobs()).find((known) => known.job === job)
}

/** Notes that the blocks of `entry.job` are used now, and that those of `gone` are no longer there. */
export async function keepJob(entry: KeptJob, gone: readonly string[]): Promise<void> {
  await change((known) => {
    const before = known.find(({ job }) => job === entry.job)
    const others = known.filter(({ job }) => job !== entry.job && !gone.includes(job))
    return [...others, { ...before, ...entry }]
  })
}

/** Notes what won the timing of `job`, or with undefined that what is known is wrong. */
export async function keepChoice(job: string, choice: KeptChoice | undefined): Promise<void> {
  await change((known) => known.map((entry) => (entry.job === job ? { ...entry, choice } : entry)))
}

/** Notes where peers of `job` were reached: the first {@link addressesMax} of `addresses`. */
export async function keepAddresses(job: string, addresses: readonly string[]): Promise<void> {
  const kept = addresses.slice(0, addressesMax)
  await change((known) => known.map((entry) => (entry.job === job ? { ...entry, addresses: kept } : entry)))
}

/** `choice` where it was made under the same conditions, not long ago. `nowMs`: milliseconds since 1970. */
export function validChoice(
  choice: KeptChoice | undefined,
  { build, threads, mayUseGpu }: Pick<KeptChoice, 'build' | 'threads' | 'mayUseGpu'>,
  nowMs: number,
): KeptChoice | undefined {
  const isValid =
    choice !== undefined &&
    choice.build === build &&
    choice.threads === threads &&
    choice.mayUseGpu === mayUseGpu &&
    Math.abs(nowMs - choice.chosenMs) < choiceMsMax
  return isValid ? choice : undefined
}

async function change(edit: (known: readonly KeptJob[]) => KeptJob[]): Promise<void> {
  await unlessRefused(() => update<KeptJob[]>(listKey, (known = []) => edit(known)))
}
