/** `starling list`: the jobs of a swarm. */

import type { Command } from 'commander'
import type { Perform } from '../action.ts'
import { examples, withCoordinator, withJson } from '../common-options.ts'
import type { ListOptions } from '../list.ts'

export function addList(program: Command, perform: Perform): void {
  const command = program
    .command('list')
    .summary('list the jobs of a swarm')
    .description('Lists the jobs that the coordinator knows, with their rounds, peers and verdicts.')
  withJson(withCoordinator(command))
    .addHelpText('after', examples(['starling list', "starling list --json | jq -r '.jobs[].job'"]))
    .action((options: ListOptions) =>
      perform(async (io) => {
        const { runList } = await import('../list.ts')
        return runList(options, io)
      }),
    )
}
