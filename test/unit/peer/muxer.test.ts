/** A connection that closes at the wrong moment must end a stream, not the process. */

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
