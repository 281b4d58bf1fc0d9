/**
 * Encryption as noise does it, with less to do for each message over TCP. Both changes are to objects of pinned
 * packages, and neither to what goes over the wire.
 *
 *     sending    length ‖ header ‖ values ‖ … ‖ tag      were five calls to the kernel and five packets; they are one
 *     receiving  a message that spans two reads          was copied into one buffer for ciphers that decrypt in place,
 *                                                        which Node's does not
 *
 * docs/decisions/0016 has what that saves.
 */

import { Socket } from 'node:net'
import type { ConnectionEncrypter, MessageStream, SecuredConnection } from '@libp2p/interface'
import { Uint8ArrayList } from 'uint8arraylist'

/** A connection of @libp2p/tcp 11.0.28. */
interface SocketConnection {
  socket: Socket
  /** Hands on what it can, in order. */
  sendData(data: Uint8ArrayList): { sentBytes: number; canSendMore: boolean }
}

/** An encrypted connection of @chainsafe/libp2p-noise 17.0.0. */
interface NoiseConnection {
  handshake: { decrypt(message: Uint8ArrayList): Uint8Array | Uint8ArrayList }
  /** The plaintext of one message, at most 65,535 bytes. */
  decrypt(message: Uint8ArrayList): Uint8ArrayList
}

/** Bytes of a message's tag (Noise protocol framework, revision 34, section 3). */
const tagBytes = 16

/** `create` with both changes; what is not TCP is left as it is. */
export function leanEncryption<Components, Extensions>(
  create: (components: Components) => ConnectionEncrypter<Extensions>,
): (components: Components) => ConnectionEncrypter<Extensions> {
  return (components) => {
    const encrypter = create(components)
    const secureInbound = encrypter.secureInbound.bind(encrypter)
    const secureOutbound = encrypter.secureOutbound.bind(encrypter)
    encrypter.secureInbound = async (connection, options) =>
      decryptingPieces(await secureInbound(sendingAtOnce(connection), options))
    encrypter.secureOutbound = async (connection, options) =>
      decryptingPieces(await secureOutbound(sendingAtOnce(connection), options))
    return encrypter
  }
}

/** `connection`, which writes all pieces of what it is given in one call. */
export function sendingAtOnce<Connection extends object>(connection: Connection): Connection {
  if (!('socket' in connection) || !(connection.socket instanceof Socket)) return connection
  const { socket } = connection
  const sending = connection as Connection & SocketConnection
  sending.sendData = (data) => {
    socket.cork()
    for (const piece of data) socket.write(piece)
    socket.uncork()
    // what the kernel took at once leaves room, although Node says so only in the next turn
    return {
      sentBytes: data.byteLength,
      canSendMore: socket.writableLength === 0 || !socket.writableNeedDrain,
    }
  }
  return sending
}

function decryptingPieces<Extensions>(secured: SecuredConnection<Extensions>): SecuredConnection<Extensions> {
  const connection = secured.connection as MessageStream & NoiseConnection
  connection.decrypt = (message) => {
    if (message.byteLength < tagBytes) throw new Error('a message without a tag')
    return new Uint8ArrayList(connection.handshake.decrypt(message))
  }
  return secured
}
