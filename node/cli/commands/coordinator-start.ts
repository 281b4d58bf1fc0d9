/** `starling coordinator start`: watch the runs of a swarm and judge whether they converge. */

import type { Command } from 'commander'
import type { Perform } from '../action.ts'
import { examples, swarmKey, wholeNumber, withJson } from '../common-options.ts'
import type { CoordinatorStartOptions } from '../coordinator-start.ts'

/** Fixed, so that its addresses can be written down; reachable from other machines, and from tabs over WebSockets. */
const defaultListen = ['/ip4/0.0.0.0/tcp/4001', '/ip4/0.0.0.0/tcp/4002/ws']

export function addCoordinatorStart(coordinator: Command, perform: Perform): void {
  const command = coordinator
    .command('start')
    .summary('watch runs and judge whether they converge')
    .description(
      'Runs a coordinator: it introduces peers to each other, keeps the list of jobs, measures the agreed state of each ' +
        'run on held-out samples, and signs verdicts. Runs go on without it.\n\n' +
        'It listens on every network interface. Whoever reaches its ports can hand in jobs, learn of peers and jobs, ' +
        'fetch the blocks that it holds, and reach other peers through it. Let in only those whom you give a key with ' +
        '--swarm-key, name the owners whose jobs it takes with --allow-owner, or listen on /ip4/127.0.0.1 to keep it ' +
        'to this machine. On UDP, ' +
        'at the port of its WebSockets, it tells tabs their own outside address (STUN).\n\n' +
        'It also serves the page where people give compute from a browser tab, to this machine alone. Browsers train only ' +
        'on pages from https or localhost: for others, put a web server with a certificate in front and name it with --page-url.',
    )
    .option('--listen <multiaddr...>', 'addresses to listen on', defaultListen)
    .option('--announce <multiaddr...>', 'addresses to tell others, behind a NAT with a forwarded port', [])
    .option('--mdns', 'let peers on the local network find it', false)
    .option('--allow-owner <peer-id...>', 'take only jobs of these owners', [])
    .addOption(swarmKey('let in only who has the key in this file, which is made when missing'))
    .option('--page-host <address>', 'address that the donor page is served at', '127.0.0.1')
    .option(
      '--page-port <port>',
      'port of the donor page; 0 picks a free one (default: 4003, or a free one)',
      wholeNumber(0, 65_535),
    )
    .option('--page-url <url>', 'where others find the donor page, when a web server stands before it')
    .option('--no-page', 'serve no donor page')
  withJson(command)
    .addHelpText(
      'after',
      examples([
        'starling coordinator start',
        'starling coordinator start --listen /ip4/127.0.0.1/tcp/4001    this machine alone',
        'starling coordinator start --swarm-key swarm.key               whoever has a copy of the file',
      ]),
    )
    .action((options: CoordinatorStartOptions) =>
      perform(async (io) => {
        const { runCoordinatorStart } = await import('../coordinator-start.ts')
        return runCoordinatorStart(options, io)
      }),
    )
}
