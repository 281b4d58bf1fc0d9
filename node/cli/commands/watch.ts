/** `starling watch`: follow a job that is already running. */

import type { Command } from 'commander'
import type { Perform } from '../action.ts'
import { examples, progressOf, withCoordinator, withJson, withProgress } from '../common-options.ts'
import type { WatchOptions } from '../watch.ts'

export function addWatch(program: Command, perform: Perform): void {
  const command = program
    .command('watch')
    .summary('follow a running job')
    .description('Shows how a job goes until its verdict. Ctrl-C stops watching; the job goes on.')
    .argument('<job>', 'job id, or a name that only one job has')
  withJson(withProgress(withCoordinator(command)))
    .addHelpText('after', examples(['starling watch glyphs-cnn', 'starling watch bafyrei… --progress plain']))
    .action((job: string, options: Omit<WatchOptions, 'job'>) =>
      perform(async (io) => {
        const { runWatch } = await import('../watch.ts')
        return runWatch({ ...options, job, progress: progressOf(options) }, io)
      }),
    )
}
