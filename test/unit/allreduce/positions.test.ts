/** Where other peers stand, and what may be forgotten because of it. */

import { expect, test } from 'vitest'
import { Positions } from '../../../protocols/allreduce/behind.ts'

const members = ['a', 'b']

/** The members vote in round 6. */
function ahead(): Positions {
  const positions = new Positions()
  for (const peer of members) positions.note(peer, { round: 6, root: 'six', isVoter: true })
  return positions
}

test('a round is behind all when each of its members votes in a later one', () => {
  expect(ahead().areAllBeyond(5, members)).toBe(true)
  expect(ahead().areAllBeyond(6, members)).toBe(false)
  const late = ahead()
  late.note('b', { round: 6, root: 'six', isVoter: false })
  expect(late.areAllBeyond(5, members)).toBe(false)
  expect(late.areAllBeyond(5, [...members, 'unheard'])).toBe(false)
})

test('a newcomer that holds an earlier state, or none, may still ask for the results of a round that it is not in', () => {
  const positions = ahead()
  positions.note('newcomer', { round: 5, root: 'five', isVoter: false })
  expect(positions.areAllBeyond(5, members)).toBe(false)
  positions.note('newcomer', { round: 6, root: 'six', isVoter: false })
  expect(positions.areAllBeyond(5, members)).toBe(true)
  positions.follow('another')
  expect(positions.areAllBeyond(5, members)).toBe(false)
})
