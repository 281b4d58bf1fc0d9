/**
 * A swarm of real processes on a real network that is parted in silence and joined again: the side with most peers goes
 * on, the other commits nothing of its own, and in the end all hold the same states.
 */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Host, TestNetwork } from './peers/network.ts'
import { type Line, Program, root, testFolder } from './peers/program.ts'
import { nodeWords } from './peers/swarm.ts'

/**
 * Trains until the test ends. Two peers are enough for a round of it, so what keeps the smaller side from one is the
 * vote.
 */
const job = `
name: parted
model: { file: ${join(root, 'examples/glyphs/cnn.onnx')}, loss: softmax_cross_entropy }
data: { kind: glyphs, seed: 1, train: 4000, validation: 500 }
train: { optimizer: sgd, learning_rate: 0.05, batch_size: 16, local_steps: 4 }
swarm: { min_peers: 2, codec: int8 }
convergence: { metric: val_accuracy, mode: max, patience: 100000, max_rounds: 100000, max_minutes: 10 }
`

/** Four can go on without the other two: they are two thirds, so they wait for the others for seconds and no longer. */
const most = 4
const few = 2

const listen = '/ip4/0.0.0.0/tcp/0'

const contributors = (line: Line): string[] =>
  (line.contributors as { peer: string }[]).map(({ peer }) => peer).sort()

const commits = (node: Program): Map<number, Line> =>
  new Map(node.all('committed').map((line) => [line.round as number, line]))

const lastRound = (node: Program): number => Math.max(-1, ...commits(node).keys())

/** A commit of `node`, after `round`, to which exactly `peers` gave. */
function commitOf(node: Program, peers: readonly string[], round = -1): Promise<Line> {
  const wanted = [...peers].sort().join()
  return node.line(
    `a commit of ${peers.length}`,
    (line) =>
      line.event === 'committed' && (line.round as number) > round && contributors(line).join() === wanted,
  )
}

test.runIf(await TestNetwork.isPossible())(
  'when the network is parted in silence, most go on, the few commit nothing alone, and joined again all hold one state',
  async () => {
    const folder = await testFolder()
    const network = await TestNetwork.start(1 + most + few)
    const [first, ...hosts] = network.hosts as [Host, ...Host[]]
    const watcher = ['coordinator', 'start', '--listen', listen]
    const coordinator = new Program(folder, 'coordinator', watcher, first)
    const { addresses } = (await coordinator.said('ready')) as unknown as { addresses: string[] }
    const nodes = hosts.map(
      (host, index) => new Program(folder, `node-${index}`, nodeWords(listen, addresses), host),
    )
    const peers = await Promise.all(nodes.map(async (node) => (await node.said('ready')).peer as string))
    await writeFile(join(folder, 'job.yaml'), job)
    const launch = ['launch', 'job.yaml', '--detach', '--coordinator', ...addresses]
    expect(await new Program(folder, 'owner', launch, first).ended).toMatchObject({ exitCode: 101 })
    await Promise.all(nodes.map((node) => commitOf(node, peers)))

    await network.part(hosts.slice(most))
    const [there, cutOff] = [nodes.slice(0, most), nodes.slice(most)]
    const without = await Promise.all(there.map((node) => commitOf(node, peers.slice(0, most))))
    const firstWithout = without[0]!.round as number
    await Promise.all(there.map((node) => node.committed(firstWithout + 2)))
    for (const node of cutOff) expect(lastRound(node)).toBeLessThan(firstWithout)

    const joinedAt = Math.max(...nodes.map(lastRound))
    await network.join()
    await Promise.all(nodes.map((node) => commitOf(node, peers, joinedAt)))
    for (const node of nodes) {
      for (const [round, line] of commits(node)) {
        const others = nodes.flatMap((other) => commits(other).get(round)?.root ?? [])
        expect(new Set(others), `roots of round ${round}`).toEqual(new Set([line.root]))
      }
    }
  },
)
