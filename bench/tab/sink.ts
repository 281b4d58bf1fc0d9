/**
 * The far end of a throughput measurement, in a tab or in Node: throws away what it is sent, and says when all has
 * come.
 */

import type { Connection, Stream } from '@libp2p/interface'
import { type Clock, systemClock } from '../../protocols/core/clock.ts'
import { FrameStream } from '../../protocols/wire/stream.ts'

/** Any name that no other protocol has. */
export const sinkProtocol = '/starling-bench/sink/1'

/** Frames are as large as the parts of an update in f32. */
export const frameBytes = 1 << 18

/** A handler for libp2p. The first frame of a stream says how many bytes follow; one byte answers the last. */
export function sink(clock: Clock = systemClock): (stream: Stream, connection: Connection) => void {
  return (stream, connection) => {
    // a sender that has measured enough drops the stream
    drain(new FrameStream(stream, { peer: connection.remotePeer.toString(), clock })).catch(() => {})
  }
}

/** The frame that goes first. */
export function header(bytes: number): Uint8Array {
  const frame = new Uint8Array(4)
  new DataView(frame.buffer).setUint32(0, bytes)
  return frame
}

async function drain(stream: FrameStream): Promise<void> {
  let left: number | undefined
  for await (const frame of stream.frames) {
    left =
      left === undefined ? new DataView(frame.buffer, frame.byteOffset).getUint32(0) : left - frame.byteLength
    if (left > 0) continue
    await stream.send(Uint8Array.of(1))
    left = undefined
  }
}
