/**
 * yamux, kept from ending the process, and from answering every frame.
 *
 * It sends a stream's first frame in a microtask of its own; when the connection has closed by then, the frame is
 * refused by an error that nobody can catch. The stream learns of the end from its connection anyway, so the frame is
 * dropped. (@libp2p/yamux 8.0.3; what @libp2p/utils did when it drained was mended the same way, js-libp2p #3512.)
 *
 * And it opens the sender's window again after every frame of data: as many small messages as there are large ones,
 * each encrypted, sent and read by itself. Hashicorp's own yamux waits until half a window is used up, and so does
 * this: the other half is on its way meanwhile.
 */

import { type StreamMuxerFactory, StreamStateError } from '@libp2p/interface'
import { type YamuxMuxerInit, yamux } from '@libp2p/yamux'

/** A factory for `streamMuxers` of `createLibp2p`. */
export function sturdyYamux(init: YamuxMuxerInit): () => StreamMuxerFactory {
  const create = yamux(init)
  return () => {
    const factory = create()
    return {
      protocol: factory.protocol,
      createStreamMuxer: (connection) => {
        const muxer = factory.createStreamMuxer(connection)
        const open = muxer.onCreateStream.bind(muxer)
        muxer.onCreateStream = () => {
          const stream = open()
          const sendWindowUpdate = stream.sendWindowUpdate.bind(stream)
          stream.sendWindowUpdate = () => {
            try {
              sendWindowUpdate()
            } catch (error) {
              if (!(error instanceof StreamStateError)) throw error
            }
          }
          return openingByHalves(stream)
        }
        const accept = muxer.onRemoteStream.bind(muxer)
        muxer.onRemoteStream = (stream) => accept(openingByHalves(stream))
        return muxer
      },
    }
  }
}

/** What a stream knows of what it may still receive. */
interface Window {
  state: number
  recvWindow: number
  recvWindowCapacity: number
}

/** The state of a stream that both sides have opened and none has paused or closed. */
const established = 3

function openingByHalves<Stream extends { sendWindowUpdate(): void }>(stream: Stream): Stream {
  const window = stream as unknown as Window
  const sendWindowUpdate = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    const isHalfLeft = 2 * window.recvWindowCapacity > window.recvWindow
    if (window.state !== established || !isHalfLeft) sendWindowUpdate()
  }
  return stream
}
