import { expect, test } from 'vitest'
import { contactsOf } from '../../../protocols/allreduce/contacts.ts'
import { Neighbours } from '../../../protocols/allreduce/neighbours.ts'
import { Grid } from '../../../protocols/allreduce/plan/grid.ts'

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
