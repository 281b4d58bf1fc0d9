/** When a peer codes more coarsely, and when it goes back. */

import { expect, test } from 'vitest'
import { CodecChoice } from '../../../protocols/run/codec-choice.ts'

test('a slow link is one whose averages take longer than training, until they take a quarter of it', () => {
  const choice = new CodecChoice({ smallCodec: 'int4', slowCodec: 'int8' })
  const work = { samples: 40, rate: 40 } // a second
  const taken = [999, 1_001, 999, 251, 249, 999]
  const chosen = taken.map((averagingMs) => choice.of(work, averagingMs, false))
  expect(chosen).toEqual([undefined, 'int8', 'int8', 'int8', undefined, undefined])
})

test('scarce bytes count for more than a slow link, which is not forgotten meanwhile', () => {
  const choice = new CodecChoice({ smallCodec: 'int4', slowCodec: 'int8' })
  const work = { samples: 40, rate: 40 }
  expect(choice.of(work, 2_000, true)).toBe('int4')
  expect(choice.of(work, 500, false)).toBe('int8')
})
