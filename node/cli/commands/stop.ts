/** `starling stop`: the owner ends a job. */

import type { Command } from 'commander'
import type { Perform } from '../action.ts'
import { examples, withCoordinator, withJson } from '../common-options.ts'
import type { StopOptions } from '../stop.ts'

export function addStop(program: Command, perform: Perform): void {
  const command = program
    .command('stop')
    .summary('end a job that you launched')
    .description('Asks the swarm to end a job. The request is signed with the key that launched it.')
    .argument('<job>', 'job id, or a name that only one job has')
  withJson(withCoordinator(command))
    .addHelpText('after', examples(['starling stop glyphs-cnn']))
    .action((job: string, options: Omit<StopOptions, 'job'>) =>
      perform(async (io) => {
        const { runStop } = await import('../stop.ts')
        return runStop({ ...options, job }, io)
      }),
    )
}
