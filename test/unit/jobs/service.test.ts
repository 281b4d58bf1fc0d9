/** The jobs service among peers that keep it busy, on a network that is not there. */

import type { Connection, Stream, StreamHandler } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { expect, test } from 'vitest'
import { jobsAnsweringMax } from '../../../protocols/core/limits.ts'
import { type JobsComponents, jobs } from '../../../protocols/jobs/index.ts'
import { createManifest } from '../../../protocols/jobs/manifest.ts'
import { encodeAnnounce, jobsTopic } from '../../../protocols/jobs/messages.ts'
import { sealManifest } from '../../../protocols/jobs/signed.ts'
import { VirtualClock } from '../../../simulator/clock.ts'
import { coordinatorKey, created, manifestInit, ownerKey, strangerKey } from './example.ts'

/** A stream on which nothing ever comes; `onCut` hears when it is cut off. */
function silentStream(onCut: () => void): Stream {
  const stream = new EventTarget()
  const abort = (error: Error): void => {
    onCut()
    stream.dispatchEvent(Object.assign(new Event('close'), { error }))
  }
  const still = { readStatus: 'readable', remoteWriteStatus: 'writable', readBufferLength: 0, timeline: {} }
  return Object.assign(stream, still, { abort }) as unknown as Stream
}

test('peers that open streams and ask nothing keep no announcement from being heard; those beyond the limit are cut off', async () => {
  const handlers: StreamHandler[] = []
  const registrar = {
    handle: async (_: string, handler: StreamHandler) => void handlers.push(handler),
    register: async () => 'topology',
    unregister() {},
    unhandle: async () => {},
  }
  const pubsub = Object.assign(new EventTarget(), { topicValidators: new Map() })
  const peerId = peerIdFromPrivateKey(coordinatorKey)
  const components = { peerId, privateKey: coordinatorKey, pubsub, registrar }
  const create = jobs({ clock: new VirtualClock(), epochMs: () => created + 1000 })
  const service = create(components as unknown as JobsComponents)
  await service.start()

  const stranger = { remotePeer: peerIdFromPrivateKey(strangerKey) } as Connection
  const cut: number[] = []
  for (let place = 0; place <= jobsAnsweringMax; place++)
    void handlers[0]!(
      silentStream(() => cut.push(place)),
      stranger,
    )
  expect(cut).toEqual([jobsAnsweringMax])

  const heard = Promise.withResolvers<string>()
  service.on((notice) => heard.resolve(notice.kind))
  const { envelope } = await sealManifest(createManifest(manifestInit()), ownerKey)
  const from = peerIdFromPrivateKey(ownerKey)
  const detail = { type: 'signed', topic: jobsTopic, data: encodeAnnounce(envelope), from }
  pubsub.dispatchEvent(new CustomEvent('message', { detail }))
  expect(await heard.promise).toBe('added')
  await service.stop()
})
