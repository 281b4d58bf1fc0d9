/**
 * Folders of a measurement's own, under the system's temporary one. They go when the measurement says so, and at the
 * latest with this process: also when Ctrl-C ends it, in the midst of runs that take minutes and keep data of megabytes.
 */

import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Processes that end at the same moment may still write a line: a folder is looked at again so often, and then left. */
const removal = { recursive: true, force: true, maxRetries: 3 } as const

const folders = new Set<string>()

process.once('exit', () => {
  for (const folder of folders) rmSync(folder, removal)
})

/** Without a handler of its own Node ends at these signals, and calls nobody. Shells tell them by 128 + signal. */
for (const [signal, exitCode] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const])
  process.once(signal, () => process.exit(exitCode))

/** A new folder, whose name says what it is for. */
export async function scratchFolder(purpose: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `starling-${purpose}-`))
  folders.add(folder)
  return folder
}

export async function removeScratch(folder: string): Promise<void> {
  folders.delete(folder)
  await rm(folder, removal)
}

/** Leaves `folder` where it is, for whoever wants to see why a run failed. */
export function keepScratch(folder: string): void {
  folders.delete(folder)
}
