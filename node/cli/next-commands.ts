/** What is worth trying after a run, for people: commands that work as they stand. */

import type { VerdictEvent } from '../run-events.ts'
import type { LaunchOptions } from './commands/launch.ts'

export function nextCommands({ verdict, model }: VerdictEvent, { jobFile, local }: LaunchOptions): string[] {
  const again = `npx starling launch ${jobFile}${local === undefined ? '' : ` --local ${local}`}`
  if (verdict === 'diverged') return [again]
  if (model === null) return [again, 'npx starling doctor']
  return [
    `npx starling validate ${model}`,
    'npx starling launch examples/mnist/job.yaml --local 3',
    'npx starling launch --help',
  ]
}
