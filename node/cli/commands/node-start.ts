/** `starling node start`: give this machine's compute to a swarm. */

import { type Command, Option } from 'commander'
import type { Perform } from '../action.ts'
import { examples, wholeNumber, withCoordinator, withJson } from '../common-options.ts'
import type { NodeStartOptions } from '../node-start.ts'

/** Where kernels run; `auto` takes native when it loads. */
const backends = ['auto', 'native', 'wasm', 'webgpu'] as const

export function addNodeStart(node: Command, perform: Perform): void {
  const command = node
    .command('start')
    .summary('give compute to a swarm')
    .description(
      'Runs a peer that trains the jobs of a swarm until it is interrupted. It needs no open port: peers that cannot reach it come over the relay of the coordinator.',
    )
    .option('--listen <multiaddr...>', 'addresses to listen on', [
      '/ip4/0.0.0.0/tcp/0',
      '/ip4/0.0.0.0/tcp/0/ws',
    ])
    .option('--announce <multiaddr...>', 'addresses to tell others, behind a NAT with a forwarded port', [])
    .option('--mdns', 'look for peers on the local network', false)
    .option('--threads <count>', 'threads for training (default: half of the cores)', wholeNumber(1, 256))
    .option(
      '--memory <mebibytes>',
      'memory that a training step may take, by estimate (default: no limit)',
      wholeNumber(16, 1_048_576),
    )
    .addOption(new Option('--backend <backend>', 'where kernels run').choices(backends).default('auto'))
    .option('--allow-owner <peer-id...>', 'run only jobs of these owners', [])
    .option('--job <job-id>', 'run only this job, and end with it')
  withJson(withCoordinator(command))
    .addHelpText(
      'after',
      examples([
        'starling node start --coordinator /dns4/swarm.example/tcp/4001/p2p/12D3Koo…',
        'starling node start --mdns --threads 2',
      ]),
    )
    .action((options: NodeStartOptions) =>
      perform(async (io) => {
        const { runNodeStart } = await import('../node-start.ts')
        return runNodeStart(options, io)
      }),
    )
}
