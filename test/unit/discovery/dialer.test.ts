/** Whom to dial and when, on event lists. */

import { expect, test } from 'vitest'
import type { Random } from '../../../protocols/core/random.ts'
import { contactsMax, type DialEvent, Dialer, dialsMax } from '../../../protocols/discovery/dialer.ts'

/** Chance that always falls in the middle: pauses are exactly their nominal length. */
const middle: Random = { next: () => 0.5, integer: () => 0, normal: () => 0 }

type Untimed = DialEvent extends infer Event ? (Event extends unknown ? Omit<Event, 'now'> : never) : never

/** Steps at `now`; returns the keys dialled. */
function at(dialer: Dialer, now: number, event: Untimed = { kind: 'Woke' }): string[] {
  return dialer.step({ ...event, now } as DialEvent).map(({ key }) => key)
}

const want = (key: string, change: object = {}): Untimed => ({
  kind: 'Wanted',
  key,
  peer: key,
  addresses: [`/dns/${key}`],
  comesFirst: false,
  ...change,
})

test('a wanted peer is dialled at once and again after pauses that double up to five seconds, for ever', () => {
  const dialer = new Dialer(middle)
  expect(at(dialer, 0, want('a'))).toEqual(['a'])
  let now = 0
  for (const pause of [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]) {
    expect(at(dialer, now, { kind: 'DialFailed', key: 'a' })).toEqual([])
    expect(at(dialer, now + pause - 1)).toEqual([])
    now += pause
    expect(at(dialer, now)).toEqual(['a'])
  }
})

test('a connected peer is not dialled; when it is lost it is dialled after the first pause', () => {
  const dialer = new Dialer(middle)
  at(dialer, 0, { kind: 'Connected', peer: 'a' })
  expect(at(dialer, 0, want('a'))).toEqual([])
  expect(at(dialer, 60_000)).toEqual([])
  expect(at(dialer, 60_000, { kind: 'Disconnected', peer: 'a' })).toEqual([])
  expect(at(dialer, 60_249)).toEqual([])
  expect(at(dialer, 60_250)).toEqual(['a'])
})

test('who is behind a bare bootstrap address is learnt from the first dial, and it is redialled when lost', () => {
  const dialer = new Dialer(middle)
  expect(at(dialer, 0, want('/ip4/192.0.2.1/tcp/1', { peer: undefined }))).toEqual(['/ip4/192.0.2.1/tcp/1'])
  at(dialer, 0, { kind: 'DialSucceeded', key: '/ip4/192.0.2.1/tcp/1', peer: 'a' })
  expect(at(dialer, 10_000)).toEqual([])
  at(dialer, 10_000, { kind: 'Disconnected', peer: 'a' })
  expect(at(dialer, 10_250)).toEqual(['/ip4/192.0.2.1/tcp/1'])
})

test('the peer that the other is expected to dial waits two seconds, and not at all once the other came', () => {
  const dialer = new Dialer(middle)
  expect(at(dialer, 0, want('late', { comesFirst: true }))).toEqual([])
  expect(at(dialer, 0, want('comes', { comesFirst: true }))).toEqual([])
  at(dialer, 500, { kind: 'Connected', peer: 'comes' })
  expect(at(dialer, 1_999)).toEqual([])
  expect(at(dialer, 2_000)).toEqual(['late'])
})

test('a peer found on the local network is given up after its attempts, and when it disconnects', () => {
  const dialer = new Dialer(middle)
  expect(at(dialer, 0, want('a', { attempts: 2 }))).toEqual(['a'])
  at(dialer, 0, { kind: 'DialFailed', key: 'a' })
  expect(at(dialer, 250)).toEqual(['a'])
  at(dialer, 250, { kind: 'DialFailed', key: 'a' })
  expect(at(dialer, 60_000)).toEqual([])
  at(dialer, 60_000, want('b', { attempts: 2 }))
  at(dialer, 60_000, { kind: 'DialSucceeded', key: 'b', peer: 'b' })
  at(dialer, 61_000, { kind: 'Disconnected', peer: 'b' })
  expect(at(dialer, 120_000)).toEqual([])
})

test('peers that were found and are connected leave all places to the peers of the job', () => {
  const dialer = new Dialer(middle)
  for (let i = 0; i < contactsMax; i++) {
    at(dialer, 0, want(`found ${i}`, { peer: `f${i}`, attempts: 3 }))
    if (i % 2 === 0) at(dialer, 0, { kind: 'DialSucceeded', key: `found ${i}`, peer: `f${i}` })
    else at(dialer, 0, { kind: 'Connected', peer: `f${i}` })
  }
  expect(at(dialer, 0, want('colleague'))).toEqual(['colleague'])
})

test('no more dials run at one time than allowed, and the next begins when one ends', () => {
  const dialer = new Dialer(middle)
  const started = Array.from({ length: dialsMax + 2 }, (_, index) => at(dialer, 0, want(`p${index}`))).flat()
  expect(started).toHaveLength(dialsMax)
  expect(at(dialer, 1, { kind: 'DialSucceeded', key: 'p0', peer: 'p0' })).toEqual([`p${dialsMax}`])
  for (let i = 0; i < contactsMax; i++) at(dialer, 1, want(`q${i}`))
  expect(at(dialer, 1, { kind: 'Unwanted', key: 'p1' })).toHaveLength(1)
})

test('a peer without an address is not dialled until it has one', () => {
  const dialer = new Dialer(middle)
  expect(at(dialer, 0, want('a', { addresses: [] }))).toEqual([])
  expect(at(dialer, 10, want('a', { addresses: ['/dns/a'] }))).toEqual(['a'])
})
