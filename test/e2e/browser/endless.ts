/** A job that does not end by itself while a test runs, and what its nodes tell of its rounds. */

import type { Line, Program } from '../../integration/peers/program.ts'

/** The job file of a run of at least `peers` peers; its model is `wide.onnx`. */
export const endlessJob = (peers: number, { localSteps = 2 }: { localSteps?: number } = {}): string => `
name: endless
model: { file: wide.onnx, loss: softmax_cross_entropy }
data: { kind: glyphs, seed: 1, train: 4000, validation: 100 }
train: { optimizer: sgd, learning_rate: 0.01, batch_size: 16, local_steps: ${localSteps} }
swarm: { min_peers: ${peers}, codec: f32, outer: { kind: nesterov, learning_rate: 0.7, momentum: 0.6 } }
convergence: { metric: val_accuracy, mode: max, target: 1, patience: 1000, evaluate_every: 50, max_rounds: 100000, max_minutes: 5 }
`

/** The newest round that `node` has committed; -1 before the first. */
export const lastRound = (node: Program): number => (node.all('committed').at(-1)?.round as number) ?? -1

/** The samples of `peer` in the round that `line` tells of; 0 when its update is not in it. */
export function weightOf(line: Line, peer: string): number {
  const contributors = (line.contributors ?? []) as { peer: string; weight: number }[]
  return contributors.find((one) => one.peer === peer)?.weight ?? 0
}

/** The first round that `node` commits after now with exactly `peers`. */
export function roundOf(node: Program, peers: readonly string[]): Promise<Line> {
  const wanted = [...peers].sort().join()
  const isWanted = ({ event, electorate }: Line) =>
    event === 'committed' && (electorate as string[])?.join() === wanted
  return node.line(`a round of ${peers.length} peers`, isWanted, { from: node.lines.length })
}

/** The first round that `node` commits after now with an update of `peer` in it. */
export function roundBy(node: Program, peer: string): Promise<Line> {
  const isWanted = (line: Line) => line.event === 'committed' && weightOf(line, peer) > 0
  return node.line('a round with the tab', isWanted, { from: node.lines.length })
}
