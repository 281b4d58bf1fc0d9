/** What may wait for a plan: by the bytes that it takes, and by who sent it. */

import { expect, test } from 'vitest'
import { Early, type EarlyMessage } from '../../../protocols/allreduce/round/early.ts'

const name = { round: 1, planId: 'plan' }

function part(from: string, length: number): EarlyMessage {
  return {
    from,
    message: { kind: 'Part', ...name, part: 0, bytes: new Uint8Array(length) },
    inspection: undefined,
  }
}

function seal(from: string, parts: number): EarlyMessage {
  const digests = Array.from({ length: parts }, (_, index) => index.toString(16).padStart(64, '0'))
  const ballot = { attempt: 0, leader: from }
  return { from, message: { kind: 'Seal', ...name, ballot, digests, absent: [] }, inspection: undefined }
}

const early = (bytesMax: number, share = 1) => new Early({ bytesMax, shareMax: () => share })

test('a seal takes as much room as its digests', () => {
  const waiting = early(15_000)
  expect([seal('a', 100), seal('a', 100), seal('a', 1)].map((entry) => waiting.put(entry))).toEqual([
    true,
    false,
    true,
  ])
})

test('a sender that has had its share leaves the rest to others', () => {
  const waiting = early(4_000, 1 / 4)
  const entries = [
    part('liar', 700),
    part('liar', 700),
    part('a', 700),
    part('b', 700),
    part('c', 700),
    part('d', 700),
  ]
  expect(entries.map((entry) => waiting.put(entry))).toEqual([true, false, true, true, true, false])
})

test('what is taken makes room, in the order in which it came', () => {
  const waiting = early(2_000)
  const [first, second] = [part('a', 700), part('b', 700)]
  for (const entry of [first, second]) waiting.put(entry)
  expect(waiting.put(part('a', 1_000))).toBe(false)
  expect(waiting.take(() => false)).toEqual([])
  expect(waiting.take((planId) => planId === 'plan')).toEqual([first, second])
  expect(waiting.put(part('a', 1_000))).toBe(true)
})
