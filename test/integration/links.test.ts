/** Links between real libp2p nodes on loopback: order, back-pressure, limits, loss of a peer. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, test } from 'vitest'
import { createNode } from '../../node/libp2p.ts'
import type { SwarmError } from '../../protocols/core/errors.ts'
import { frameBytesMax, linkQueueBytesMax } from '../../protocols/core/limits.ts'
import type { PeerComponents } from '../../protocols/wire/components.ts'
import { Links, type LinksInit } from '../../protocols/wire/link.ts'
import { FrameStream } from '../../protocols/wire/stream.ts'

const protocol = '/starling/link-test/1'

type Handlers = Partial<Omit<LinksInit, 'protocol'>>

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startPeer(handlers: Handlers = {}) {
  const identity = await generateKeyPair('Ed25519')
  const create = (components: PeerComponents): Links =>
    new Links(components, { protocol, onMessage: () => {}, ...handlers })
  const node = await createNode({ identity, listen: ['/ip4/127.0.0.1/tcp/0'], services: { links: create } })
  cleanups.push(() => node.stop())
  return { node, links: node.services.links, id: node.peerId.toString() }
}

/** Two peers, `opener` with the lesser id; each knows the other's addresses. */
async function startPair(onOpener: Handlers, onAccepter: Handlers) {
  const first = { handlers: {} as Handlers }
  const second = { handlers: {} as Handlers }
  const forward = (to: { handlers: Handlers }): Handlers => ({
    onMessage: (peer, frame) => to.handlers.onMessage?.(peer, frame),
    onUp: (peer) => to.handlers.onUp?.(peer),
    onDown: (peer, reason) => to.handlers.onDown?.(peer, reason),
  })
  const a = { ...(await startPeer(forward(first))), late: first }
  const b = { ...(await startPeer(forward(second))), late: second }
  const [opener, accepter] = a.id < b.id ? [a, b] : [b, a]
  opener.late.handlers = onOpener
  accepter.late.handlers = onAccepter
  await opener.node.peerStore.merge(accepter.node.peerId, { multiaddrs: accepter.node.getMultiaddrs() })
  return { opener, accepter }
}

function deferred<T = void>() {
  return Promise.withResolvers<T>()
}

test('frames arrive whole and in order in both directions, whichever side lists the other first', async () => {
  const atAccepter: number[][] = []
  const atOpener: string[] = []
  const openerUp = deferred()
  const accepterUp = deferred()
  const done = deferred()
  const { opener, accepter } = await startPair(
    {
      onUp: () => openerUp.resolve(),
      onMessage: (_, frame) => void atOpener.push(new TextDecoder().decode(frame)),
    },
    {
      onUp: () => accepterUp.resolve(),
      onMessage: (_, frame) => {
        atAccepter.push([frame.byteLength, frame[0]!, frame.at(-1)!])
        if (atAccepter.length === 4) done.resolve()
      },
    },
  )
  opener.links.setPeers([accepter.id])
  await openerUp.promise
  for (const [index, size] of [1, 70_000, frameBytesMax, 300].entries()) {
    await opener.links.send(accepter.id, new Uint8Array(size).fill(index + 1))
  }
  expect(atAccepter).toEqual([]) // parked: nothing is delivered before the accepter wants the peer
  accepter.links.setPeers([opener.id])
  await accepterUp.promise
  await accepter.links.send(opener.id, new TextEncoder().encode('back'))
  await done.promise
  expect(atAccepter).toEqual([
    [1, 1, 1],
    [70_000, 2, 2],
    [frameBytesMax, 3, 3],
    [300, 4, 4],
  ])
  await expect.poll(() => atOpener).toEqual(['back'])
  expect(opener.links.traffic().get(accepter.id)).toEqual({ bytesUp: 70_301 + frameBytesMax, bytesDown: 4 })
})

test('a slow reader holds the writer back: what is on its way stays below one window and one read-ahead', async () => {
  const frames = 40
  let received = 0
  let gate = deferred()
  const up = deferred()
  const { opener, accepter } = await startPair(
    { onUp: () => up.resolve() },
    {
      onMessage: async () => {
        received++
        await gate.promise
      },
    },
  )
  accepter.links.setPeers([opener.id])
  opener.links.setPeers([accepter.id])
  await up.promise
  let sent = 0
  const sending = (async () => {
    for (let i = 0; i < frames; i++) {
      await opener.links.send(accepter.id, new Uint8Array(1 << 20))
      sent++
    }
  })()
  // The reader stands still; the writer stops when windows and buffers are full.
  let before = -1
  await expect
    .poll(() => [before === sent, (before = sent)][0], { interval: 300, timeout: 20_000 })
    .toBe(true)
  expect(received).toBe(1)
  expect(sent).toBeLessThanOrEqual(16)
  expect(sent).toBeLessThan(frames)
  gate.resolve()
  gate = deferred()
  gate.resolve()
  await sending
  await expect.poll(() => received).toBe(frames)
})

test('a frame over the limit is refused by the sender, and by the receiver before it is buffered', async () => {
  const up = deferred()
  const down = deferred<SwarmError>()
  const { opener, accepter } = await startPair(
    { onUp: () => up.resolve() },
    { onDown: (_, reason) => down.resolve(reason) },
  )
  accepter.links.setPeers([opener.id])
  opener.links.setPeers([accepter.id])
  await up.promise
  await expect(opener.links.send(accepter.id, new Uint8Array(frameBytesMax + 1))).rejects.toMatchObject({
    code: 'MESSAGE_TOO_LARGE',
  })
  const rude = await opener.node.dialProtocol(accepter.node.peerId, protocol)
  rude.send(Uint8Array.of(0xff, 0xff, 0xff, 0x7f)) // announces 256 MiB
  await expect(down.promise).resolves.toMatchObject({
    code: 'PEER_GONE',
    message: expect.stringMatching(/newer link/),
  })
  await expect(once(rude as unknown as NodeJS.EventEmitter, 'close')).resolves.toBeDefined()
})
