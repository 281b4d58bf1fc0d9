/** Where other peers stand, and what may be forgotten because of it. */

import { expect, test } from 'vitest'
import { Positions } from '../../../protocols/allreduce/peer/positions.ts'
import { Rounds } from '../../../protocols/allreduce/peer/rounds.ts'
import type { Duties } from '../../../protocols/allreduce/round/duties.ts'
import { Mandates } from '../../../protocols/allreduce/round/mandates.ts'
import { Round } from '../../../protocols/allreduce/round/round.ts'

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

test('a peer without a state keeps the rounds that two others have come to, whatever one of them makes up', () => {
  const positions = new Positions()
  const rounds = new Rounds(
    (number) => ({ round: new Round(number) }) as Duties,
    () => positions.reached,
  )
  const hear = (peer: string, round: number): void => {
    positions.note(peer, { round, root: `${round}`, isVoter: true })
    rounds.open(round)
  }
  for (const peer of members) hear(peer, 6)
  hear('newcomer', 0)
  for (const round of [1_000, 1_001, 1_002, 1_003, 1_004]) hear('liar', round)
  hear('a', 7)
  expect(rounds.numbers()).toEqual([6, 7, 1_001, 1_002, 1_003, 1_004])
})

test('a mandate for a round that nobody is in is refused, and forgotten by whoever had no place', () => {
  const mandate = (round: number) => ({ deputy: 'b', round, incarnation: 1, promised: undefined })
  const mandates = new Mandates()
  expect(mandates.note('a', mandate(9), 6)).toBe(false)
  expect(mandates.note('a', mandate(8), 6)).toBe(true)
  expect(mandates.note('c', mandate(900), undefined)).toBe(true)
  mandates.forgetAround(6)
  expect(['a', 'c'].map((member) => mandates.speakerOf(member, member === 'a' ? 8 : 900))).toEqual(['b', 'c'])
})
