/** `starling launch`: publish a job, seed its model and data, and follow it to the verdict. */

import { type Command, Option } from 'commander'
import type { Perform } from '../action.ts'
import {
  examples,
  progressOf,
  wholeNumber,
  withCoordinator,
  withJson,
  withProgress,
} from '../common-options.ts'
import type { LaunchOptions } from '../launch.ts'

/** More processes than this on one machine only wait for each other. */
const localPeersMax = 32

export function addLaunch(program: Command, perform: Perform): void {
  const command = program
    .command('launch')
    .summary('train a model: publish a job and follow it to its verdict')
    .description(
      'Publishes the job, gives its model and data to the swarm, and shows how it goes until the verdict. ' +
        'Ctrl-C leaves a job in a swarm running, and ends one started with --local.',
    )
    .argument('<job.yaml>', 'the job file')
    .option(
      '--local <peers>',
      'start a coordinator and this many peers on this machine',
      wholeNumber(1, localPeersMax),
    )
    .option('--data <path>', 'use this data instead of what the job file names')
    .option('-o, --output <folder>', 'where the trained model goes (default: a folder in starling-runs)')
    .addOption(
      // what is started here ends with the command, the job with it
      new Option('-d, --detach', 'return once the coordinator has model and data')
        .default(false)
        .conflicts('local'),
    )
  withJson(withProgress(withCoordinator(command)))
    .addHelpText(
      'after',
      examples([
        'starling launch examples/glyphs/job.yaml --local 3',
        'starling launch job.yaml --data folder --local 2',
        'starling launch job.yaml --coordinator /dns4/swarm.example/tcp/4001/p2p/12D3Koo…',
        'starling launch job.yaml --local 2 --json | jq -c \'select(.event == "verdict")\'',
      ]),
    )
    .action((jobFile: string, options: Omit<LaunchOptions, 'jobFile'>) =>
      perform(async (io) => {
        const { runLaunch } = await import('../launch.ts')
        return runLaunch({ ...options, jobFile, progress: progressOf(options) }, io)
      }),
    )
}
