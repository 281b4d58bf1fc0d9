/**
 * yamux, kept from ending the process. It sends a stream's first frame in a microtask of its own; when the connection
 * has closed by then, the frame is refused by an error that nobody can catch. The stream learns of the end from its
 * connection anyway, so the frame is dropped. (@libp2p/yamux 8.0.3; what @libp2p/utils did when it drained was mended
 * the same way, js-libp2p #3512.)
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
          return stream
        }
        return muxer
      },
    }
  }
}
