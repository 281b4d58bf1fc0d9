/**
 * The folders of `launch --local`, one for each launch: its processes keep their logs there.
 *
 *     <state>/runs/<time>-<pid>/
 */

import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isRunning } from './is-running.ts'

/** Launches whose logs are kept: the last days of somebody who tries things out, in a few MB. */
export const runFoldersKept = 20

/** Where this process keeps its run, started at `nowMs` since 1970. It is not made here. */
export function runFolder(state: string, nowMs: number): string {
  const time = new Date(nowMs).toISOString().replaceAll(':', '')
  return join(state, 'runs', `${time}-${process.pid}`)
}

/**
 * Removes all but the newest run folders; never one whose process still runs. A folder that cannot be removed stays:
 * that is no reason not to run.
 */
export async function pruneRunFolders(state: string): Promise<void> {
  const runs = join(state, 'runs')
  const names = (await readdir(runs).catch(() => [])).filter((name) => pidOf(name) !== undefined).sort()
  const old = names.slice(0, -runFoldersKept).filter((name) => !isRunning(pidOf(name)!))
  await Promise.all(old.map((name) => rm(join(runs, name), { recursive: true, force: true }).catch(() => {})))
}

function pidOf(name: string): number | undefined {
  const pid = /^\d{4}-\d\d-\d\dT[\d.]+Z-(\d+)$/.exec(name)?.[1]
  return pid === undefined ? undefined : Number(pid)
}
