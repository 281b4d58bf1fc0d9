/** Links between real libp2p nodes on loopback: order, back-pressure, limits, loss and return of a peer. */

import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import { byteStream } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, test } from 'vitest'
import { createNode } from '../../node/network/libp2p.ts'
import { sharedOptions } from '../../node/peer/network.ts'
import type { SwarmError } from '../../protocols/core/errors.ts'
import { frameBytesMax, linkQueueBytesMax, pulseMs, silentMs } from '../../protocols/core/limits.ts'
import type { PeerComponents } from '../../protocols/wire/components.ts'
import { Links, type LinksInit } from '../../protocols/wire/link.ts'
import { FrameStream } from '../../protocols/wire/stream.ts'
import { VirtualClock } from '../../simulator/clock.ts'
import { spawnPeer } from './peers/spawn.ts'

const protocol = '/starling/link-test/1'

type Handlers = Partial<Omit<LinksInit, 'protocol'>>

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function startPeer(identity: PrivateKey, handlers: Handlers, port = 0) {
  const create = (components: PeerComponents): Links =>
    new Links(components, { protocol, onMessage: () => {}, ...handlers })
  const node = await createNode({
    identity,
    listen: [`/ip4/127.0.0.1/tcp/${port}`],
    services: { links: create },
  })
  cleanups.push(() => node.stop())
  return { node, links: node.services.links, id: node.peerId.toString() }
}

/** The keys of two peers, the one that opens links (the lesser id) first. */
async function twoIdentities(): Promise<[PrivateKey, PrivateKey]> {
  const keys = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')]
  const [opener, accepter] = keys.sort((a, b) => (a.publicKey.toString() < b.publicKey.toString() ? -1 : 1))
  return [opener!, accepter!]
}

/** Two peers; the opener knows the accepter's address, and neither wants a link yet. */
async function startPair(onOpener: Handlers, onAccepter: Handlers) {
  const [openerKey, accepterKey] = await twoIdentities()
  const opener = await startPeer(openerKey, onOpener)
  const accepter = await startPeer(accepterKey, onAccepter)
  await opener.node.peerStore.merge(accepter.node.peerId, { multiaddrs: accepter.node.getMultiaddrs() })
  return { opener, accepter }
}

/** A promise that `onUp` (or another callback) resolves with its last argument. */
function signalled<T = unknown>() {
  const { promise, resolve } = Promise.withResolvers<T>()
  return { promise, call: (...args: unknown[]) => resolve(args.at(-1) as T) }
}

function pass(clock: VirtualClock, durationMs: number): void {
  const untilMs = clock.now() + durationMs
  while (clock.runNext(untilMs));
}

test('frames arrive whole and in order, and those sent before the other side wanted the link are kept', async () => {
  const atAccepter: number[][] = []
  const openerUp = signalled()
  const back = signalled<Uint8Array>()
  const { opener, accepter } = await startPair(
    { onUp: openerUp.call, onMessage: back.call },
    { onMessage: (_, frame) => void atAccepter.push([frame.byteLength, frame[0]!, frame.at(-1)!]) },
  )
  opener.links.setPeers([accepter.id])
  await openerUp.promise
  for (const [index, size] of [1, 70_000, frameBytesMax, 300].entries()) {
    await opener.links.send(accepter.id, new Uint8Array(size).fill(index + 1))
  }
  expect(atAccepter).toEqual([])
  accepter.links.setPeers([opener.id])
  expect(accepter.links.isUp(opener.id)).toBe(true)
  await accepter.links.send(opener.id, new TextEncoder().encode('back'))
  expect(new TextDecoder().decode(await back.promise)).toBe('back')
  await expect
    .poll(() => atAccepter)
    .toEqual([
      [1, 1, 1],
      [70_000, 2, 2],
      [frameBytesMax, 3, 3],
      [300, 4, 4],
    ])
  expect(opener.links.traffic().get(accepter.id)).toEqual({ bytesUp: 70_301 + frameBytesMax, bytesDown: 4 })
})

test('a reader that stands still stops the writer within two windows, and all arrives once it moves', async () => {
  const frames = 40
  let received = 0
  let sent = 0
  const gate = Promise.withResolvers<void>()
  const up = signalled()
  const { opener, accepter } = await startPair(
    { onUp: up.call },
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
  const sending = (async () => {
    for (; sent < frames; sent++) await opener.links.send(accepter.id, new Uint8Array(1 << 20))
  })()
  let before = -1
  const hasStopped = (): boolean => {
    const isSame = sent === before
    before = sent
    return isSame
  }
  await expect.poll(hasStopped, { interval: 400, timeout: 20_000 }).toBe(true)
  expect(received).toBe(1)
  expect(sent).toBeLessThanOrEqual(12)
  gate.resolve()
  await sending
  await expect.poll(() => received).toBe(frames)
})

test('a link that is dropped and wanted again comes up after the old one is down, however long that takes', async () => {
  const said: string[] = []
  const gate = Promise.withResolvers<void>()
  const atOpener = signalled()
  const { opener, accepter } = await startPair(
    {
      onUp: () => void said.push('up'),
      onDown: () => void said.push('down'),
      onMessage: (_, frame) => {
        atOpener.call(frame)
        return gate.promise
      },
    },
    {},
  )
  accepter.links.setPeers([opener.id])
  opener.links.setPeers([accepter.id])
  await expect.poll(() => accepter.links.isUp(opener.id)).toBe(true)
  await accepter.links.send(opener.id, Uint8Array.of(1))
  await atOpener.promise
  opener.links.setPeers([])
  opener.links.setPeers([accepter.id])
  await expect.poll(() => accepter.links.isUp(opener.id)).toBe(false)
  expect(said).toEqual(['up'])
  gate.resolve()
  await expect.poll(() => said).toEqual(['up', 'down', 'up'])
  await expect.poll(() => accepter.links.isUp(opener.id)).toBe(true)
})

test('a frame over the limit is refused by its sender, and by its receiver as soon as the length is known', async () => {
  const { opener, accepter } = await startPair({}, {})
  const up = signalled()
  const down = signalled<SwarmError>()
  await accepter.node.services.links.stop()
  const strict = new Links(componentsOf(accepter.node), {
    protocol,
    onMessage: () => {},
    onUp: up.call,
    onDown: down.call,
  })
  await strict.start()
  cleanups.push(() => strict.stop())
  strict.setPeers([opener.id])
  const rude = await opener.node.dialProtocol(accepter.node.getMultiaddrs(), protocol)
  await up.promise
  rude.send(Uint8Array.of(0x81, 0x80, 0x44)) // announces frameBytesMax + 1
  expect(await down.promise).toMatchObject({ code: 'MESSAGE_TOO_LARGE', peer: opener.id })
  opener.links.setPeers([accepter.id])
  await expect.poll(() => opener.links.isUp(accepter.id)).toBe(true)
  const tooLong = opener.links.send(accepter.id, new Uint8Array(frameBytesMax + 1))
  await expect(tooLong).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
  expect(opener.links.isUp(accepter.id)).toBe(true)
})

test('a queue that passes its limit drops the link, and everything that waited is told', async () => {
  const up = signalled()
  const down = signalled<SwarmError>()
  const { opener, accepter } = await startPair({ onUp: up.call, onDown: down.call }, {})
  opener.links.setPeers([accepter.id]) // the accepter does not want the link, so it reads nothing
  await up.promise
  const frame = new Uint8Array(1 << 20)
  const sends = Array.from({ length: linkQueueBytesMax / frame.byteLength + 1 }, () =>
    opener.links.send(accepter.id, frame).then(
      () => 'sent',
      (error: SwarmError) => error.code,
    ),
  )
  const outcomes = new Set(await Promise.all(sends))
  expect(outcomes).toContain('LIMIT_EXCEEDED')
  expect(await down.promise).toMatchObject({ code: 'LIMIT_EXCEEDED' })
})

test('an abort takes back a frame that still waits, and the link lives on', async () => {
  const up = signalled()
  const received: number[] = []
  const { opener, accepter } = await startPair(
    { onUp: up.call },
    { onMessage: (_, frame) => void received.push(frame[0]!) },
  )
  opener.links.setPeers([accepter.id])
  await up.promise
  const waiting = Array.from({ length: 12 }, () =>
    opener.links.send(accepter.id, new Uint8Array(1 << 20).fill(1)),
  )
  const cancelled = opener.links.send(accepter.id, Uint8Array.of(2), { signal: AbortSignal.timeout(100) })
  await expect(cancelled).rejects.toMatchObject({ name: 'TimeoutError' })
  const last = opener.links.send(accepter.id, Uint8Array.of(3))
  accepter.links.setPeers([opener.id])
  await Promise.all([...waiting, last])
  await expect.poll(() => received).toEqual([...Array(12).fill(1), 3])
})

test('a peer that says nothing is silent though its link is up, and heard again with its next pulse, which nobody gets to see', async () => {
  const events: string[] = []
  const [openersClock, acceptersClock] = [new VirtualClock(), new VirtualClock()]
  const { opener, accepter } = await startPair(
    {
      clock: openersClock,
      onUp: () => events.push('up'),
      onSilent: () => events.push('silent'),
      onHeard: () => events.push('heard'),
      onMessage: (_, frame) => void events.push(`${frame.length} bytes`),
      onDown: () => events.push('down'),
    },
    { clock: acceptersClock },
  )
  accepter.links.setPeers([opener.id])
  opener.links.setPeers([accepter.id])
  await expect.poll(() => accepter.links.isUp(opener.id)).toBe(true)
  await accepter.links.send(opener.id, Uint8Array.of(1))
  await expect.poll(() => events).toEqual(['up', '1 bytes'])
  pass(openersClock, 2 * silentMs) // and none for the other, whose timers stand still
  expect(events).toEqual(['up', '1 bytes', 'silent'])
  expect(opener.links.isUp(accepter.id)).toBe(true)
  const eventsAfterPulse = () => {
    pass(acceptersClock, pulseMs)
    return events
  }
  await expect.poll(eventsAfterPulse).toEqual(['up', '1 bytes', 'silent', 'heard'])
})

test('a peer that does not want the link yet is not silent, however long that takes', async () => {
  const events: string[] = []
  const clock = new VirtualClock()
  const { opener, accepter } = await startPair(
    { clock, onUp: () => events.push('up'), onSilent: () => events.push('silent') },
    { onUp: () => events.push('taken up') },
  )
  opener.links.setPeers([accepter.id])
  await expect.poll(() => events).toEqual(['up'])
  pass(clock, 10 * silentMs)
  expect(events).toEqual(['up'])
  accepter.links.setPeers([opener.id])
  await expect.poll(() => events).toEqual(['up', 'taken up'])
})

/**
 * Half of the time after which a ping would notice that a peer is gone, if its closed connection did not say so at
 * once.
 */
const noticedMsMax = 15_000

test('a peer killed with SIGKILL is down long before a ping would notice, and a send to it fails at once', async () => {
  const up = signalled<string>()
  const down = signalled<SwarmError>()
  const survivor = await startPeer(await generateKeyPair('Ed25519'), { onUp: up.call, onDown: down.call })
  const victim = await spawnPeer<{ id: string; addresses: string[] }>('link-peer', protocol, survivor.id)
  cleanups.push(() => victim.kill())
  await survivor.node.dial(multiaddr(victim.hello.addresses[0]!))
  survivor.links.setPeers([victim.hello.id])
  expect(await up.promise).toBe(victim.hello.id)
  const killedAt = performance.now()
  await victim.kill()
  expect(await down.promise).toMatchObject({ code: 'PEER_GONE', peer: victim.hello.id })
  expect(performance.now() - killedAt).toBeLessThan(noticedMsMax)
  await expect(survivor.links.send(victim.hello.id, Uint8Array.of(1))).rejects.toMatchObject({
    code: 'PEER_GONE',
  })
})

test('a peer that returns under the same address is linked again without anybody asking', async () => {
  const [openerKey, accepterKey] = await twoIdentities()
  let ups = 0
  const opener = await startPeer(openerKey, { onUp: () => void ups++ })
  const first = await startPeer(accepterKey, {})
  await opener.node.peerStore.merge(peerIdFromString(first.id), { multiaddrs: first.node.getMultiaddrs() })
  opener.links.setPeers([first.id])
  await expect.poll(() => ups).toBe(1)
  const port = Number(first.node.getMultiaddrs()[0]!.toString().split('/')[4])
  await first.node.stop()
  await expect.poll(() => opener.links.isUp(first.id)).toBe(false)
  const back = signalled()
  const second = await startPeer(accepterKey, { onMessage: back.call }, port)
  second.links.setPeers([opener.id])
  await expect.poll(() => ups, { timeout: 10_000 }).toBe(2)
  await opener.links.send(second.id, Uint8Array.of(7))
  expect(await back.promise).toEqual(Uint8Array.of(7))
})

test('a taken port is named, with the remedy', async () => {
  const first = await startPeer(await generateKeyPair('Ed25519'), {})
  const port = Number(first.node.getMultiaddrs()[0]!.toString().split('/')[4])
  await expect(startPeer(await generateKeyPair('Ed25519'), {}, port)).rejects.toMatchObject({
    code: 'PORT_IN_USE',
    message: `port ${port} is in use by another program`,
    hint: expect.stringContaining('another port'),
  })
})

/** The component registry of a node: private in libp2p's types, and what its services are made from. */
function componentsOf(node: unknown): PeerComponents {
  return (node as { components: PeerComponents }).components
}

test('a stream that cannot be closed in time is a peer that went, not something that the reader cancelled', async () => {
  const { opener, accepter } = await startPair({}, {})
  await accepter.node.handle('/starling/still/1', () => {})
  const stream = await opener.node.dialProtocol(accepter.node.peerId, '/starling/still/1')
  stream.close = async () => {
    throw new DOMException('signal timed out', 'TimeoutError')
  }
  const frames = new FrameStream(stream, { peer: accepter.id })
  frames.close()
  const next = frames.frames[Symbol.asyncIterator]().next()
  await expect(next).rejects.toMatchObject({ code: 'PEER_GONE', peer: accepter.id })
})

test('pings that a busy peer has not answered yet break no connection', async () => {
  const { opener, accepter } = await startPair({}, {})
  const connection = await opener.node.dial(accepter.node.getMultiaddrs())
  const { pingInterval, pingTimeout } = sharedOptions(undefined).connectionMonitor
  for (let sentMs = 0; sentMs <= pingTimeout.maxTimeout; sentMs += pingInterval) {
    const ping = byteStream(await connection.newStream('/ipfs/ping/1.0.0'))
    await ping.write(new Uint8Array(32).fill(sentMs / pingInterval))
    expect((await ping.read({ bytes: 32 })).get(31)).toBe(sentMs / pingInterval)
  }
  expect(connection.status).toBe('open')
})
