/** Effects and a disk that takes its time: what is carried out before which write is done, and what after none. */

import { expect, test } from 'vitest'
import { EffectQueue } from '../../../protocols/allreduce/effect-queue.ts'
import type { Effect } from '../../../protocols/allreduce/round/events.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import { partsMax } from '../../../protocols/core/limits.ts'
import { VirtualClock } from '../../../simulator/clock.ts'

const pledged = (round: number): Effect => ({
  kind: 'Pledged',
  pledge: { since: 1, round, root: 'root', promised: undefined, accepted: undefined },
})
const timer = (delayMs: number): Effect => ({ kind: 'SetTimer', delayMs })

/** A queue that notes the timers it sets and the writes it begins, which end when the test says so. */
function queueOn(disk: 'a disk' | 'no disk' = 'a disk') {
  const events: (number | 'write' | 'failure')[] = []
  const writes: PromiseWithResolvers<void>[] = []
  const clock = new VirtualClock()
  const queue = new EffectQueue({
    self: 'a',
    clock,
    store:
      disk === 'no disk'
        ? undefined
        : {
            recalled: undefined,
            write: () => {
              events.push('write')
              writes.push(Promise.withResolvers())
              return writes.at(-1)!.promise
            },
          },
    carryOut: (effect) => {
      if (effect.kind !== 'SetTimer') return
      events.push(effect.delayMs)
      if (effect.delayMs === 1) queue.put([timer(10), pledged(2), timer(11)])
    },
    onFailure: () => events.push('failure'),
  })
  return { queue, events, writes, clock }
}

/** All that waits for a promise which is settled has had its turn. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('an effect waits for the pledges before it, and for no others, also when it leads to further ones', async () => {
  const { queue, events, writes } = queueOn()
  queue.put([timer(0), pledged(1), timer(1), timer(2)])
  queue.put([timer(3)])
  expect(events).toEqual([0, 'write'])
  writes[0]!.resolve()
  await settled()
  expect(events).toEqual([0, 'write', 1, 2, 3, 10, 'write'])
  writes[1]!.resolve()
  await settled()
  expect(events.slice(7)).toEqual([11])
})

test('after a write that failed nothing is carried out or written any more', async () => {
  const { queue, events, writes } = queueOn()
  queue.put([pledged(1), timer(0), pledged(2)])
  writes[0]!.reject(new SwarmError('STORAGE_FAILED', 'the disk is full'))
  await settled()
  queue.put([timer(2), pledged(3)])
  await settled()
  expect(events).toEqual(['write', 'failure'])
})

test('a peer that forgets its pledges waits for none', () => {
  const { queue, events } = queueOn('no disk')
  queue.put([pledged(1), timer(1), timer(2)])
  expect(events).toEqual([1, 2, 10, 11])
})

test('a write that never ends is one that failed, once too much has gathered behind it', async () => {
  const { queue, events, writes } = queueOn()
  queue.put([pledged(1), ...Array.from({ length: 4 * partsMax }, () => timer(5))])
  expect(events).toEqual(['write'])
  queue.put([timer(5)])
  expect(events).toEqual(['write', 'failure'])
  writes[0]!.resolve()
  queue.put([timer(6)])
  await settled()
  expect(events).toEqual(['write', 'failure'])
})

test('so is one that takes longer than any disk that works', async () => {
  const { queue, events, writes, clock } = queueOn()
  queue.put([pledged(1), timer(5)])
  expect(clock.runNext(199_999)).toBe(false)
  expect(clock.runNext(200_000)).toBe(true)
  expect(events).toEqual(['write', 'failure'])
  writes[0]!.resolve()
  await settled()
  expect(events).toEqual(['write', 'failure'])
})
