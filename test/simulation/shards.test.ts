/**
 * The shards machine on a simulated network. Each run is one seed: how many peers, who holds what, when faults strike.
 *
 * Safety, whatever happens: only right blocks are stored, each once in a peer's life on one disk. Liveness: as long as
 * one honest peer with all blocks can be reached in the end, everyone gets everything.
 */

import { expect, test } from 'vitest'
import { type Random, seededRandom } from '../../protocols/core/random.ts'
import { VirtualClock } from '../../simulator/clock.ts'
import { duplicates, FaultLog, interceptWith, lossyLinks, partitionFor } from '../../simulator/faults.ts'
import { Network } from '../../simulator/network.ts'
import {
  contentOf,
  type Disk,
  ShardPeer,
  type ShardPeerInit,
  type ShardWire,
} from '../../simulator/shards-peer.ts'

const faults = ['crash provider', 'crash wanting', 'loss', 'duplicate', 'partition', 'liar', 'slow'] as const
type Fault = (typeof faults)[number]

const deadlineMs = 15 * 60_000

interface Options {
  delayMs?: readonly [number, number]
  skipsVerification?: boolean
}

/** A swarm of one seed: `source` holds everything and stays honest; two others hold half; two or three want it all. */
class Swarm {
  readonly random: Random
  readonly log = new FaultLog()
  readonly network: Network<ShardWire>
  readonly cids: string[]
  readonly wanting: string[]
  readonly #inits = new Map<string, ShardPeerInit>()

  constructor(seed: number, chosen: readonly Fault[], options: Options = {}) {
    const random = seededRandom(seed)
    this.random = random
    const conditions = {
      delayMs: options.delayMs ?? [1, 200],
      jitterMs: 10,
      bytesPerSecond: (1 + random.integer(4)) * 1e6,
      detectMs: 500,
      reconnectMs: 400,
    }
    this.network = new Network({
      clock: new VirtualClock(),
      random: seededRandom(random.integer(2 ** 31)),
      conditions,
    })
    this.cids = Array.from({ length: 20 + random.integer(30) }, (_, index) => `block-${index}`)
    this.wanting = ['wanting-a', 'wanting-b', 'wanting-c'].slice(0, 2 + random.integer(2))
    this.#add('source', this.cids, {})
    for (const id of ['half-a', 'half-b'])
      this.#add(
        id,
        this.cids.filter(() => random.next() < 0.5),
        {},
      )
    if (chosen.includes('liar')) this.#add('liar', this.cids, { isLiar: true })
    if (chosen.includes('slow')) this.#add('slow', this.cids, { slownessMs: 6_000 })
    for (const id of this.wanting)
      this.#add(id, [], { wants: this.cids, skipsVerification: options.skipsVerification })
    this.#arrange(chosen)
  }

  disk(id: string): Disk {
    return this.#inits.get(id)!.disk
  }

  /** Runs until all have all. @throws when time runs out, saying who waits for what. */
  run(): void {
    const { clock } = this.network
    const isDone = (): boolean => this.wanting.every((id) => this.disk(id).blocks.size === this.cids.length)
    while (!isDone()) if (!clock.runNext(deadlineMs)) throw new Error(`stuck: ${this.#pending()}`)
    this.checkSafety()
  }

  checkSafety(): void {
    for (const id of this.wanting) {
      const { blocks, puts } = this.disk(id)
      for (const [cid, content] of blocks) {
        if (content !== contentOf(cid)) throw new Error(`${id} stored ${cid} with "${content}"`)
        if (puts.get(cid) !== 1) throw new Error(`${id} stored ${cid} ${puts.get(cid)} times`)
      }
    }
  }

  #add(id: string, held: readonly string[], extra: Partial<ShardPeerInit>): void {
    const disk = {
      blocks: new Map(held.map((cid) => [cid, contentOf(cid)])),
      puts: new Map<string, number>(),
    }
    const random = seededRandom(this.random.integer(2 ** 31))
    this.#inits.set(id, { random, disk, wants: [], ...extra })
    this.#start(id)
  }

  #start(id: string): void {
    this.network.start(id, (host) => new ShardPeer(host, this.#inits.get(id)!))
  }

  #arrange(chosen: readonly Fault[]): void {
    const { log, network, random } = this
    const chance = seededRandom(random.integer(2 ** 31))
    interceptWith(network, [
      (from, to, message) => this.#noteSent(from, to, message),
      ...(chosen.includes('loss') ? [lossyLinks<ShardWire>(chance, 0.02, log)] : []),
      ...(chosen.includes('duplicate') ? [duplicates<ShardWire>(chance, 0.1, log)] : []),
    ])
    const soon = (): number => 400 + random.integer(1_000)
    if (chosen.includes('partition'))
      network.clock.setTimer(soon(), () => partitionFor(network, random, 20_000, log))
    if (chosen.includes('crash provider')) {
      this.#crash('half-a', soon(), undefined)
      this.#crash('source', soon(), 10_000)
    }
    if (chosen.includes('crash wanting')) this.#crash('wanting-a', soon(), 3_000)
  }

  #noteSent(from: string, to: string, message: ShardWire): 'pass' {
    if (from === 'liar' && message.kind === 'block') this.log.note('liar')
    if (to === 'slow' && message.kind === 'want') this.log.note('slow')
    return 'pass'
  }

  #crash(id: string, afterMs: number, backAfterMs: number | undefined): void {
    const { clock } = this.network
    clock.setTimer(afterMs, () => {
      const { blocks } = this.disk(id)
      const isInTransfer = this.wanting.some((peer) => this.disk(peer).blocks.size < this.cids.length)
      if (isInTransfer) this.log.note(id.startsWith('wanting') ? 'crash wanting' : 'crash provider')
      if (id.startsWith('wanting') && blocks.size > 0) this.log.note('resume')
      this.network.crash(id)
      if (backAfterMs !== undefined) clock.setTimer(backAfterMs, () => this.#start(id))
    })
  }

  #pending(): string {
    return this.wanting
      .map((id) => `${id} has ${this.disk(id).blocks.size} of ${this.cids.length}`)
      .join('; ')
  }
}

test.each(faults)('with the fault "%s" everyone gets every block, right and once', (fault) => {
  for (let seed = 1; seed <= 60; seed++) {
    const swarm = new Swarm(seed, [fault])
    expect(() => swarm.run(), `seed ${seed}`).not.toThrow()
    expect(swarm.log.count(fault), `seed ${seed}: ${fault} must have fired`).toBeGreaterThan(0)
  }
})

test('with all faults at once everyone gets every block, and a restarted peer resumes from its disk', () => {
  let resumed = 0
  for (let seed = 1_000; seed < 1_100; seed++) {
    const swarm = new Swarm(seed, faults)
    expect(() => swarm.run(), `seed ${seed}`).not.toThrow()
    resumed += swarm.log.count('resume')
    for (const fault of faults) expect(swarm.log.count(fault), `seed ${seed}: ${fault}`).toBeGreaterThan(0)
  }
  expect(resumed).toBeGreaterThan(20)
})

test('links that take two seconds each way delay the fetch', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const swarm = new Swarm(seed, [], { delayMs: [1_900, 2_100] })
    expect(() => swarm.run(), `seed ${seed}`).not.toThrow()
    expect(swarm.network.clock.now(), `seed ${seed}`).toBeGreaterThan(2 * 1_900)
  }
})

test('a slow peer holds nobody up: with it the fetch takes at most a few seconds longer than without', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const without = new Swarm(seed, [])
    const withSlow = new Swarm(seed, ['slow'])
    without.run()
    withSlow.run()
    expect(withSlow.network.clock.now() - without.network.clock.now(), `seed ${seed}`).toBeLessThan(10_000)
  }
})

test('one seed gives one run', () => {
  const [first, second] = [new Swarm(7, faults), new Swarm(7, faults)]
  first.run()
  second.run()
  expect(first.network.clock.now()).toBe(second.network.clock.now())
  expect(first.log.entries()).toEqual(second.log.entries())
})

test('the checks notice a peer that does not verify', () => {
  let noticed = 0
  for (let seed = 1; seed <= 10; seed++) {
    const swarm = new Swarm(seed, ['liar'], { skipsVerification: true })
    try {
      swarm.run()
    } catch (error) {
      expect(String(error)).toMatch(/stored block-\d+ with "not content/)
      noticed++
    }
  }
  expect(noticed).toBe(10)
})
