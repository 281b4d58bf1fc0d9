/** `starling show`: all that the swarm knows about one job. */

import type { Command } from 'commander'
import type { Perform } from '../action.ts'
import { examples, withCoordinator, withJson } from '../common-options.ts'
import type { ShowOptions } from '../show.ts'

export function addShow(program: Command, perform: Perform): void {
  const command = program
    .command('show')
    .summary('show one job: plan, peers, measurements, verdict')
    .description('Shows what the coordinator knows about one job.')
    .argument('<job>', 'job id, or a name that only one job has')
  withJson(withCoordinator(command))
    .addHelpText('after', examples(['starling show glyphs-cnn', 'starling show bafyrei… --json']))
    .action((job: string, options: Omit<ShowOptions, 'job'>) =>
      perform(async (io) => {
        const { runShow } = await import('../show.ts')
        return runShow({ ...options, job }, io)
      }),
    )
}
