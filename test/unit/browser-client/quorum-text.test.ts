/** What a donor reads when a round waits for peers. */

import { expect, test } from 'vitest'
import { quorumText } from '../../../browser-client/peer/quorum-text.ts'

const lost = {
  kind: 'quorum-lost',
  round: 7,
  live: ['a'],
  deciding: ['a', 'b', 'c', 'd'],
  missing: ['b', 'c', 'd'],
  expiresInMs: 59_600,
} as const

test('who is away is said of all that decide, and the seconds only where those that are here may go on', () => {
  expect(quorumText(lost)).toBe(
    'Round 7 waits: of 4 peers that decide on it 3 are away. In 60 seconds those that are here go on.',
  )
  expect(
    quorumText({ ...lost, deciding: ['a', 'b'], missing: ['b'], expiresInMs: Number.POSITIVE_INFINITY }),
  ).toBe('Round 7 waits: of 2 peers that decide on it 1 is away.')
})
