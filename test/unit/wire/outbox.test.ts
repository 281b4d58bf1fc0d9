/** The queue in front of a stream, without a stream. */

import { expect, test } from 'vitest'
import { Outbox } from '../../../protocols/wire/outbox.ts'

const frame = (byte: number, length = 4): Uint8Array => new Uint8Array(length).fill(byte)

test('a put resolves at the pull after the one that took its frame, and not before', async () => {
  const outbox = new Outbox()
  const log: string[] = []
  const first = outbox.put(frame(1)).then(() => log.push('first taken'))
  const second = outbox.put(frame(2)).then(() => log.push('second taken'))
  expect((await outbox.next()).value).toEqual(frame(1))
  await Promise.resolve()
  expect(log).toEqual([])
  expect((await outbox.next()).value).toEqual(frame(2))
  await first
  expect(log).toEqual(['first taken'])
  outbox.end()
  expect(await outbox.next()).toEqual({ done: true, value: undefined })
  await second
  expect(log).toEqual(['first taken', 'second taken'])
})

test('the limit counts the frame that is being sent, and is exact to the byte', async () => {
  const outbox = new Outbox(10)
  const taken = outbox.put(frame(1, 6))
  await outbox.next()
  const fits = outbox.put(frame(2, 4))
  expect(outbox.bytes).toBe(10)
  await expect(outbox.put(frame(3, 1))).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' })
  await outbox.next()
  await taken
  expect(outbox.bytes).toBe(4)
  outbox.end()
  await outbox.next()
  await fits
  expect(outbox.bytes).toBe(0)
})

test('a failure reaches the frame being sent, those that wait, later puts and the consumer', async () => {
  const outbox = new Outbox()
  const reason = new Error('broken')
  const handed = outbox.put(frame(1))
  const waiting = outbox.put(frame(2))
  await outbox.next()
  outbox.fail(reason)
  await expect(handed).rejects.toBe(reason)
  await expect(waiting).rejects.toBe(reason)
  await expect(outbox.put(frame(3))).rejects.toBe(reason)
  await expect(outbox.next()).rejects.toBe(reason)
  expect(outbox.bytes).toBe(0)
})

test('an abort removes a waiting frame and frees its bytes; one on its way is still sent', async () => {
  const outbox = new Outbox(8)
  const control = new AbortController()
  const handed = outbox.put(frame(1), { signal: control.signal })
  const waiting = outbox.put(frame(2), { signal: control.signal })
  await outbox.next()
  control.abort(new Error('stop'))
  await expect(handed).rejects.toThrow('stop')
  await expect(waiting).rejects.toThrow('stop')
  expect(outbox.bytes).toBe(4)
  const later = outbox.put(frame(3))
  expect((await outbox.next()).value).toEqual(frame(3))
  outbox.end()
  await outbox.next()
  await later
})
