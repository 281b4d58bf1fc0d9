import { expect, test } from 'vitest'
import { Contacts, contactsOf } from '../../../protocols/allreduce/peer/contacts.ts'
import { Neighbours } from '../../../protocols/allreduce/peer/neighbours.ts'
import { Positions } from '../../../protocols/allreduce/peer/positions.ts'
import { Rounds } from '../../../protocols/allreduce/peer/rounds.ts'
import { Grid } from '../../../protocols/allreduce/plan/grid.ts'
import type { Plan } from '../../../protocols/allreduce/plan/plan.ts'
import type { Duties } from '../../../protocols/allreduce/round/duties.ts'
import { Round } from '../../../protocols/allreduce/round/round.ts'

test('a link that was asked for is expected for a while, a broken one is not', () => {
  const neighbours = new Neighbours(3_000)
  expect(neighbours.want(['a', 'b'], 1_000)).toBe(true)
  expect(neighbours.isExpected('a', 3_999)).toBe(true)
  expect(neighbours.dueMs(3_999)).toBe(4_000)
  neighbours.linkUp('a')
  neighbours.linkDown('a')
  expect(neighbours.isExpected('a', 3_999)).toBe(false)
  expect(neighbours.isExpected('b', 4_000)).toBe(false)
  expect(neighbours.dueMs(4_000)).toBe(Number.POSITIVE_INFINITY)
})

test('wanting the same peers again gives no link more time; a peer that is wanted anew gets it', () => {
  const neighbours = new Neighbours(3_000)
  neighbours.want(['a'], 0)
  expect(neighbours.want(['a'], 2_000)).toBe(false)
  expect(neighbours.isExpected('a', 3_000)).toBe(false)
  neighbours.want([], 4_000)
  neighbours.want(['a'], 5_000)
  expect(neighbours.isExpected('a', 7_999)).toBe(true)
})

test('who said goodbye is not live, though its link is up, until it is linked anew', () => {
  const neighbours = new Neighbours(3_000)
  for (const peer of ['b', 'a', 'c']) neighbours.linkUp(peer)
  expect(neighbours.live).toEqual(['a', 'b', 'c'])
  neighbours.leave('b')
  expect(neighbours.live).toEqual(['a', 'c'])
  expect(neighbours.isUp('b')).toBe(true)
  neighbours.linkUp('b')
  expect(neighbours.live).toEqual(['a', 'b', 'c'])
})

test('the first round of a grid keeps the links of the row before it', () => {
  const peers = Array.from({ length: 36 }, (_, index) => `peer-${index}`)
  const [self, ...known] = peers as [string, ...string[]]
  const surroundings = { self, root: 'root', grid: new Grid('root', peers), plan: undefined, known }
  expect(contactsOf({ ...surroundings, rowBefore: known })).toEqual([...known].sort())
  expect(contactsOf({ ...surroundings, rowBefore: [] }).length).toBeLessThan(known.length)
})

test('links last until the next state is here, however early the others begin its round', () => {
  const peers = Array.from({ length: 80 }, (_, index) => `peer-${index}`)
  const [self, ...known] = peers as [string, ...string[]]
  const rounds = new Rounds((number) => ({ round: new Round(number) }) as Duties)
  const contacts = new Contacts(self, rounds, new Neighbours(3_000), new Positions())
  contacts.known = known
  rounds.place = 4
  rounds.open(4)!.round.begin({ round: 4, root: 'four', electorate: peers }, 0, true)
  expect(contacts.change(0)).toEqual(new Grid('four', peers).matesOf(self).sort())
  rounds.place = 5 // the round is committed, its average not yet applied
  expect(contacts.change(1_000)).toBeUndefined()
  rounds.open(5) // a faster neighbour said that it holds state 5
  expect(contacts.change(2_000)).toBeUndefined()
  rounds.current!.round.begin({ round: 5, root: 'five', electorate: [...peers].reverse() }, 3_000, true)
  expect(contacts.change(3_000)).toEqual(new Grid('five', [...peers].reverse()).matesOf(self).sort())
})

test('in other seats a peer keeps those that have not come along, until they have or the round has a plan', () => {
  const peers = Array.from({ length: 80 }, (_, index) => `peer-${index}`)
  const [self, ...known] = peers as [string, ...string[]]
  const rounds = new Rounds((number) => ({ round: new Round(number) }) as Duties)
  const neighbours = new Neighbours(3_000)
  const positions = new Positions()
  const contacts = new Contacts(self, rounds, neighbours, positions)
  contacts.known = known
  rounds.place = 4
  rounds.open(4)!.round.begin({ round: 4, root: 'four', electorate: peers }, 0, true)
  const redrawn = [self, ...known.toReversed()]
  const mates = new Grid('five', redrawn).matesOf(self).sort()
  const old = contacts.change(0)!.filter((peer) => !mates.includes(peer))
  const [late, later, gone] = old as [string, string, string]
  for (const peer of [late, later]) neighbours.linkUp(peer)
  for (const peer of old) positions.note(peer, { round: 4, root: 'four', isVoter: true })
  rounds.place = 5
  rounds.open(5)!.round.begin({ round: 5, root: 'five', electorate: redrawn }, 1_000, true)
  expect(contacts.change(1_000)).toEqual([...mates, late, later].sort())
  expect(mates).not.toContain(gone)
  positions.note(late, { round: 5, root: 'five', isVoter: true })
  expect(contacts.change(2_000)).toEqual([...mates, later].sort())
  const plan = planOf(redrawn)
  rounds.current!.round.adopt({ ballot: { attempt: 0, leader: self }, planId: 'plan', plan })
  expect(contacts.change(3_000)).toEqual(mates)
})

function planOf(peers: readonly string[]): Plan {
  const receivers = peers.map((peer, seat) => {
    return { peer, seat, incarnation: 1, bandwidth: undefined, place: undefined }
  })
  const lists = { contributors: [], receivers, followers: [] }
  return { round: 5, root: 'five', seats: peers.length, council: [], ...lists, shares: [] }
}
