/** What is worth trying after a run, for people: commands that work as they stand. */

import type { VerdictEvent } from '../run/run-events.ts'

/** How the run was launched. */
export interface Launched {
  /** Path of the job file, as typed. */
  jobFile: string
  /** Nodes that were started on this machine, if any. */
  local: number | undefined
}

/** What writes the model of `job`, for somebody who has watched it: with the coordinator that was named for that. */
export function exportCommand(job: string, { coordinator }: { coordinator: readonly string[] }): string {
  const of = coordinator.length === 0 ? '' : ` --coordinator ${coordinator.join(' ')}`
  return `npx starling export ${job}${of}`
}

/** Commands for somebody who has just read `verdict`. */
export function nextCommands({ verdict, model }: VerdictEvent, { jobFile, local }: Launched): string[] {
  const again = `npx starling launch ${jobFile}${local === undefined ? '' : ` --local ${local}`}`
  if (verdict === 'diverged') return [again]
  if (model === null) return [again, 'npx starling doctor']
  return [
    `npx starling validate ${model}`,
    'npx starling launch examples/mnist/job.yaml --local 3',
    'npx starling launch --help',
  ]
}
