/**
 * The holding side: answers wants from a list of sources, and tells each peer later of what it had asked for in vain.
 *
 * One want at a time and one block at a time for each stream: the next is read when the last was taken by the
 * transport, so a peer that asks much and reads nothing costs one block of memory.
 */

import type { CID } from 'multiformats/cid'
import { SwarmError } from '../core/errors.ts'
import { wantCidsMax, wantedBlocksMax } from '../core/limits.ts'
import type { FrameStream } from '../wire/stream.ts'
import { decodeShardMessage, encodeShardMessage, type ShardMessage, shardKinds } from './messages.ts'
import type { BlockSource } from './store.ts'

interface Session {
  stream: FrameStream
  /** What it asked for and nobody here had, by CID text. */
  missing: Map<string, CID>
}

export class BlockServer {
  readonly #sources: readonly BlockSource[]
  readonly #sessions = new Set<Session>()
  #blocksUp = 0
  #bytesUp = 0

  /** `sources` are asked in order; the list may grow later. */
  constructor(sources: readonly BlockSource[]) {
    this.#sources = sources
  }

  get sent(): { blocks: number; bytes: number } {
    return { blocks: this.#blocksUp, bytes: this.#bytesUp }
  }

  /** Serves `stream` until it ends; a peer that breaks the protocol is cut off. */
  async serve(stream: FrameStream): Promise<void> {
    const session: Session = { stream, missing: new Map() }
    this.#sessions.add(session)
    try {
      for await (const frame of stream.frames) await this.#answer(session, decodeShardMessage(frame))
      stream.close()
    } catch (error) {
      stream.abort(error instanceof Error ? error : new Error(String(error)))
      if (!(error instanceof SwarmError)) throw error
    } finally {
      this.#sessions.delete(session)
    }
  }

  /** Tells the peers that asked for any of `cids` in vain that they can be had now. */
  announce(cids: readonly CID[]): void {
    for (const { stream, missing } of this.#sessions) {
      const found = cids.filter((cid) => missing.delete(cid.toString()))
      for (let start = 0; start < found.length; start += wantCidsMax) {
        const have: ShardMessage = { kind: shardKinds.have, cids: found.slice(start, start + wantCidsMax) }
        stream.send(encodeShardMessage(have)).catch((error: Error) => stream.abort(error))
      }
    }
  }

  stop(): void {
    for (const { stream } of this.#sessions) stream.abort(new SwarmError('PEER_GONE', 'this peer stopped'))
  }

  async #answer(session: Session, message: ShardMessage): Promise<void> {
    const { peer } = session.stream
    if (message.kind !== shardKinds.want) {
      throw new SwarmError('PROTOCOL_VIOLATION', `peer ${peer} sent kind ${message.kind} instead of a want`, {
        peer,
      })
    }
    for (const cid of message.cids) await this.#answerOne(session, cid)
  }

  async #answerOne({ stream, missing }: Session, cid: CID): Promise<void> {
    const bytes = await this.#find(cid)
    if (bytes === undefined) {
      missing.set(cid.toString(), cid)
      const [oldest] = missing.keys()
      if (missing.size > wantedBlocksMax) missing.delete(oldest!)
      await stream.send(encodeShardMessage({ kind: shardKinds.dontHave, cid }))
      return
    }
    await stream.send(encodeShardMessage({ kind: shardKinds.block, cid, bytes }))
    this.#blocksUp++
    this.#bytesUp += bytes.byteLength
  }

  async #find(cid: CID): Promise<Uint8Array | undefined> {
    for (const source of this.#sources) {
      const bytes = await source.get(cid)
      if (bytes !== undefined) return bytes
    }
    return undefined
  }
}
