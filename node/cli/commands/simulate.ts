/** `starling simulate`: what an average among many peers costs and how exact it is, from one seed. */

import { type Command, InvalidArgumentError, Option } from 'commander'
import { runPeersMax } from '../../../protocols/core/limits.ts'
import type { Perform } from '../action.ts'
import { examples, wholeNumber, withJson } from '../common-options.ts'
import type { SimulateOptions } from '../simulate.ts'

const tables: readonly NonNullable<SimulateOptions['table']>[] = ['moshpit', 'sizes']

export function addSimulate(program: Command, perform: Perform): void {
  const command = program
    .command('simulate')
    .summary('averaging among up to 10,000 simulated peers, from one seed')
    .description(
      'Averages sketches of updates among simulated peers: rows, columns, shares and reducers are those of the real plan ' +
        'code, failures are drawn independently for each round, and the methods of the Moshpit paper run beside it. ' +
        'Then a round of the same plan is timed on modelled home links. With --machines the real protocol machines run ' +
        'instead, every message and vote of them, on the same links. The same options and seed give the same output.',
    )
    .option('--peers <count>', 'peers of the swarm', wholeNumber(2, runPeersMax), 1024)
    .option('--failures <share>', 'probability that a peer fails in a round', probability, 0.005)
    .option('--rounds <count>', 'rounds, one after another', wholeNumber(1, 50), 3)
    .option(
      '--churn <share>',
      'share of the peers that leave within an hour, on home links',
      probability,
      0.2,
    )
    .option(
      '--machines',
      'instead: the protocol machines on home links, 33 peers or more (half a minute a round for 1,024)',
    )
    .option('--svg <folder>', 'also draw the errors by round, as errors.svg in this folder')
    .option('--draws <count>', 'swarms that are drawn', wholeNumber(1, 1000), 10)
    .option('--seed <number>', 'of everything that is drawn', wholeNumber(0, 2 ** 32 - 1), 1)
    .addOption(
      new Option(
        '--table <name>',
        'instead: the published table of errors (half a minute), or home links by size',
      ).choices(tables),
    )
  withJson(command)
    .addHelpText(
      'after',
      examples([
        'starling simulate --peers 1024 --failures 0.005 --rounds 2 --seed 7 --json',
        'starling simulate --table moshpit --seed 7',
        'starling simulate --table sizes --churn 0.2 --draws 3',
        'starling simulate --machines --peers 144 --rounds 2 --churn 0.2 --seed 7',
      ]),
    )
    .action((options: SimulateOptions) =>
      perform(async (io) => {
        const { runSimulate } = await import('../simulate.ts')
        return runSimulate(options, io)
      }),
    )
}

function probability(text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= 0 && value < 1) return value
  throw new InvalidArgumentError('It must be a number from 0 to below 1.')
}
