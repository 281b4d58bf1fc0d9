/**
 * A connection that closes at the wrong moment must end a stream, not the process; and a stream is opened again by
 * halves of its window.
 */

import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import { multiaddrConnectionPair } from '@libp2p/utils'
import { expect, onTestFinished, test } from 'vitest'
import { sturdyYamux } from '../../../node/peer/muxer.ts'

test('a connection that closes as a stream is opened ends nothing but the stream', async () => {
  const uncaught: unknown[] = []
  const note = (error: unknown) => uncaught.push(error)
  process.on('uncaughtException', note)
  onTestFinished(() => void process.off('uncaughtException', note))
  const [connection] = multiaddrConnectionPair()
  const muxer = sturdyYamux({})().createStreamMuxer(connection)
  const opening = muxer.createStream()
  void connection.close()
  await opening.catch(() => {})
  await new Promise((resolve) => setImmediate(resolve))
  expect(uncaught).toEqual([])
  expect(connection.status).not.toBe('open')
})

/** The window that every stream begins with: hashicorp/yamux, spec.md. */
const windowBytes = 256 << 10

/** Type of a frame that opens a window, in its second byte. */
const windowUpdate = 1

/** The window stays as it begins: it would grow by how fast this machine answers. */
const streamOptions = { maxStreamWindowSize: windowBytes }

/** Two streams that are one, of two muxers, by the connection that each is on. */
async function streamPair() {
  const connections = multiaddrConnectionPair()
  const [near, far] = connections.map((connection) =>
    sturdyYamux({ streamOptions })().createStreamMuxer(connection),
  )
  const accepted = new Promise<Stream>((resolve) => {
    far!.addEventListener('stream', (event) => resolve(event.detail))
  })
  const opened = await near!.createStream()
  opened.send(new Uint8Array(1))
  return { connections, streams: [opened, await accepted] as const }
}

test.each([
  ['opened', 0],
  ['accepted', 1],
] as const)(
  'a stream that was %s opens the window by halves, and nothing waits for the rest',
  async (_, end) => {
    const { connections, streams } = await streamPair()
    const receiver = streams[end]
    const sender = streams[1 - end]!
    let updates = 0
    connections[1 - end]!.addEventListener('message', (event: StreamMessageEvent) => {
      if (event.data.subarray()[1] === windowUpdate) updates++
    })
    let bytes = 0
    const all = new Promise<void>((resolve) => {
      receiver.addEventListener('message', (event: StreamMessageEvent) => {
        bytes += event.data.byteLength
        if (bytes >= 4 * windowBytes) resolve()
      })
    })
    const frame = new Uint8Array(windowBytes / 16)
    for (let sent = 0; sent < 4 * windowBytes; sent += frame.length)
      if (!sender.send(frame.slice())) await sender.onDrain()
    await all
    expect(updates).toBeGreaterThan(0)
    expect(updates).toBeLessThanOrEqual(8)
  },
)
