/** The allreduce between real libp2p nodes on loopback: links, hashing and timers are the real ones. */

import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { afterEach, expect, test } from 'vitest'
import { createNode } from '../../node/network/libp2p.ts'
import { KeptRun } from '../../node/storage/kept-run.ts'
import {
  type AllreduceRun,
  allreduce,
  type PledgeStore,
  type RoundBase,
  type RoundCommitted,
  type RoundOutcome,
} from '../../protocols/allreduce/index.ts'
import type { Clock } from '../../protocols/core/clock.ts'
import { silentMs } from '../../protocols/core/limits.ts'
import type { Averaging } from '../../protocols/run/ports.ts'
import type { CodecName } from '../../protocols/wire/codecs/codec.ts'
import { VirtualClock } from '../../simulator/clock.ts'

/** 62 parts and a shorter one: every peer reduces some, and the last part is short. */
const parameterCount = 10 * 65_536 + 1_234

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const refused: string[] = []

/** A disk in memory, which a test can stop. */
class Disk implements PledgeStore {
  readonly identity: PrivateKey
  recalled: Uint8Array | undefined
  /** Bytes from which on a write ends as the process does: what was written is there, and nothing happens after it. */
  lastWriteBytes = Number.POSITIVE_INFINITY
  readonly #ended = Promise.withResolvers<void>()

  constructor(identity: PrivateKey) {
    this.identity = identity
  }

  /** Resolves at the last write. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  async write(pieces: readonly Uint8Array[] | undefined): Promise<void> {
    this.recalled = pieces && Buffer.concat(pieces)
    if ((this.recalled?.length ?? 0) < this.lastWriteBytes) return
    this.#ended.resolve()
    await new Promise(() => {})
  }
}

async function startPeer(
  codec: CodecName,
  peersMin: number,
  disk?: PledgeStore & { readonly identity: PrivateKey },
  clock?: Clock,
) {
  const node = await createNode({
    identity: disk?.identity ?? (await generateKeyPair('Ed25519')),
    listen: ['/ip4/127.0.0.1/tcp/0'],
    services: { allreduce: allreduce({ clock }) },
  })
  cleanups.push(() => node.stop())
  const run = await node.services.allreduce.open({
    job: 'job',
    parameterCount,
    codec,
    peersMin,
    pledges: disk,
    onEvent: (event) => {
      if (event.kind === 'refused') refused.push(event.reason)
    },
  })
  /** Ends the node without a goodbye. */
  const kill = async (): Promise<void> => {
    for (const connection of node.getConnections()) connection.abort(new Error('killed'))
    run.setPeers([]) // no link is left for a goodbye
    await node.stop()
  }
  return { id: node.peerId.toString(), run, node, kill }
}

type Peer = Awaited<ReturnType<typeof startPeer>>

/** Peers that know one another's addresses and take part in one run. */
async function startSwarm(
  count: number,
  codec: CodecName = 'f32',
  peersMin = count,
  disks: readonly (PledgeStore & { readonly identity: PrivateKey })[] = [],
): Promise<Peer[]> {
  const peers: Peer[] = []
  for (let index = 0; index < count; index++) peers.push(await startPeer(codec, peersMin, disks[index]))
  await introduce(peers)
  return peers
}

/** Everybody learns where everybody is. */
async function introduce(peers: readonly Peer[]): Promise<void> {
  for (const a of peers) {
    for (const b of peers) {
      if (a !== b) await a.node.peerStore.merge(b.node.peerId, { multiaddrs: b.node.getMultiaddrs() })
    }
  }
  const ids = peers.map(({ id }) => id)
  for (const peer of peers) peer.run.setPeers(ids)
}

const genesis: RoundBase = { round: 0, root: 'genesis', electorate: [] }

/** Element `i` of what peer number `index` gives. */
const element = (index: number, i: number): number => Math.fround(Math.sin(i + index))

function updateOf(index: number): Float32Array {
  return Float32Array.from({ length: parameterCount }, (_, i) => element(index, i))
}

function average(peer: Peer, index: number, base: RoundBase): Promise<RoundOutcome> {
  const signal = AbortSignal.timeout(60_000)
  const update = updateOf(index)
  return peer.run.average({ ...base, update, weight: index + 1, averageInto: update }, { signal })
}

function committed(outcome: RoundOutcome): RoundCommitted {
  if (outcome.kind !== 'committed') throw new Error(`expected a commit, not ${JSON.stringify(outcome)}`)
  return outcome
}

/** The weighted mean of element `i` over the peers with the given numbers, in f64. */
function meanOf(indices: readonly number[], i: number): number {
  const weights = indices.reduce((sum, index) => sum + index + 1, 0)
  return indices.reduce((sum, index) => sum + (index + 1) * element(index, i), 0) / weights
}

function largestError(average: Float32Array, indices: readonly number[]): number {
  let largest = 0
  for (let i = 0; i < parameterCount; i += 97)
    largest = Math.max(largest, Math.abs(average[i]! - meanOf(indices, i)))
  return largest
}

/** To the bit; `toEqual` takes seconds for vectors of this length. */
function isSame(a: Float32Array, b: Float32Array): boolean {
  return Buffer.from(a.buffer).equals(Buffer.from(b.buffer))
}

const next = ({ round, electorate }: RoundCommitted): RoundBase => ({
  round: round + 1,
  root: `after ${round}`,
  electorate,
})

test.each<[CodecName, number, number]>([
  ['f32', 1e-6, 6.5],
  // Two roundings of half a scale each, a scale being 1/127.
  ['int8', 1 / 127, 1.7],
])(
  'four peers agree on the weighted mean in %s, to the bit',
  async (codec, errorMax, bytesPerParameterMax) => {
    const peers = await startSwarm(4, codec)
    const outcomes = (await Promise.all(peers.map((peer, index) => average(peer, index, genesis)))).map(
      committed,
    )
    expect(largestError(outcomes[0]!.average, [0, 1, 2, 3])).toBeLessThan(errorMax)
    for (const outcome of outcomes) {
      expect(isSame(outcome.average, outcomes[0]!.average)).toBe(true)
      expect(outcome.electorate).toEqual(peers.map(({ id }) => id).sort())
      expect(outcome.totalWeight).toBe(10)
    }
    for (const { run } of peers) {
      const { uploadedBytes } = run.traffic
      // A peer that reduces 16 of 63 parts moves 1 + 2 · 16/63 of the vector each way; the codec says what that costs.
      expect(uploadedBytes / parameterCount).toBeLessThan(bytesPerParameterMax)
    }
    expect(refused.splice(0)).toEqual([])
  },
)

test('a peer that goes without a word in mid-round does not stop the others, and they agree to the bit', async () => {
  const peers = await startSwarm(4)
  const first = (await Promise.all(peers.map((peer, index) => average(peer, index, genesis)))).map(committed)
  const base = next(first[0]!)
  const [victim, ...survivors] = peers as [Peer, ...Peer[]]
  const gone = average(victim, 0, base).catch(() => 'gone')
  const second = Promise.all(survivors.map((peer, index) => average(peer, index + 1, base)))
  await victim.kill()
  const outcomes = (await second).map(committed)
  for (const outcome of outcomes) expect(isSame(outcome.average, outcomes[0]!.average)).toBe(true)
  expect(outcomes[0]!.electorate).not.toContain(victim.id)
  const whole = outcomes[0]!.contributors.map(({ peer }) => peers.findIndex(({ id }) => id === peer))
  expect(whole).toEqual(expect.arrayContaining([1, 2, 3]))
  const third = (
    await Promise.all(survivors.map((peer, index) => average(peer, index + 1, next(outcomes[0]!))))
  ).map(committed)
  expect(largestError(third[0]!.average, [1, 2, 3])).toBeLessThan(1e-6)
  void gone
})

test('a newcomer follows the rounds while it has no state, receives one, and gives to the next', async () => {
  const peers = await startSwarm(4, 'f32', 3)
  const [newcomer, ...members] = peers as [Peer, ...Peer[]]
  const followed: RoundCommitted[] = []
  const stop = newcomer.run.follow((outcome) => followed.push(outcome))
  const first = (await Promise.all(members.map((peer, index) => average(peer, index + 1, genesis)))).map(
    committed,
  )
  await expect.poll(() => followed.length, { timeout: 10_000 }).toBe(1)
  expect(isSame(followed[0]!.average, first[0]!.average)).toBe(true)
  expect(followed[0]!.electorate).toEqual(first[0]!.electorate)
  stop()

  // A word from the newcomer can come just after the plan: then it is a follower of that round, and a receiver of the
  // next.
  const signal = AbortSignal.timeout(60_000)
  let received = first[0]!
  for (let round = 1; round <= 2 && !received.electorate.includes(newcomer.id); round++) {
    const base = next(received)
    const receiving = newcomer.run.receive(base, { signal })
    const given = await Promise.all(members.map((peer, index) => average(peer, index + 1, base)))
    received = committed(await receiving)
    expect(isSame(received.average, committed(given[0]!).average)).toBe(true)
  }
  expect(received.electorate).toContain(newcomer.id)

  const third = await Promise.all(peers.map((peer, index) => average(peer, index, next(received))))
  expect(largestError(committed(third[0]!).average, [0, 1, 2, 3])).toBeLessThan(1e-6)
})

test('an aborted call rethrows its reason, and the round can still be joined', async () => {
  const peers = await startSwarm(2)
  const [a, b] = peers as [Peer, Peer]
  const reason = new Error('stopped by the donor')
  const aborting = new AbortController()
  const waiting = a.run.receive(genesis, { signal: aborting.signal })
  aborting.abort(reason)
  await expect(waiting).rejects.toBe(reason)
  const outcomes = await Promise.all([average(a, 0, genesis), average(b, 1, genesis)])
  expect(isSame(committed(outcomes[0]!).average, committed(outcomes[1]!).average)).toBe(true)
})

test('a voter that is killed as its vote is written comes back as the voter that it was', async () => {
  const disk = new Disk(await generateKeyPair('Ed25519'))
  const peers = await startSwarm(2, 'f32', 2, [disk])
  const [victim, other] = peers as [Peer, Peer]
  const founded = await Promise.all(peers.map((peer, index) => average(peer, index, genesis)))
  const base = next(committed(founded[0]!))
  disk.lastWriteBytes = 4 * parameterCount // of all that is written only an accepted seal has a vector with it
  const lost = average(victim, 0, base).catch(() => 'gone')
  const waiting = average(other, 1, base)
  await disk.ended
  await victim.kill()

  disk.lastWriteBytes = Number.POSITIVE_INFINITY
  const again = await startPeer('f32', 2, disk)
  await introduce([again, other])
  const received = await again.run.receive(base, { signal: AbortSignal.timeout(60_000) })
  const outcome = committed(await waiting)
  expect(isSame(committed(received).average, outcome.average)).toBe(true)
  expect(outcome.contributors.map(({ weight }) => weight).sort()).toEqual([1, 2]) // as it was accepted: with its former life's update
  expect(largestError(outcome.average, [0, 1])).toBeLessThan(1e-6)
  void lost
})

test('a peer that cannot write what binds it does not say it: its part in the run ends, and the others go on', async () => {
  const runs = await mkdtemp(join(tmpdir(), 'starling-full-'))
  cleanups.push(() => rm(runs, { recursive: true }))
  const kept = await KeptRun.open(runs, 'job')
  const disk = { identity: await generateKeyPair('Ed25519'), ...kept.pledges }
  const peers = await startSwarm(3, 'f32', 3, [disk])
  const [full, ...others] = peers as [Peer, ...Peer[]]
  const founded = await Promise.all(peers.map((peer, index) => average(peer, index, genesis)))
  const base = next(committed(founded[0]!))
  await mkdir(join(runs, 'job', 'pledge.new')) // in the way of the file
  expect(full.run.failed.aborted).toBe(false)
  const failing = average(full, 0, base)
  const going = Promise.all(others.map((peer, index) => average(peer, index + 1, base)))
  await expect(failing).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  expect(full.run.failed.reason).toMatchObject({ code: 'STORAGE_FAILED' })
  await expect(average(full, 0, base)).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  await full.run.leave()
  for (const outcome of (await going).map(committed)) {
    expect(outcome.contributors.map(({ weight }) => weight)).toEqual(expect.not.arrayContaining([1]))
    expect(outcome.electorate).toEqual(others.map(({ id }) => id).sort())
  }
})

test('an update that is not finite is refused where it is given', async () => {
  const [peer] = await startSwarm(1)
  const update = new Float32Array(parameterCount).fill(Number.NaN)
  const call = peer!.run.average({ ...genesis, update, weight: 1 }, { signal: AbortSignal.timeout(5_000) })
  await expect(call).rejects.toMatchObject({ code: 'PART_INVALID' })
})

test('the run fits the port that the training peer expects', () => {
  const fits = (run: AllreduceRun): Averaging => run
  expect(fits).toBeTypeOf('function')
})

test('a peer whose timers stand still is silent, and not counted until it is heard again', async () => {
  const [clock, stopped] = [new VirtualClock(), new VirtualClock()]
  const self = await startPeer('f32', 2, undefined, clock)
  const other = await startPeer('f32', 2, undefined, stopped)
  await introduce([self, other])
  const live = () => self.run.outlook.live
  await expect.poll(live).toEqual([self.id, other.id].sort())
  const pass = (its: VirtualClock, durationMs: number): void => {
    const untilMs = its.now() + durationMs
    while (its.runNext(untilMs));
  }
  pass(clock, 2 * silentMs)
  expect(live()).toEqual([self.id])
  const liveAfterPulse = () => {
    pass(stopped, silentMs)
    return live()
  }
  await expect.poll(liveAfterPulse).toEqual([self.id, other.id].sort())
})
