/**
 * Carries out what the machine decides: streams, timers and hashing become events, effects become sends and puts.
 *
 * Every block is hashed before the machine hears of it, and stored only when the machine says so. Fetches that run at
 * the same time share one machine: a block wanted by two of them is asked for once and put into the store of each.
 */

import type { Connection, Stream } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import { isBlockCid } from '../core/block-cid.ts'
import { type Clock, systemClock } from '../core/clock.ts'
import { type ErrorCode, SwarmError } from '../core/errors.ts'
import { blockBytesMax, wantedBlocksMax } from '../core/limits.ts'
import { seededRandom, seedFrom } from '../core/random.ts'
import type { PeerComponents } from '../wire/components.ts'
import { FrameStream } from '../wire/stream.ts'
import { isBlock } from './block.ts'
import { decodeFileIndex } from './files.ts'
import { inParallel } from './in-parallel.ts'
import { type DropReason, type ShardEffect, type ShardEvent, ShardMachine } from './machine.ts'
import { decodeShardMessage, encodeShardMessage, shardKinds, shardsProtocol } from './messages.ts'
import type { FetchOptions, ShardStats, ShardsInit } from './options.ts'
import { BlockServer } from './serve.ts'
import { Sessions } from './sessions.ts'
import type { BlockSource, BlockStore } from './store.ts'
import { type Cancel, WaitingBlocks } from './waiting.ts'

interface OneFetch {
  into: BlockStore
  cancels: Set<Cancel>
  signal: AbortSignal
  patienceMs: number
}

const dropCodes: { [Reason in DropReason]: ErrorCode } = {
  'sent a corrupt block': 'BLOCK_CORRUPT',
  'sent blocks that nobody asked for': 'PROTOCOL_VIOLATION',
  'was silent too long': 'TIMEOUT',
}

export class Shards {
  readonly #components: PeerComponents
  readonly #store: BlockStore
  readonly #sources: BlockSource[]
  readonly #clock: Clock
  readonly #machine: ShardMachine
  readonly #server: BlockServer
  readonly #sessions: Sessions
  readonly #waiting: WaitingBlocks
  readonly #stopping = new AbortController()
  /** Wanted in this turn and not yet told to the machine, with the patience: one event for a whole list. */
  readonly #newlyWanted = new Map<string, number>()
  #down = { blocksDown: 0, bytesDown: 0, duplicateBlocks: 0, corruptBlocks: 0 }

  constructor(components: PeerComponents, init: ShardsInit) {
    this.#components = components
    this.#store = init.store
    this.#sources = [init.store, ...(init.sources ?? [])]
    this.#clock = init.clock ?? systemClock
    const random = init.random ?? seededRandom(seedFrom(components.peerId.toString(), 'shards'))
    this.#machine = new ShardMachine({ random, depth: init.depth })
    this.#server = new BlockServer(this.#sources)
    this.#waiting = new WaitingBlocks({
      onUnwanted: (key) => this.#step({ kind: 'Unwanted', now: this.#clock.now(), cids: [key] }),
    })
    this.#sessions = new Sessions(components, this.#clock, {
      onJoined: (peer) => this.#step({ kind: 'PeerJoined', now: this.#clock.now(), peer }),
      onLeft: (peer) => this.#step({ kind: 'PeerLeft', now: this.#clock.now(), peer }),
      onFrame: (peer, frame) => this.#onFrame(peer, frame),
    })
  }

  /** Called by libp2p. */
  async start(): Promise<void> {
    await this.#components.registrar.handle(shardsProtocol, this.#onStream)
    await this.#sessions.start()
  }

  /** Called by libp2p. Fetches that run are rejected. */
  async stop(): Promise<void> {
    this.#stopping.abort(new SwarmError('PEER_GONE', 'this peer stopped'))
    this.#sessions.stop()
    this.#server.stop()
    await this.#components.registrar.unhandle(shardsProtocol)
  }

  /** Serves the blocks of `source` too, from now on. Returns a function that takes it back. */
  addSource(source: BlockSource): () => void {
    this.#sources.push(source)
    return () => {
      const place = this.#sources.indexOf(source)
      if (place >= 0) this.#sources.splice(place, 1)
    }
  }

  /**
   * Tells peers that asked for any of `cids` in vain that a source has them now. Fetched blocks are announced already.
   */
  announce(cids: readonly CID[]): void {
    this.#server.announce(cids)
  }

  get stats(): ShardStats {
    const { blocks, bytes } = this.#server.sent
    return { blocksUp: blocks, bytesUp: bytes, ...this.#down }
  }

  /** What it waits for, in words; empty when nothing is wanted. */
  pending(): string {
    return this.#machine.pending()
  }

  /**
   * Brings every block of `cids` into the store. What the store has is not asked for, so an interrupted fetch resumes.
   * @throws {SwarmError} BLOCK_NOT_FOUND when patience ran out; BLOCK_CORRUPT (naming the peer) when only a peer that
   * sent it corrupt has a block; STORAGE_FAILED; MESSAGE_INVALID for a CID that names no block. The signal's reason.
   */
  async fetch(cids: readonly CID[], options: FetchOptions = {}): Promise<void> {
    const { into = this.#store, onProgress, peers, patienceMs = Number.POSITIVE_INFINITY } = options
    const ended = new AbortController()
    const signal = AbortSignal.any([
      this.#stopping.signal,
      ended.signal,
      ...(options.signal === undefined ? [] : [options.signal]),
    ])
    signal.throwIfAborted()
    const cancels = new Set<Cancel>()
    signal.addEventListener('abort', () => {
      for (const cancel of [...cancels]) cancel(signal.reason)
    })
    const stopConnecting = peers === undefined ? () => {} : this.#sessions.keepConnected(peers)
    const progress = { blocks: 0, blocksTotal: cids.length, bytes: 0 }
    try {
      await inParallel(cids, wantedBlocksMax, async (cid) => {
        const bytes = await this.#fetchOne(cid, { into, cancels, signal, patienceMs })
        progress.blocks++
        progress.bytes += bytes
        onProgress?.({ ...progress })
      })
    } finally {
      stopConnecting()
      // heard by nobody, since the first failure is thrown already: no block is waited for any longer, nor from now on
      ended.abort(new SwarmError('PEER_GONE', 'the fetch has ended'))
    }
  }

  /**
   * The bytes of the file that `root` names: its blocks are fetched as far as the store lacks them, and each is
   * checked.
   * @throws {SwarmError} as `fetch`; MESSAGE_INVALID when `root` names no file.
   */
  async fetchFile(root: CID, options: FetchOptions = {}): Promise<Uint8Array> {
    const index = decodeFileIndex(await this.fetchBlock(root, options))
    await this.fetch(index.chunks, options)
    const bytes = new Uint8Array(index.size)
    for (const [place, cid] of index.chunks.entries()) {
      const chunk =
        (await readChecked(options.into ?? this.#store, cid)) ?? (await this.fetchBlock(cid, options))
      const start = place * blockBytesMax
      if (chunk.byteLength !== Math.min(blockBytesMax, index.size - start)) {
        throw new SwarmError(
          'MESSAGE_INVALID',
          `chunk ${place} of file ${root} has ${chunk.byteLength} bytes`,
        )
      }
      bytes.set(chunk, start)
    }
    return bytes
  }

  /**
   * One block. Read back from the store and checked there too: a block that a disk has spoiled is fetched again.
   * @throws {SwarmError} as `fetch`; CHECKSUM_MISMATCH when the store spoils the block a second time.
   */
  async fetchBlock(cid: CID, options: FetchOptions = {}): Promise<Uint8Array> {
    const store = options.into ?? this.#store
    for (let attempt = 0; attempt < 2; attempt++) {
      await this.fetch([cid], { ...options, onProgress: undefined })
      const bytes = await readChecked(store, cid)
      if (bytes !== undefined) return bytes
    }
    throw new SwarmError('CHECKSUM_MISMATCH', `the store does not keep block ${cid} as it was stored`, {
      hint: 'Check the disk, or choose another folder for the store.',
    })
  }

  readonly #onStream = (stream: Stream, connection: Connection): Promise<void> =>
    this.#server.serve(
      new FrameStream(stream, { peer: connection.remotePeer.toString(), clock: this.#clock }),
    )

  /** @returns the bytes that came over the network: 0 when the block was here. */
  async #fetchOne(cid: CID, { into, cancels, signal, patienceMs }: OneFetch): Promise<number> {
    if (!isBlockCid(cid)) throw new SwarmError('MESSAGE_INVALID', `${cid} names no block of Starling`)
    if (await this.#isHere(cid, into)) return 0
    signal.throwIfAborted()
    const waited = this.#waiting.wait(cid.toString(), into, cancels)
    this.#tellSoon(cid.toString(), patienceMs)
    return waited
  }

  /** True when `into` has the block, from one of this peer's other sources if need be. */
  async #isHere(cid: CID, into: BlockStore): Promise<boolean> {
    if (await into.has(cid)) return true
    for (const source of this.#sources) {
      const bytes = source === into ? undefined : await source.get(cid)
      if (bytes === undefined || !(await isBlock(cid, bytes))) continue
      await into.put(cid, bytes)
      return true
    }
    return false
  }

  #tellSoon(key: string, patienceMs: number): void {
    if (this.#newlyWanted.size === 0) queueMicrotask(() => this.#tellWanted())
    this.#newlyWanted.set(key, Math.max(patienceMs, this.#newlyWanted.get(key) ?? 0))
  }

  #tellWanted(): void {
    const patienceMs = new Map([...this.#newlyWanted].filter(([key]) => this.#waiting.isWanted(key)))
    this.#newlyWanted.clear()
    this.#step({ kind: 'Wanted', now: this.#clock.now(), patienceMs })
  }

  #step(event: ShardEvent): ShardEffect[] {
    const effects = this.#machine.step(event)
    for (const effect of effects) this.#carryOut(effect)
    return effects
  }

  /** All but `Store`, which whoever holds the bytes carries out. */
  #carryOut(effect: ShardEffect): void {
    if (effect.kind === 'Ask') {
      const want = { kind: shardKinds.want, cids: effect.cids.map((cid) => CID.parse(cid)) }
      this.#sessions.send(effect.peer, encodeShardMessage(want))
    } else if (effect.kind === 'Drop') {
      const { peer, reason } = effect
      this.#sessions.drop(peer, new SwarmError(dropCodes[reason], `peer ${peer} ${reason}`, { peer }))
    } else if (effect.kind === 'Fail') {
      this.#waiting.fail(effect.cid, failure(effect.cid, effect.liar))
    } else if (effect.kind === 'Wake') {
      this.#clock.setTimer(effect.delayMs, () => {
        if (!this.#stopping.signal.aborted) this.#step({ kind: 'Woke', now: this.#clock.now() })
      })
    }
  }

  async #onFrame(peer: string, frame: Uint8Array): Promise<void> {
    const message = decodeShardMessage(frame)
    const now = this.#clock.now()
    if (message.kind === shardKinds.dontHave) {
      this.#step({ kind: 'DontHaveArrived', now, peer, cid: message.cid.toString() })
    } else if (message.kind === shardKinds.have) {
      this.#step({ kind: 'HaveArrived', now, peer, cids: message.cids.map(String) })
    } else if (message.kind === shardKinds.block) {
      await this.#onBlock(peer, message.cid, message.bytes)
    } else {
      throw new SwarmError('PROTOCOL_VIOLATION', `peer ${peer} answered with a want`, { peer })
    }
  }

  async #onBlock(peer: string, cid: CID, bytes: Uint8Array): Promise<void> {
    const key = cid.toString()
    const isValid = await isBlock(cid, bytes)
    this.#down.blocksDown++
    this.#down.bytesDown += bytes.byteLength
    if (!isValid) this.#down.corruptBlocks++
    const effects = this.#step({ kind: 'BlockArrived', now: this.#clock.now(), peer, cid: key, isValid })
    if (effects.some((effect) => effect.kind === 'Store' && effect.cid === key)) {
      await this.#waiting.deliver(cid, bytes)
      this.#server.announce([cid])
    } else if (isValid) {
      this.#down.duplicateBlocks++
    }
  }
}

/** The block as `store` has it. A spoiled one is deleted, and is then as good as never stored. */
async function readChecked(store: BlockStore, cid: CID): Promise<Uint8Array | undefined> {
  const bytes = await store.get(cid)
  if (bytes === undefined || (await isBlock(cid, bytes))) return bytes
  await store.delete(cid)
  return undefined
}

function failure(cid: string, liar: string | undefined): SwarmError {
  if (liar === undefined) {
    return new SwarmError('BLOCK_NOT_FOUND', `no connected peer has block ${cid}`, {
      retry: 'other-peer',
      hint: 'Wait until a peer that has it is back, or launch the job again: that brings a copy into the swarm.',
    })
  }
  const message = `peer ${liar} sent block ${cid} corrupt, and no other peer has it`
  return new SwarmError('BLOCK_CORRUPT', message, {
    peer: liar,
    retry: 'other-peer',
    hint: 'Launch the job again: that brings a good copy into the swarm.',
  })
}
