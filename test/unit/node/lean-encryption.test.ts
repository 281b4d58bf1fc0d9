/** Over TCP a message leaves in one call, and what comes in pieces is decrypted in pieces: the same bytes, checked. */

import { Socket } from 'node:net'
import { type NoiseComponents, noise } from '@chainsafe/libp2p-noise'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { MessageStream, StreamMessageEvent } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { Uint8ArrayList } from 'uint8arraylist'
import { expect, test } from 'vitest'
import { leanEncryption, sendingAtOnce } from '../../../node/network/lean-encryption.ts'

/** A socket whose kernel takes what it gets when `letGo` is called. */
class SlowSocket extends Socket {
  readonly writes: number[] = []
  letGo = () => {}

  override _write(_chunk: unknown, _encoding: BufferEncoding, done: () => void): void {
    this.writes.push(1)
    this.letGo = done
  }

  override _writev(chunks: { chunk: unknown }[], done: () => void): void {
    this.writes.push(chunks.length)
    this.letGo = done
  }
}

const pieces = () => new Uint8ArrayList(Uint8Array.of(1, 2), new Uint8Array(100_000), Uint8Array.of(3))

test('all pieces of a message are written at once, and more only when there is room again', () => {
  const socket = new SlowSocket()
  const connection = sendingAtOnce({ socket, sendData: () => ({ sentBytes: 0, canSendMore: true }) })
  const sendData = connection.sendData as unknown as (data: Uint8ArrayList) => unknown
  expect(sendData(pieces())).toEqual({ sentBytes: 100_003, canSendMore: false })
  expect(socket.writes).toEqual([3])
  expect(sendData(pieces())).toEqual({ sentBytes: 100_003, canSendMore: false })
  socket.letGo()
  expect(socket.writes).toEqual([3, 3])
  socket.destroy()
})

test('a connection without a socket is left as it is', () => {
  const connection = { sendData: () => 7 }
  expect(sendingAtOnce(connection).sendData()).toBe(7)
})

async function encrypter({ log }: MessageStream) {
  const privateKey = await generateKeyPair('Ed25519')
  const peerId = peerIdFromPrivateKey(privateKey)
  const upgrader = { getStreamMuxers: () => new Map() }
  const components = {
    privateKey,
    peerId,
    logger: { forComponent: () => log },
    upgrader,
  } as unknown as NoiseComponents
  return { encrypter: leanEncryption(noise())(components), peerId }
}

async function securedPair() {
  const [near, far] = multiaddrConnectionPair()
  const [a, b] = [await encrypter(near), await encrypter(far)]
  const [outbound, inbound] = await Promise.all([
    a.encrypter.secureOutbound(near, { remotePeer: b.peerId }),
    b.encrypter.secureInbound(far),
  ])
  return { near, far, outbound, inbound, peers: [a.peerId, b.peerId] }
}

/** The next `count` bytes that arrive. */
async function received(stream: MessageStream, count: number): Promise<Uint8Array> {
  const list = new Uint8ArrayList()
  return new Promise((resolve, reject) => {
    stream.addEventListener('message', (event: StreamMessageEvent) => {
      list.append(event.data)
      if (list.byteLength >= count) resolve(list.subarray())
    })
    stream.addEventListener('close', (event) => reject(event.error))
  })
}

test('what is sent arrives, in messages short and long', async () => {
  const { outbound, inbound, peers } = await securedPair()
  expect([inbound.remotePeer, outbound.remotePeer].map(String)).toEqual(peers.map(String))
  for (const length of [1, 1_200, 200_000]) {
    const sent = Uint8Array.from({ length }, (_, i) => 7 * i + (i >> 8))
    const arrived = received(inbound.connection, length)
    outbound.connection.send(new Uint8ArrayList(sent.subarray(0, length >> 1), sent.subarray(length >> 1)))
    expect(await arrived).toEqual(sent)
  }
})

test.each([
  ['a message that was changed', Uint8Array.of(0, 20, ...new Uint8Array(20))],
  ['a message without a tag', Uint8Array.of(0, 5, ...new Uint8Array(5))],
])('%s breaks the connection', async (_, forged) => {
  const { near, inbound } = await securedPair()
  const arrived = received(inbound.connection, 1)
  near.send(forged)
  await expect(arrived).rejects.toThrow(/decryption|without a tag/)
})
