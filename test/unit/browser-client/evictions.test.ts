/** Which jobs' blocks go when a tab needs room. */

import { expect, test } from 'vitest'
import { evictions } from '../../../browser-client/storage/evictions.ts'

const kept = [
  { job: 'newer', bytes: 30, usedMs: 20 },
  { job: 'oldest', bytes: 30, usedMs: 5 },
  { job: 'older', bytes: 30, usedMs: 10 },
]

test('nothing goes while all fit, to the byte', () => {
  expect(evictions(kept, { job: 'new', bytes: 10 }, 100)).toEqual([])
})

test('one byte more, and the job goes that was used longest ago', () => {
  expect(evictions(kept, { job: 'new', bytes: 11 }, 100)).toEqual(['oldest'])
})

test('as many go as the new one needs, the oldest first', () => {
  expect(evictions(kept, { job: 'new', bytes: 61 }, 100)).toEqual(['oldest', 'older'])
})

test('a job makes no room for itself, and is not counted twice', () => {
  expect(evictions(kept, { job: 'oldest', bytes: 40 }, 100)).toEqual([])
  expect(evictions(kept, { job: 'oldest', bytes: 41 }, 100)).toEqual(['older'])
})

test('what does not fit alone pushes nobody out', () => {
  expect(evictions(kept, { job: 'new', bytes: 101 }, 100)).toBeUndefined()
})
