/**
 * What dying peers cost: one job run twice by real processes, once in peace, and once with three of ten that take part,
 * drawn by lot, ended by SIGKILL in every round. Each kill waits for its victim to come to a drawn phase, then a moment
 * longer; whoever was killed is started again at once with its folder, and catches up.
 *
 *     round r begins ──▶ for each victim: phase reached, or the round over ──▶ a moment ──▶ SIGKILL ──▶ started again
 *
 * Fails when two nodes come to different roots or weights in a round, when the coordinator sees a fork, or when the run
 * stands still. The seed draws victims, phases and moments; when a process gets to a phase is the machine's business.
 */

import { setMaxListeners } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { glyphs } from '../data/glyphs.ts'
import { rowPeersMax } from '../protocols/core/limits.ts'
import { type Random, seededRandom } from '../protocols/core/random.ts'
import { ChurnSwarm } from './churn-swarm.ts'
import type { Killable, NodePhase } from './killable.ts'
import { removeScratch, scratchFolder } from './scratch-folder.ts'
import { quantile, tableText } from './statistics.ts'

export interface ChurnOptions {
  json: boolean
  peers: number
  rounds: number
  /** Local steps of a round. */
  steps: number
  seed: number
}

/** One run of the job. */
export interface ChurnRow {
  run: 'in peace' | 'with kills'
  peers: number
  rounds: number
  /** Held-out loss of the last state, nats a sample. */
  loss: number
  /** Above the run in peace, as a share of it. */
  excess: number
  kills: number
  /** Kills by the phase that they hit. */
  kills_by_phase: Partial<Record<NodePhase, number>>
  /** Commits whose root was compared with that of another node. */
  commits: number
  /** Samples behind the averages, by those of the run in peace. */
  weight_share: number
  /** Times that a node missed its quorum. */
  quorum_losses: number
  /** From the start of a life after the first to its first step in a round, median; 0 without. */
  restart_seconds: number
  seconds: number
}

/**
 * Of the peers that take part when a round begins, rounded: the last of them lives, for the run's state lives in its
 * peers.
 */
const killedShare = 0.3

/** Where a kill may hit. Training is most of a round, and an average too short to be hit by chance. */
const phases: readonly NodePhase[] = ['training', 'training', 'offered', 'reducing', 'sealing']

/** Phases of a node that is not back yet: killing it again would spare the others. */
const absentPhases: readonly NodePhase[] = ['starting', 'waiting', 'syncing']

/**
 * A kill comes within so much of the phase's first line: averages take some tens of milliseconds, training most of a
 * round.
 */
const momentMsMax = { averaging: 40, trainingShare: 0.7 }

/**
 * Local steps of a round. Ten peers take eight seconds for them on two cores, and a peer that is killed is back after
 * three: its round is still going on, and it gives an update to it. Where all is slower, both are.
 */
export const churnSteps = 160

/** Of the labels. */
const noiseShare = 0.3

const model = fileURLToPath(new URL('../examples/mnist/cnn.onnx', import.meta.url))

export async function benchChurn(options: ChurnOptions): Promise<ChurnRow[]> {
  const folder = await scratchFolder('churn-data')
  try {
    await writeData(folder)
    const peace = await run('in peace', folder, options, async () => [])
    const kills = await run('with kills', folder, options, (swarm) => killInEveryRound(swarm, options))
    const rows = [peace, kills].map((row) => ({
      ...row,
      excess: row.loss / peace.loss - 1,
      weight_share: row.weight_share / peace.weight_share,
    }))
    if (!options.json) process.stdout.write(tableText([heading, ...rows.map(cellsOf)]))
    return rows
  } finally {
    await removeScratch(folder)
  }
}

async function run(
  name: ChurnRow['run'],
  data: string,
  options: ChurnOptions,
  disturb: (swarm: ChurnSwarm) => Promise<NodePhase[]>,
): Promise<ChurnRow> {
  const startedMs = performance.now()
  const { peers, rounds } = options
  const swarm = await ChurnSwarm.start({ peers, job: jobOf(options), data })
  try {
    const hits = await disturb(swarm)
    await swarm.judged()
    const loss = swarm.losses.get(rounds)
    if (loss === undefined) throw new Error(`state ${rounds} was not measured`)
    const committed = [...swarm.rounds.values()]
    const returns = swarm.nodes.flatMap(({ returnMs }) => returnMs)
    return {
      run: name,
      peers,
      rounds: swarm.roundCount,
      loss,
      excess: 0,
      kills: hits.length,
      kills_by_phase: countOf(hits),
      commits: committed.reduce((sum, { commits }) => sum + commits, 0),
      weight_share: committed.reduce((sum, { weight }) => sum + weight, 0),
      quorum_losses: swarm.quorumLosses,
      restart_seconds: quantile(returns.length > 0 ? returns : [0], 0.5) / 1000,
      seconds: (performance.now() - startedMs) / 1000,
    }
  } finally {
    await swarm.close()
  }
}

/** From the second round on, for in the first nobody is a member yet; returns where each kill hit. */
async function killInEveryRound(
  swarm: ChurnSwarm,
  { json, rounds, seed }: ChurnOptions,
): Promise<NodePhase[]> {
  const random = seededRandom(seed)
  const hits: NodePhase[] = []
  let roundMs = 0
  for (let round = 1; round < rounds; round++) {
    await swarm.begun(round)
    const startedMs = performance.now()
    const over = new AbortController()
    setMaxListeners(0, over.signal) // one for each victim
    const ended = swarm.begun(round + 1).finally(() => over.abort())
    const here = swarm.nodes.filter(({ phase }) => !absentPhases.includes(phase))
    const count = Math.round(killedShare * here.length)
    const strikes = drawnFrom(here, count, random).map(async (victim) => {
      hits.push(await strike(victim, { round, roundMs, random, signal: over.signal }))
      swarm.restart(victim)
    })
    await Promise.all([ended, ...strikes])
    roundMs = performance.now() - startedMs
    if (!json)
      process.stdout.write(
        `round ${round}: ${(roundMs / 1000).toFixed(1)} s, killed ${hits.slice(hits.length - count).join(', ') || 'nobody'}\n`,
      )
  }
  return hits
}

async function strike(
  victim: Killable,
  { round, roundMs, random, signal }: { round: number; roundMs: number; random: Random; signal: AbortSignal },
): Promise<NodePhase> {
  const phase = phases[random.integer(phases.length)]!
  const momentMs =
    random.next() * (phase === 'training' ? momentMsMax.trainingShare * roundMs : momentMsMax.averaging)
  await victim.reaches(() => victim.round >= round && victim.phase === phase, { signal })
  await delay(momentMs, undefined, { signal }).catch(() => {}) // the round is over: it dies at once
  return victim.kill()
}

/** `count` of `items`, each at most once. */
function drawnFrom<Item>(items: readonly Item[], count: number, random: Random): Item[] {
  const left = [...items]
  return Array.from({ length: count }, () => left.splice(random.integer(left.length), 1)[0]!)
}

function countOf(hits: readonly NodePhase[]): Partial<Record<NodePhase, number>> {
  const counts: Partial<Record<NodePhase, number>> = {}
  for (const phase of hits) counts[phase] = (counts[phase] ?? 0) + 1
  return counts
}

/** 28 x 28 glyphs as the four files of MNIST, in `folder`. */
async function writeData(folder: string): Promise<void> {
  const { train, validation } = glyphs({ seed: 1, train: 40_000, validation: 1_000 })
  for (const [name, split] of [['train', train] as const, ['t10k', validation] as const]) {
    const { x, y } = split.fields
    await writeFile(
      join(folder, `${name}-images-idx3-ubyte`),
      idx([split.count, 28, 28], x.data as Uint8Array),
    )
    await writeFile(
      join(folder, `${name}-labels-idx1-ubyte`),
      idx([split.count], withNoise(y.data as Uint8Array)),
    )
  }
}

/** A wrong label for some: their loss has a floor of 1.2 nats then, without which a share of it would mean nothing. */
function withNoise(labels: Uint8Array): Uint8Array {
  const random = seededRandom(1)
  return labels.map((label) => (random.next() < noiseShare ? random.integer(10) : label))
}

/** An IDX file of bytes: zero, zero, type 8, rank, then the sizes and the data. */
function idx(shape: readonly number[], data: Uint8Array): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length))
  header.setUint32(0, 0x0800 | shape.length)
  for (const [axis, size] of shape.entries()) header.setUint32(4 + 4 * axis, size)
  return new Uint8Array([...new Uint8Array(header.buffer), ...data])
}

/**
 * The learning rate falls to 0: one that stays leaves noise in the last state, and less of it the more updates are in
 * the last mean.
 */
function jobOf({ peers, rounds, steps }: ChurnOptions): string {
  return `
name: churn
model: { file: ${model}, loss: softmax_cross_entropy }
data: { kind: idx }
train:
  optimizer: adamw
  learning_rate: 0.003
  schedule: cosine
  total_steps: ${rounds * steps}
  batch_size: 8
  local_steps: ${steps}
  seed: 1
swarm: { min_peers: ${Math.min(peers, rowPeersMax)}, codec: int8, outer: { kind: nesterov, learning_rate: 0.7, momentum: 0.6 } }
convergence:
  metric: val_loss
  mode: min
  patience: 1000
  evaluate_every: ${rounds}
  max_rounds: ${rounds}
  max_minutes: 600
`
}

const heading = [
  'run',
  'rounds',
  'loss',
  'excess',
  'kills',
  'commits, equal',
  'weight',
  'quorum lost',
  'back in',
  's',
]

function cellsOf(row: ChurnRow): string[] {
  const byPhase = Object.entries(row.kills_by_phase).map(([phase, count]) => `${count} ${phase}`)
  return [
    `${row.peers} peers ${row.run}`,
    String(row.rounds),
    row.loss.toFixed(4),
    `${(100 * row.excess).toFixed(2)} %`,
    row.kills === 0 ? '0' : `${row.kills}: ${byPhase.join(', ')}`,
    String(row.commits),
    `${(100 * row.weight_share).toFixed(1)} %`,
    String(row.quorum_losses),
    `${row.restart_seconds.toFixed(1)} s`,
    row.seconds.toFixed(0),
  ]
}
