/** The shards machine on event lists: who is asked for what, and what follows from every kind of answer. */

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { seededRandom } from '../../../protocols/core/random.ts'
import { type ShardEffect, type ShardEvent, ShardMachine } from '../../../protocols/shards/machine.ts'

/** An event without its time. */
type Untimed = ShardEvent extends infer Event ? (Event extends unknown ? Omit<Event, 'now'> : never) : never

function driver(depth = 2) {
  const machine = new ShardMachine({ random: seededRandom(1), depth })
  let now = 0
  /** Steps with events at the present time; returns what they caused, wakes left out. */
  const step = (...events: Untimed[]): ShardEffect[] => {
    const caused = events.flatMap((event) => machine.step({ ...event, now } as ShardEvent))
    return caused.filter(({ kind }) => kind !== 'Wake')
  }
  /** Lets `ms` pass, then wakes the machine. */
  const wait = (ms: number): ShardEffect[] => {
    now += ms
    return step({ kind: 'Woke' })
  }
  return { machine, step, wait }
}

const joined = (peer: string): Untimed => ({ kind: 'PeerJoined', peer })
const wanted = (...cids: string[]): Untimed => ({
  kind: 'Wanted',
  patienceMs: new Map(cids.map((cid) => [cid, Number.POSITIVE_INFINITY])),
})
const block = (peer: string, cid: string, isValid = true): Untimed => ({
  kind: 'BlockArrived',
  peer,
  cid,
  isValid,
})
const dontHave = (peer: string, cid: string): Untimed => ({ kind: 'DontHaveArrived', peer, cid })

/** The asks among `effects`, by peer, sorted. */
function asks(effects: ShardEffect[]): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  for (const effect of effects) {
    if (effect.kind === 'Ask') found[effect.peer] = [...(found[effect.peer] ?? []), ...effect.cids].sort()
  }
  return found
}

test('the blocks are spread over the peers, each asked once, at most depth at a peer', () => {
  const { step } = driver(2)
  step(joined('a'), joined('b'))
  const first = asks(step(wanted('1', '2', '3', '4', '5')))
  expect(first.a).toHaveLength(2)
  expect(first.b).toHaveLength(2)
  const asked = [...first.a!, ...first.b!]
  expect(new Set(asked).size).toBe(4)
  const [left] = ['1', '2', '3', '4', '5'].filter((cid) => !asked.includes(cid))
  expect(step(block('a', first.a![0]!))).toEqual([
    { kind: 'Store', peer: 'a', cid: first.a![0] },
    { kind: 'Ask', peer: 'a', cids: [left] },
  ])
})

test('a peer that does not have a block is passed over for it until it says have, or five seconds have passed', () => {
  const { step, wait, machine } = driver()
  step(joined('a'), wanted('1'))
  expect(step(dontHave('a', '1'))).toEqual([])
  expect(machine.pending()).toBe('1 blocks wanted, 0 requests open at 1 peers, 0 peers excluded')
  expect(step(joined('b'))).toEqual([{ kind: 'Ask', peer: 'b', cids: ['1'] }])
  expect(step(dontHave('b', '1'))).toEqual([])
  expect(step({ kind: 'HaveArrived', peer: 'a', cids: ['1'] })).toEqual([
    { kind: 'Ask', peer: 'a', cids: ['1'] },
  ])
  expect(step(dontHave('a', '1'))).toEqual([])
  expect(wait(4_999)).toEqual([])
  expect(asks(wait(1))).toEqual({ a: ['1'] })
  expect(asks(step(dontHave('a', '1')))).toEqual({ b: ['1'] })
  step(dontHave('b', '1'))
  expect(step({ kind: 'PeerLeft', peer: 'a' }, joined('a'))).toEqual([
    { kind: 'Ask', peer: 'a', cids: ['1'] },
  ])
})

test('the requests of a peer that leaves go to the others', () => {
  const { step } = driver(4)
  step(joined('a'), wanted('1', '2', '3'), joined('b'))
  expect(asks(step({ kind: 'PeerLeft', peer: 'a' }))).toEqual({ b: ['1', '2', '3'] })
  expect(step(block('a', '1'))).toEqual([]) // from the stream that is gone
})

test('a slow peer is helped out at the end: after two seconds one other is asked, and the second copy is not stored', () => {
  const { step, wait } = driver(4)
  step(joined('slow'), wanted('1'))
  step(joined('fast'), joined('third'))
  expect(wait(1_999)).toEqual([])
  expect(asks(wait(1))).toEqual({ fast: ['1'] })
  expect(wait(2_000)).toEqual([]) // two are enough
  expect(step({ kind: 'PeerLeft', peer: 'third' }, joined('third'))).toEqual([])
  expect(step(block('fast', '1'))).toEqual([{ kind: 'Store', peer: 'fast', cid: '1' }])
  expect(step(block('slow', '1'))).toEqual([])
})

test('who sends a corrupt block is excluded for good, and its blocks are asked of others', () => {
  const { step } = driver(8)
  step(joined('liar'), wanted('1', '2'), joined('honest'))
  const effects = step(block('liar', '1', false))
  expect(effects[0]).toEqual({ kind: 'Drop', peer: 'liar', reason: 'sent a corrupt block' })
  expect(asks(effects)).toEqual({ honest: ['1', '2'] })
  expect(asks(step(joined('liar'), wanted('3', '4')))).toEqual({ honest: ['3', '4'] })
})

test('a block that only a liar had fails after five seconds, naming the liar; with another peer to ask it does not', () => {
  const { step, wait } = driver()
  step(joined('liar'), wanted('1'))
  step(block('liar', '1', false))
  expect(wait(4_999)).toEqual([])
  step(joined('other'))
  expect(wait(1)).toEqual([]) // the other was asked
  step(dontHave('other', '1'))
  expect(wait(1)).toEqual([{ kind: 'Fail', cid: '1', liar: 'liar' }])
  expect(wait(60_000)).toEqual([])
})

test('a block that no peer has is given up when patience runs out, the longest wish counting', () => {
  const { step, wait } = driver()
  const patience = (ms: number, ...cids: string[]): Untimed => ({
    kind: 'Wanted',
    patienceMs: new Map(cids.map((cid) => [cid, ms])),
  })
  step(joined('a'), patience(2_000, '1', '2'))
  step(dontHave('a', '1'), dontHave('a', '2'))
  step(patience(3_000, '2'))
  expect(wait(1_999)).toEqual([])
  expect(wait(1)).toEqual([{ kind: 'Fail', cid: '1', liar: undefined }])
  expect(wait(999)).toEqual([])
  step(joined('b'))
  expect(wait(1)).toEqual([]) // it is asked of b
  step(dontHave('b', '2'))
  expect(wait(1)).toEqual([{ kind: 'Fail', cid: '2', liar: undefined }])
})

test('answers to what was given up are let pass, and so are sixty-four blocks that were never asked for, not more', () => {
  const { step } = driver()
  step(joined('a'), wanted('1', '2'))
  step({ kind: 'Unwanted', cids: ['1', '2'] })
  expect(step(block('a', '1'), dontHave('a', '2'))).toEqual([])
  for (let i = 0; i < 64; i++) expect(step(block('a', '1'))).toEqual([])
  expect(step(block('a', '1'))).toEqual([
    { kind: 'Drop', peer: 'a', reason: 'sent blocks that nobody asked for' },
  ])
  expect(step(joined('a'), wanted('3'))).toEqual([])
})

test('a block that is wanted again while it is asked for is not asked for again', () => {
  const { step } = driver()
  step(joined('a'), wanted('1'), joined('b'))
  expect(step(wanted('1'))).toEqual([])
  expect(step(block('a', '1'))).toEqual([{ kind: 'Store', peer: 'a', cid: '1' }])
})

test('a peer with requests open that is silent for thirty seconds is dropped, and may come back', () => {
  const { step, wait } = driver()
  step(joined('a'), wanted('1'))
  expect(wait(29_999)).toEqual([])
  expect(wait(1)).toEqual([{ kind: 'Drop', peer: 'a', reason: 'was silent too long' }])
  expect(step(joined('a'))).toEqual([{ kind: 'Ask', peer: 'a', cids: ['1'] }])
})

test('whatever the events, every ask is of a joined peer within its depth, and nothing is stored twice or unasked', () => {
  const peer = fc.constantFrom('a', 'b', 'c')
  const cid = fc.constantFrom('1', '2', '3', '4', '5', '6')
  const event: fc.Arbitrary<Untimed | { wait: number }> = fc.oneof(
    fc.record({
      kind: fc.constant('Wanted' as const),
      patienceMs: fc
        .array(fc.tuple(cid, fc.constantFrom(1_000, 20_000, Number.POSITIVE_INFINITY)))
        .map((wants) => new Map(wants)),
    }),
    fc.record({ kind: fc.constant('Unwanted' as const), cids: fc.array(cid, { maxLength: 2 }) }),
    fc.record({ kind: fc.constantFrom('PeerJoined' as const, 'PeerLeft' as const), peer }),
    fc.record({ kind: fc.constant('BlockArrived' as const), peer, cid, isValid: fc.boolean() }),
    fc.record({ kind: fc.constant('DontHaveArrived' as const), peer, cid }),
    fc.record({ kind: fc.constant('HaveArrived' as const), peer, cids: fc.array(cid, { maxLength: 3 }) }),
    fc.record({ wait: fc.integer({ min: 1, max: 40_000 }) }),
  )
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), (events) => checkRun(events)),
    { numRuns: 2_000 },
  )
})

/** A second bookkeeping, simpler than the machine's: what is wanted, and what is open at whom. */
function checkRun(events: (Untimed | { wait: number })[]): void {
  const { step, wait } = driver(2)
  const wants = new Set<string>()
  const open = new Map<string, Set<string>>()
  for (const event of events) {
    if ('kind' in event) {
      if (event.kind === 'Wanted') for (const cid of event.patienceMs.keys()) wants.add(cid)
      if (event.kind === 'Unwanted') for (const cid of event.cids) wants.delete(cid)
      if (event.kind === 'PeerJoined' && !open.has(event.peer)) open.set(event.peer, new Set())
      if (event.kind === 'PeerLeft') open.delete(event.peer)
    }
    const wasOpen = 'kind' in event && 'cid' in event ? open.get(event.peer)?.delete(event.cid) : undefined
    for (const effect of 'wait' in event ? wait(event.wait) : step(event)) {
      if (effect.kind === 'Drop') open.delete(effect.peer)
      if (effect.kind === 'Fail') expect(wants.delete(effect.cid)).toBe(true)
      if (effect.kind === 'Store') {
        expect(event).toMatchObject({ kind: 'BlockArrived', isValid: true, cid: effect.cid })
        expect(wasOpen).toBe(true)
        expect(wants.delete(effect.cid)).toBe(true)
      }
      if (effect.kind !== 'Ask') continue
      for (const cid of effect.cids) {
        expect(wants.has(cid)).toBe(true)
        expect(open.get(effect.peer)?.has(cid)).toBe(false)
        open.get(effect.peer)!.add(cid)
      }
      expect(open.get(effect.peer)!.size).toBeLessThanOrEqual(2)
    }
  }
}
