/**
 * A peer of the shards protocol on the simulated network: the real machine, and around it what the service does with
 * streams, hashing and stores, in a few lines. A block's content is a text made from its name, so that a corrupt one
 * can be told.
 *
 * The store outlives a crash, as a disk does; everything else is made anew at each start.
 */

import type { Random } from '../protocols/core/random.ts'
import { type ShardEvent, ShardMachine } from '../protocols/shards/machine.ts'
import type { Host, Process } from './process.ts'

export type ShardWire =
  | { kind: 'want'; cids: readonly string[] }
  | { kind: 'block'; cid: string; content: string }
  | { kind: 'dontHave'; cid: string }
  | { kind: 'have'; cids: readonly string[] }

/** Bytes of a block on the wire; other messages are small. */
const blockBytes = 1 << 20
const smallBytes = 64

/** What a peer's disk holds, and how often each block was put there. */
export interface Disk {
  blocks: Map<string, string>
  puts: Map<string, number>
}

export interface ShardPeerInit {
  random: Random
  disk: Disk
  /** Blocks that it wants and its disk lacks are fetched. */
  wants: readonly string[]
  /** Sends every block with another content. */
  isLiar?: boolean
  /** Time it takes to answer for each block. */
  slownessMs?: number
  /** Takes every block for good. Only for proving that the checks notice. */
  skipsVerification?: boolean
}

/** The only right content of block `cid`. */
export function contentOf(cid: string): string {
  return `content of ${cid}`
}

export class ShardPeer implements Process<ShardWire> {
  readonly #host: Host<ShardWire>
  readonly #init: ShardPeerInit
  readonly #machine: ShardMachine
  /** What each linked peer asked for in vain. */
  readonly #missing = new Map<string, Set<string>>()
  /** When the last answer to each peer is ready: a slow peer answers in order. */
  #busyUntil = 0

  constructor(host: Host<ShardWire>, init: ShardPeerInit) {
    this.#host = host
    this.#init = init
    this.#machine = new ShardMachine({ random: init.random })
    this.#want(init.wants.filter((cid) => !init.disk.blocks.has(cid)))
  }

  linkUp(peer: string): void {
    this.#missing.set(peer, new Set())
    this.#step({ kind: 'PeerJoined', now: this.#host.clock.now(), peer })
  }

  linkDown(peer: string): void {
    this.#missing.delete(peer)
    this.#step({ kind: 'PeerLeft', now: this.#host.clock.now(), peer })
  }

  receive(from: string, message: ShardWire): void {
    const now = this.#host.clock.now()
    if (message.kind === 'want') for (const cid of message.cids) this.#answerLater(from, cid)
    else if (message.kind === 'have') this.#step({ kind: 'HaveArrived', now, peer: from, cids: message.cids })
    else if (message.kind === 'dontHave')
      this.#step({ kind: 'DontHaveArrived', now, peer: from, cid: message.cid })
    else this.#onBlock(from, message.cid, message.content)
  }

  pending(): string | undefined {
    return this.#machine.pending() || undefined
  }

  #answerLater(to: string, cid: string): void {
    const { clock } = this.#host
    this.#busyUntil = Math.max(this.#busyUntil, clock.now()) + (this.#init.slownessMs ?? 0)
    clock.setTimer(this.#busyUntil - clock.now(), () => this.#answer(to, cid))
  }

  #answer(to: string, cid: string): void {
    const content = this.#init.disk.blocks.get(cid)
    if (content === undefined) {
      this.#missing.get(to)?.add(cid)
      this.#host.send(to, { kind: 'dontHave', cid }, smallBytes)
      return
    }
    const told = this.#init.isLiar === true ? `not ${content}` : content
    this.#host.send(to, { kind: 'block', cid, content: told }, blockBytes)
  }

  #onBlock(peer: string, cid: string, content: string): void {
    const isValid = this.#init.skipsVerification === true || content === contentOf(cid)
    const effects = this.#step({ kind: 'BlockArrived', now: this.#host.clock.now(), peer, cid, isValid })
    if (!effects.some((effect) => effect.kind === 'Store' && effect.cid === cid)) return
    const { blocks, puts } = this.#init.disk
    blocks.set(cid, content)
    puts.set(cid, (puts.get(cid) ?? 0) + 1)
    for (const [other, missing] of this.#missing) {
      if (missing.delete(cid)) this.#host.send(other, { kind: 'have', cids: [cid] }, smallBytes)
    }
  }

  #step(event: ShardEvent) {
    const effects = this.#machine.step(event)
    for (const effect of effects) {
      if (effect.kind === 'Ask') this.#host.send(effect.peer, { kind: 'want', cids: effect.cids }, smallBytes)
      if (effect.kind === 'Wake') this.#wakeIn(effect.delayMs)
      if (effect.kind === 'Fail') this.#wantAgain(effect.cid)
      if (effect.kind === 'Drop') this.#rejoinLater(effect.peer)
    }
    return effects
  }

  #want(cids: readonly string[]): void {
    const patienceMs = new Map(cids.map((cid) => [cid, Number.POSITIVE_INFINITY]))
    this.#step({ kind: 'Wanted', now: this.#host.clock.now(), patienceMs })
  }

  /** A block fails when only a liar could be asked for it; the caller of the service would try again too. */
  #wantAgain(cid: string): void {
    this.#host.clock.setTimer(1_000, () => this.#want([cid]))
  }

  #wakeIn(delayMs: number): void {
    const { clock } = this.#host
    clock.setTimer(delayMs, () => this.#step({ kind: 'Woke', now: clock.now() }))
  }

  /** As the service's sessions do; the machine does not let an excluded one back in. */
  #rejoinLater(peer: string): void {
    const { clock } = this.#host
    clock.setTimer(500, () => {
      if (this.#missing.has(peer)) this.#step({ kind: 'PeerJoined', now: clock.now(), peer })
    })
  }
}
