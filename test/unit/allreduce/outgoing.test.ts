import { expect, test } from 'vitest'
import { decodeMessage } from '../../../protocols/allreduce/messages.ts'
import { Outgoing } from '../../../protocols/allreduce/outgoing.ts'
import type { Message } from '../../../protocols/allreduce/round/vocabulary.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { partsMax } from '../../../protocols/core/limits.ts'
import type { Frame } from '../../../protocols/wire/outbox.ts'

/** A link whose sends end when the test says so. */
function heldLink() {
  const sends: { message: Message; take(): void; fail(error: unknown): void }[] = []
  const errors: unknown[] = []
  const broken: string[] = []
  const frames: Frame[] = []
  const outgoing = new Outgoing({
    send: (_peer, frame) => {
      frames.push(frame)
      return new Promise((take, fail) =>
        sends.push({ message: decodeMessage(frame.subarray()), take: () => take(), fail }),
      )
    },
    onOverflow: (peer) => broken.push(peer),
    onError: (_peer, error) => errors.push(error),
  })
  return { outgoing, sends, errors, frames, broken }
}

const want = (part: number): Message => ({
  kind: 'Want',
  round: 0,
  planId: '00'.repeat(32),
  part,
  digest: undefined,
})

/** Lets everything that was resolved run on. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

test('messages to a peer go one at a time, in order', async () => {
  const { outgoing, sends } = heldLink()
  for (const part of [1, 2, 3]) outgoing.put('a', want(part))
  for (const part of [1, 2, 3]) {
    expect(sends.length).toBe(part)
    expect(sends.at(-1)!.message).toEqual(want(part))
    sends.at(-1)!.take()
    await settled()
  }
  await outgoing.flushed()
})

test('what is put after a link broke reaches the next link, although the old send fails only now', async () => {
  const { outgoing, sends, errors } = heldLink()
  outgoing.put('a', want(1))
  outgoing.put('a', want(2))
  outgoing.drop('a')
  outgoing.put('a', want(3))
  sends[0]!.fail(new SwarmError('PEER_GONE', 'the link closed'))
  await settled()
  outgoing.put('a', want(4))
  sends[1]!.take()
  await settled()
  expect(sends.slice(1).map(({ message }) => message)).toEqual([want(3), want(4)])
  expect(errors).toEqual([])
})

test('a message for several peers is encoded once, and its frame is let go with the last of them', async () => {
  const { outgoing, sends, frames } = heldLink()
  const message = want(1)
  for (const peer of ['a', 'b']) outgoing.put(peer, message)
  outgoing.put('c', want(2))
  outgoing.put('c', message)
  sends[2]!.take()
  await settled()
  expect(frames.filter((frame) => frame === frames[0])).toHaveLength(3)
  for (const { take } of sends) take()
  await outgoing.flushed()
  outgoing.put('a', message)
  expect(frames.at(-1)).not.toBe(frames[0])
  expect(frames.at(-1)).toEqual(frames[0])
})

test('what is withdrawn is not sent, nor are its bytes asked for again', async () => {
  const { outgoing, sends } = heldLink()
  let asked = 0
  const part: Message = {
    kind: 'Part',
    round: 0,
    planId: '00'.repeat(32),
    part: 7,
    get bytes() {
      asked++
      return Uint8Array.of(1, 2, 3)
    },
  }
  for (const peer of ['a', 'b']) {
    outgoing.put(peer, want(1))
    outgoing.put(peer, part)
    outgoing.put(peer, want(2))
  }
  outgoing.withdraw((message) => message === part)
  for (let turn = 0; turn < 2; turn++) {
    for (const { take } of sends.slice(2 * turn)) take()
    await settled()
  }
  await outgoing.flushed()
  expect(sends.map(({ message }) => message)).toEqual([want(1), want(1), want(2), want(2)])
  expect(asked).toBe(0)
})

test('an error other than a lost peer is told', async () => {
  const { outgoing, sends, errors } = heldLink()
  outgoing.put('a', want(1))
  sends[0]!.fail(new SwarmError('LIMIT_EXCEEDED', 'the link is full'))
  await outgoing.flushed()
  expect(errors).toHaveLength(1)
})

test('a peer that reads nothing for two rounds of the largest model loses its link, and hears what is put afterwards', async () => {
  const { outgoing, sends, broken } = heldLink()
  const message = want(1)
  for (let count = 0; count < 4 * partsMax + 1; count++) outgoing.put('a', message)
  expect(broken).toEqual([])
  outgoing.put('a', message)
  expect(broken).toEqual(['a'])
  outgoing.put('a', want(2))
  sends[0]!.fail(new SwarmError('PEER_GONE', 'the link was broken'))
  await settled()
  expect(sends.slice(1).map((sent) => sent.message)).toEqual([want(2)])
})
