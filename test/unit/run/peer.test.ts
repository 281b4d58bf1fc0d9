/** Run peers against a perfect swarm in memory: what each one does with what the other protocols give it. */

import { describe, expect, test } from 'vitest'
import type { RoundBase, RoundOutcome } from '../../../protocols/allreduce/index.ts'
import { systemClock } from '../../../protocols/core/clock.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { updateMagnitudeMax } from '../../../protocols/core/limits.ts'
import type { Batch } from '../../../protocols/core/tensor.ts'
import { StateArchive } from '../../../protocols/run/archive.ts'
import { packState, unpackState } from '../../../protocols/run/packed-state.ts'
import { RunPeer, type RunPeerEvent } from '../../../protocols/run/peer.ts'
import type { RunPlan } from '../../../protocols/run/plan.ts'
import type { Averaging, Standing, StateStore, TrainingTask } from '../../../protocols/run/ports.ts'
import type { EncodedState, ExpectedState, State } from '../../../protocols/run/state.ts'

type Committed = Extract<RoundOutcome, { kind: 'committed' }>

/** Everything that peers share: who stands where, what they gave to each round, and what it came to. */
class Swarm {
  readonly standings = new Map<string, Standing>()
  readonly archives = new Map<string, StateArchive>()
  readonly outcomes: Committed[] = []
  readonly seenSamples: number[] = []
  #given = new Map<string, { update: Float32Array | undefined; weight: number; root: string }>()
  #waiting: { peer: string; resolve(outcome: RoundOutcome): void }[] = []
  #followers = new Set<(outcome: Committed) => void>()
  #changed: (() => void)[] = []
  members: string[]
  /** The disks of all can be written no more. */
  readonly failed = new AbortController()
  /** Another outcome than the others', for one peer. */
  misled?: (peer: string, outcome: Committed) => RoundOutcome | undefined

  constructor(members: string[]) {
    this.members = members
  }

  averaging(self: string): Averaging {
    const give = (base: RoundBase, update: Float32Array | undefined, weight: number) =>
      new Promise<RoundOutcome>((resolve) => {
        const known = this.outcomes[base.round]
        if (known !== undefined) return resolve(known)
        if (base.round !== this.outcomes.length) throw new Error(`${self} is at round ${base.round}`)
        this.#given.set(self, { update: update?.slice(), weight, root: base.root })
        this.#waiting.push({ peer: self, resolve })
        this.#closeWhenComplete()
      })
    const { members } = this
    return {
      outlook: { live: members, committed: [] },
      standings: new Map(),
      failed: this.failed.signal,
      hold: () => {},
      average: async (round) => {
        // as the allreduce protocol, which takes no update that has blown up
        if (round.update.some((value) => !(Math.abs(value) <= updateMagnitudeMax)))
          throw new SwarmError('PART_INVALID', 'the update is too large')
        return give(round, round.update, round.weight)
      },
      receive: (round) => give(round, undefined, 0),
      follow: (onCommitted) => {
        this.#followers.add(onCommitted)
        return () => this.#followers.delete(onCommitted)
      },
    }
  }

  #closeWhenComplete(): void {
    if (!this.members.every((peer) => this.#given.has(peer))) return
    const given = [...this.#given].sort(([a], [b]) => (a < b ? -1 : 1))
    expect(new Set(given.map(([, { root }]) => root)).size, 'all give to the same root').toBe(1)
    const updates = given.filter(([, { update }]) => update !== undefined)
    const totalWeight = updates.reduce((sum, [, { weight }]) => sum + weight, 0)
    const average = new Float32Array(updates[0]![1].update!.length)
    for (const [, { update, weight }] of updates)
      for (const [i, value] of update!.entries()) average[i]! += (value * weight) / totalWeight
    const outcome: Committed = {
      kind: 'committed',
      round: this.outcomes.length,
      root: given[0]![1].root,
      average,
      electorate: given.map(([peer]) => peer),
      totalWeight,
      contributors: updates.map(([peer, { weight }]) => ({ peer, weight })),
      omitted: [],
    }
    this.outcomes.push(outcome)
    this.#given = new Map()
    const waiting = this.#waiting
    this.#waiting = []
    for (const { peer, resolve } of waiting) resolve(this.misled?.(peer, outcome) ?? outcome)
    for (const follower of this.#followers) follower(outcome)
  }

  peer(
    self: string,
    { plan = {}, loss = () => 1, updateScale = 1, store, onEvent }: PeerOptions = {},
  ): RunPeer {
    const archive = new StateArchive(1)
    this.archives.set(self, archive)
    return new RunPeer({
      self,
      plan: { ...examplePlan, ...plan },
      initial: Float32Array.from([1, -2, 3]),
      trainer: {
        train: async (task, { signal }) => {
          const value = loss(task)
          signal.throwIfAborted()
          if (!Number.isFinite(value)) throw new SwarmError('LOSS_NOT_FINITE', 'the loss is NaN')
          for (const batch of task.batches) this.seenSamples.push(...(batch.labels.data as Int32Array))
          // The gradient of (parameters - sample)² / 2, averaged over the batch.
          const mean = average(task.batches.flatMap((batch) => [...batch.labels.data]))
          return {
            update: task.start.map((value) => updateScale * (value - mean)),
            loss: value,
            seconds: 0.01,
          }
        },
      },
      samples: { batch: (positions) => labelled(positions) },
      outerOptimizer: {
        stateLength: () => 1,
        step: (parameters, state, update, { learningRate, stepNumber }) => {
          for (const [i, value] of update.entries()) parameters[i]! -= learningRate * value
          state[0] = stepNumber
        },
      },
      averaging: this.averaging(self),
      gossip: {
        report: ({ round, root, weight }) => {
          this.standings.set(self, { round, root, weight })
          const changed = this.#changed
          this.#changed = []
          for (const wake of changed) wake()
        },
        standings: () => new Map([...this.standings].filter(([peer]) => peer !== self)),
        changed: ({ signal }) =>
          new Promise((resolve, reject) => {
            if (signal.aborted) reject(signal.reason)
            this.#changed.push(resolve)
            signal.addEventListener('abort', () => reject(signal.reason))
          }),
      },
      blocks: {
        fetchBlocks: async (cids, { peers }) => {
          const blocks = []
          for (const cid of cids) blocks.push(await this.#find(cid, peers))
          return blocks
        },
      },
      archive,
      store,
      clock: systemClock,
      onEvent,
    })
  }

  async #find(cid: string, peers: readonly string[]): Promise<Uint8Array> {
    const { CID } = await import('multiformats/cid')
    for (const peer of peers) {
      const block = await this.archives.get(peer)?.get(CID.parse(cid))
      if (block !== undefined) return block
    }
    throw new SwarmError('BLOCK_NOT_FOUND', `nobody has ${cid}`)
  }
}

/** What outlives a peer, in memory. */
class Disk implements StateStore {
  newest: Uint8Array | undefined
  older: Uint8Array | undefined

  async state(expected: ExpectedState): Promise<State | undefined> {
    return this.newest && unpackState(this.newest, expected)
  }

  keep(state: EncodedState): void {
    this.older = this.newest
    this.newest = Buffer.concat(packState(state))
  }
}

/** A root that nobody serves. */
const unheldRoot = 'bafyreib4pff766vhpbxbhjbqqnsh5emeznvujayjj4z2iu533cprgbz23m'

interface PeerOptions {
  plan?: Partial<RunPlan>
  loss?: (task: TrainingTask) => number
  /** Times the gradient. */
  updateScale?: number
  store?: StateStore
  onEvent?: (event: RunPeerEvent) => void
}

const examplePlan: RunPlan = {
  job: 'bafyjob',
  batch: 2,
  localSteps: 1,
  peersMin: 2,
  isSparse: false,
  isOverlapped: false,
  hasEvenLeases: false,
  roundsMax: 6,
  localLearningRate: () => 0.5,
  outerLearningRate: (round) => 0.5 / (round + 1),
}

describe('peers of one run', () => {
  test('hold the same state after every round and train on every sample once', async () => {
    const swarm = new Swarm(['a', 'b'])
    const peers = [swarm.peer('a'), swarm.peer('b')]
    await finish(peers)
    expect(peers[0]!.root).toBe(peers[1]!.root)
    expect(peers[0]!.state).toEqual(peers[1]!.state)
    expect(swarm.seenSamples.sort((x, y) => x - y)).toEqual(Array.from({ length: 24 }, (_, i) => i))

    // By hand: round r's samples are 4r … 4r + 3, whose mean is 4r + 1.5, and the step is 0.5 / (r + 1).
    let first = 1
    for (let round = 0; round < 6; round++) first -= (0.5 / (round + 1)) * (first - (4 * round + 1.5))
    expect(peers[0]!.state.parameters[0]).toBeCloseTo(first, 5)
    expect(peers[0]!.state).toMatchObject({
      round: 6,
      leases: { cursor: 24 },
      weight: 24,
      electorate: ['a', 'b'],
    })
    expect(peers[0]!.state.outer).toEqual(Float32Array.from([6]))
  })

  test('take in a newcomer, who fetches a state, catches up and then trains on samples of its own', async () => {
    const swarm = new Swarm(['a', 'b'])
    const plan = { roundsMax: 12 }
    const events: RunPeerEvent[] = []
    let late: RunPeer | undefined
    const lateDone = Promise.withResolvers<void>()
    const early = ['a', 'b'].map((name) =>
      swarm.peer(name, {
        plan,
        onEvent: (event) => {
          if (late !== undefined || event.kind !== 'committed' || event.round < 3) return
          swarm.standings.set('liar', { round: 99, root: unheldRoot, weight: 1e9 })
          late = swarm.peer('c', { plan, onEvent: (event) => void events.push(event) })
          swarm.members = ['a', 'b', 'c']
          finish([late]).then(lateDone.resolve, lateDone.reject)
        },
      }),
    )
    await finish(early)
    await lateDone.promise
    expect(late!.root).toBe(early[0]!.root)
    expect(late!.state.electorate).toEqual(['a', 'b', 'c'])
    expect(events.find(({ kind }) => kind === 'synced')).toBeDefined()
    expect(new Set(swarm.seenSamples).size, 'no sample twice').toBe(swarm.seenSamples.length)
    expect(swarm.outcomes.at(-1)!.totalWeight).toBe(6)
  })

  /** Two peers whose lives, each begun by `start`, keep their states on the same disks. */
  function onDisks() {
    const swarm = new Swarm(['a', 'b'])
    const disks = [new Disk(), new Disk()]
    const start = (roundsMax: number, onEvent?: (event: RunPeerEvent) => void) =>
      swarm.members.map((name, index) =>
        swarm.peer(name, { plan: { roundsMax }, store: disks[index]!, onEvent }),
      )
    return { swarm, disks, start }
  }

  test('go on from their disks where they were, when all were ended at once', async () => {
    const { swarm, start } = onDisks()
    await finish(start(3))
    swarm.standings.clear()
    swarm.archives.clear()
    const events: RunPeerEvent[] = []
    const peers = start(6, (event) => void events.push(event))
    await finish(peers)
    expect(peers[0]!.root).toBe(peers[1]!.root)
    expect(events.filter(({ kind }) => kind === 'synced')).toEqual([])
    expect(swarm.seenSamples.sort((x, y) => x - y)).toEqual(Array.from({ length: 24 }, (_, i) => i))
  })

  test('fetch the state of the others when the one on their disk is older', async () => {
    const { swarm, disks, start } = onDisks()
    await finish(start(3))
    disks[0]!.newest = disks[0]!.older
    swarm.standings.clear()
    const events: RunPeerEvent[] = []
    const peers = start(6, (event) => void events.push(event))
    await finish(peers)
    expect(peers[0]!.state).toEqual(peers[1]!.state)
    expect(events.filter(({ kind }) => kind === 'synced')).toMatchObject([{ round: 3 }])
  })

  test('take no average that belongs to another branch, but fetch the state of the others', async () => {
    const swarm = new Swarm(['a', 'b'])
    const events: RunPeerEvent[] = []
    swarm.misled = (peer, outcome) =>
      peer === 'b' && outcome.round === 2
        ? { ...outcome, root: unheldRoot, average: Float32Array.from([9, 9, 9]) }
        : undefined
    const peers = [swarm.peer('a'), swarm.peer('b', { onEvent: (event) => void events.push(event) })]
    await finish(peers)
    expect(events.filter(({ kind }) => kind === 'synced')).toHaveLength(1)
    expect(peers[1]!.state).toEqual(peers[0]!.state)
  })

  test('go on without the update of a peer whose loss is not finite', async () => {
    const swarm = new Swarm(['a', 'b'])
    const events: RunPeerEvent[] = []
    const plan = { roundsMax: 2 }
    const peers = [
      swarm.peer('a', { plan }),
      swarm.peer('b', { plan, loss: () => Number.NaN, onEvent: (event) => void events.push(event) }),
    ]
    await finish(peers)
    expect(swarm.outcomes.map(({ totalWeight }) => totalWeight)).toEqual([2, 2])
    expect(peers[0]!.root).toBe(peers[1]!.root)
    expect(events.filter(({ kind }) => kind === 'loss-not-finite')).toHaveLength(2)
  })

  test('stay in the run when their update is too large to be averaged, and say that they diverged', async () => {
    const swarm = new Swarm(['a', 'b'])
    const events: RunPeerEvent[] = []
    const plan = { batch: 1, localSteps: 2, roundsMax: 2 }
    const peers = [
      swarm.peer('a', { plan }),
      swarm.peer('b', { plan, updateScale: 1e27, onEvent: (event) => void events.push(event) }),
    ]
    await finish(peers)
    expect(swarm.outcomes.map(({ totalWeight }) => totalWeight)).toEqual([2, 2])
    expect(peers[0]!.root).toBe(peers[1]!.root)
    expect(events.filter(({ kind }) => kind === 'loss-not-finite')).toHaveLength(2)
  })

  test('stop in the middle of their steps when what binds them cannot be written', async () => {
    const swarm = new Swarm(['a'])
    const loss = () => {
      swarm.failed.abort(new SwarmError('STORAGE_FAILED', 'the disk is full'))
      return 1
    }
    const running = swarm
      .peer('a', { plan: { peersMin: 1 }, loss })
      .run({ signal: AbortSignal.timeout(5_000) })
    await expect(running).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
    expect(swarm.seenSamples).toEqual([])
    expect(swarm.outcomes).toEqual([])
  })

  test('stop with the reason of the signal', async () => {
    const swarm = new Swarm(['a', 'b'])
    const controller = new AbortController()
    const running = swarm.peer('a').run({ signal: controller.signal })
    controller.abort(new Error('the donor pressed Stop'))
    await expect(running).rejects.toThrow('the donor pressed Stop')
  })
})

/** Runs the peers until all have used up their rounds. */
async function finish(peers: RunPeer[]): Promise<void> {
  const controller = new AbortController()
  const running = peers.map((peer) =>
    peer.run({ signal: controller.signal }).catch((error: unknown) => error),
  )
  while (peers.some((peer) => peer.state.round < peer.roundsMax)) {
    await Promise.race([new Promise((resolve) => setImmediate(resolve)), ...running.map(rethrow)])
  }
  controller.abort('finished')
  expect(await Promise.all(running)).toEqual(peers.map(() => 'finished'))
}

async function rethrow(ended: Promise<unknown>): Promise<void> {
  throw await ended
}

function labelled(positions: readonly number[]): Batch {
  const data = Int32Array.from(positions)
  const labels = { dtype: 'int32', shape: [data.length], data } as const
  return { inputs: { x: labels }, labels }
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}
