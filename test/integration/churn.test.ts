/**
 * Runs of real processes that lose one of them: SIGTERM, which leaves time for what is owed to the round, and the hard
 * way: SIGKILL says no goodbye and flushes nothing.
 */

import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type Line, type Program, root } from './peers/program.ts'
import { anyPort, startCoordinator, startNode, startSwarm, submit } from './peers/swarm.ts'
import { wideModel } from './peers/wide-model.ts'

/** 1.6 million parameters, 6.5 MB in f32: the processes need some tenths of a second to average them. */
const width = 2048

const batch = 32
const localSteps = 4

/** Samples behind one peer's update when nobody is slower than the others. */
const updateWeight = batch * localSteps

interface JobChoice {
  model: string
  peers: number
  codec: string
  target: number
}

const jobYaml = ({ model, peers, codec, target }: JobChoice) => `
name: churn
model: { file: ${model}, loss: softmax_cross_entropy }
data: { kind: glyphs, seed: 1, train: 4000, validation: 500 }
train: { optimizer: adamw, learning_rate: 0.001, batch_size: ${batch}, local_steps: ${localSteps} }
swarm: { min_peers: ${peers}, codec: ${codec}, outer: { kind: nesterov, learning_rate: 0.7, momentum: 0.6 } }
convergence:
  { metric: val_accuracy, mode: max, target: ${target}, patience: 100, max_rounds: 500, max_minutes: 5 }
`

/** Root of the state after each round that `node` committed. */
function rootsOf(node: Program): Map<number, string> {
  return new Map(node.all('committed').map((line) => [line.round as number, line.root as string]))
}

/** The rounds after `round` that both committed, each with the two roots. */
function sharedRounds(a: Program, b: Program, after: number): [number, string, string][] {
  const others = rootsOf(b)
  return [...rootsOf(a)]
    .filter(([round]) => round > after && others.has(round))
    .map(([round, root]) => [round, root, others.get(round)!])
}

const lastRound = (node: Program): number => (node.all('committed').at(-1)?.round as number) ?? -1

/** Whose updates a committed round has, each as often as it counts; the weights must add up. */
function contributorsOf({ contributors, total_weight }: Line): string[] {
  const counted = contributors as { peer: string; weight: number }[]
  expect(counted.reduce((sum, { weight }) => sum + weight, 0)).toBe(total_weight)
  return counted.map(({ peer }) => peer).sort()
}

const isPhase = (phase: string, roundMin: number) => (line: Line) =>
  line.event === 'averaging' && line.phase === phase && (line.round as number) >= roundMin

test('in the middle of a reduce, a peer that is stopped costs its round nothing, and one that is killed nothing but its update', async () => {
  const swarm = await startSwarm(4)
  await writeFile(join(swarm.folder, 'wide.onnx'), wideModel(width))
  await submit(swarm, jobYaml({ model: 'wide.onnx', peers: 4, codec: 'f32', target: 0.75 }))
  const [leaver, victim, ...survivors] = swarm.nodes as [Program, Program, Program, Program]
  const [, dead, ...alive] = swarm.peers

  const stopped = (await leaver.line('a reduce', isPhase('reducing', 1))) as unknown as { round: number }
  leaver.kill('SIGTERM')
  expect(await leaver.ended).toEqual({ exitCode: 143, signal: null })
  for (const node of [victim, ...survivors]) {
    expect(contributorsOf(await node.committed(stopped.round))).toEqual([...swarm.peers].sort())
    expect((await node.committed(stopped.round + 1)).electorate).toEqual([dead, ...alive].sort())
  }

  const next = isPhase('reducing', stopped.round + 2)
  const { round } = (await victim.line('a reduce', next)) as unknown as { round: number }
  victim.kill('SIGKILL')
  expect(await victim.ended).toEqual({ exitCode: null, signal: 'SIGKILL' })

  // the fault hit: the victim had the round's plan, and was a member, but is none in the seal
  expect(victim.lines.some(isPhase('sealing', round))).toBe(false)
  expect(lastRound(victim)).toBe(round - 1)
  expect((await victim.committed(round - 1)).electorate).toContain(dead)
  const outcomes = await Promise.all(survivors.map((node) => node.committed(round)))
  for (const outcome of outcomes) expect(outcome.electorate).toEqual([...alive].sort())

  // the survivors' updates count, and the victim's at most once
  for (const outcome of outcomes)
    expect(contributorsOf(outcome).filter((peer) => peer !== dead)).toEqual([...alive].sort())
  expect(outcomes[1]!.contributors).toEqual(outcomes[0]!.contributors)

  for (const node of survivors) expect(await node.said('ended')).toMatchObject({ end: 'converged' })
  const shared = sharedRounds(survivors[0], survivors[1], round - 1)
  expect(shared.length).toBeGreaterThanOrEqual(2)
  for (const [number, ours, theirs] of shared) expect(`${number} ${ours}`).toBe(`${number} ${theirs}`)
  expect(swarm.coordinator.all('fork')).toEqual([])
})

test('a run whose coordinator is killed goes on, takes in a newcomer, and is judged by the one that comes back', async () => {
  const swarm = await startSwarm(3)
  const { folder, nodes, coordinator } = swarm
  await copyFile(join(root, 'examples/glyphs/cnn.onnx'), join(folder, 'cnn.onnx'))
  await submit(swarm, jobYaml({ model: 'cnn.onnx', peers: 3, codec: 'int8', target: 0.9 }))
  const before = await coordinator.line(
    'a measurement of a trained state',
    (line) => line.event === 'evaluated' && (line.round as number) > 0,
  )
  coordinator.kill('SIGKILL')
  await coordinator.ended
  const roundsAtDeath = nodes.map(lastRound)
  await Promise.all(nodes.map((node, i) => node.committed(roundsAtDeath[i]! + 5)))

  // the newcomer knows one peer, and no coordinator lives: job, model, data and state come from peers
  const [first] = nodes as [Program, ...Program[]]
  const { addresses } = (await first.said('ready')) as unknown as { addresses: string[] }
  const newcomer = startNode(folder, 'newcomer', addresses)
  const { peer } = (await newcomer.said('ready')) as unknown as { peer: string }
  const start = (await newcomer.said('synced')).round as number
  expect(start).toBeGreaterThan(roundsAtDeath[0]!)
  const isTwoLater = (line: Line) => line.event === 'committed' && (line.round as number) >= start + 2
  const twoLater = await newcomer.line('a round of its own', isTwoLater)
  for (const node of nodes) expect((await node.committed(twoLater.round as number)).root).toBe(twoLater.root)
  const contributes = (line: Line) =>
    line.event === 'committed' && (line.round as number) > start && line.total_weight === 4 * updateWeight
  const joint = await first.line('a round of four updates', contributes)
  expect(joint.electorate).toContain(peer)

  const port = new URL(`http://${swarm.addresses[0]!.replace(/^.*\/tcp\/(\d+)\/p2p.*$/, 'localhost:$1')}`)
    .port
  const again = startCoordinator(folder, anyPort.replace(/0$/, port))
  expect((await again.said('ready')).addresses).toEqual(swarm.addresses)
  const verdict = await again.said('verdict')
  expect(verdict).toMatchObject({ verdict: 'converged' })
  const after = again.all('evaluated').map(({ round }) => round)
  expect(Math.min(...(after as number[]))).toBeGreaterThan(before.round as number)
  for (const node of [...nodes, newcomer])
    expect(await node.said('ended')).toMatchObject({ end: 'converged' })
  const shared = sharedRounds(newcomer, first, start)
  expect(shared.length).toBeGreaterThanOrEqual(2)
  for (const [number, ours, theirs] of shared) expect(`${number} ${ours}`).toBe(`${number} ${theirs}`)
})
