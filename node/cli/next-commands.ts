/** What is worth trying after a run, for people: commands that work as they stand. */

import type { VerdictEvent } from '../run/run-events.ts'

/** How the run was launched, as typed. */
export interface Launched {
  /** Path of the job file. */
  jobFile: string
  /** Nodes that were started on this machine, if any. */
  local: number | undefined
  /** Path of data that took the place of the job's. */
  data: string | undefined
  /** Multiaddrs of the coordinators that were named. */
  coordinator: readonly string[]
  /** File with the key of a private swarm. */
  swarmKey?: string | undefined
}

/** What writes the model of `job`, for somebody who has watched it: with the swarm that was named for that. */
export function exportCommand(job: string, swarm: Pick<Launched, 'coordinator' | 'swarmKey'>): string {
  return `npx starling export ${job}${swarmWords(swarm)}`
}

/** Commands for somebody who has just read `verdict` on the run that was `launched`. */
export function nextCommands({ verdict, model }: VerdictEvent, launched: Launched): string[] {
  const again = launchCommand(launched)
  if (verdict === 'diverged') return [again]
  if (model === null) return [again, 'npx starling doctor']
  const onwards = isFirstExample(launched)
    ? ['npx starling launch examples/mnist/job.yaml --local 3', 'npx starling launch --help']
    : [again]
  return [`npx starling validate ${model}`, ...onwards]
}

function launchCommand({ jobFile, local, data, ...swarm }: Launched): string {
  const dataWords = data === undefined ? '' : ` --data ${data}`
  return `npx starling launch ${jobFile}${dataWords}${local === undefined ? swarmWords(swarm) : ` --local ${local}`}`
}

function swarmWords({ coordinator, swarmKey }: Pick<Launched, 'coordinator' | 'swarmKey'>): string {
  const at = coordinator.length === 0 ? '' : ` --coordinator ${coordinator.join(' ')}`
  return swarmKey === undefined ? at : `${at} --swarm-key ${swarmKey}`
}

/** The one that everybody begins with, and that `npm start` launches: whoever has seen it wants to see another. */
function isFirstExample({ jobFile }: Launched): boolean {
  return /(^|\/)examples\/glyphs\/\w+\.yaml$/.test(jobFile)
}
