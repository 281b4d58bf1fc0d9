/**
 * What a tab remembers of the jobs whose blocks it keeps, as one list in the origin's key-value store: how much each takes,
 * what its owner signed, and which backend won the timing. With it a donor who comes back has a job made ready while the
 * swarm is still being looked for.
 *
 * Storage may be switched off, full or written by an older page. Then nothing is remembered, which costs the next visit time
 * and nothing else; so writes that fail are dropped. What is signed is checked again by whoever takes it up.
 */

import { get, update } from 'idb-keyval'
import type { BackendName } from '../../engine/backends/backend.ts'
import type { RuntimeName } from '../program.ts'
import type { KeptJob as KeptSize } from './evictions.ts'

const listKey = 'starling/kept-jobs'

/** What won a timing, and under which conditions it was timed. */
export interface KeptChoice {
  /** Of the page's program. */
  build: string
  /** Threads that were allowed. */
  threads: number
  runtime: RuntimeName
  backend: BackendName
  /** Milliseconds since 1970. */
  chosenMs: number
}

export interface KeptJob extends KeptSize {
  /** The signed manifest. */
  envelope?: Uint8Array
  choice?: KeptChoice | undefined
}

/**
 * A choice is believed for a day: it was made beside whatever else the machine did then, and drivers and browsers are
 * updated about as often as this is forgotten.
 */
const choiceMsMax = 24 * 3_600_000

/** The list, in no order. */
export async function keptJobs(): Promise<readonly KeptJob[]> {
  return (await get<KeptJob[]>(listKey).catch(() => undefined)) ?? []
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

/** `choice` where it was made under these conditions, not long ago. `nowMs`: milliseconds since 1970. */
export function validChoice(
  choice: KeptChoice | undefined,
  { build, threads, nowMs }: { build: string; threads: number; nowMs: number },
): KeptChoice | undefined {
  const isValid =
    choice !== undefined &&
    choice.build === build &&
    choice.threads === threads &&
    Math.abs(nowMs - choice.chosenMs) < choiceMsMax
  return isValid ? choice : undefined
}

async function change(edit: (known: readonly KeptJob[]) => KeptJob[]): Promise<void> {
  await update<KeptJob[]>(listKey, (known = []) => edit(known)).catch(() => {})
}
