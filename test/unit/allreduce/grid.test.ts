/** Rows, columns and seats: arithmetic that every peer of a run must do alike. */

import { expect, test } from 'vitest'
import { contactsOf } from '../../../protocols/allreduce/peer/contacts.ts'
import { Grid, rowCountOf } from '../../../protocols/allreduce/plan/grid.ts'
import type { Contributor, Place, Plan } from '../../../protocols/allreduce/plan/plan.ts'
import { nextElectorate } from '../../../protocols/allreduce/plan/seating.ts'
import { seededRandom } from '../../../protocols/core/random.ts'

const named = (count: number) => Array.from({ length: count }, (_, i) => `p${String(i).padStart(5, '0')}`)

test('up to 32 peers are one row that all decide; from 33 on a council decides for a grid, of 31 at most', () => {
  expect(new Grid('root', named(32))).toMatchObject({ rowCount: 1, columnCount: 32 })
  expect([...new Grid('root', named(32)).council].sort()).toEqual(named(32))
  const grid = new Grid('root', named(33))
  expect(grid).toMatchObject({ rowCount: 6, columnCount: 5 })
  expect(grid.council).toHaveLength(13)
  expect(grid.council.every((peer) => grid.columnOf(peer) !== undefined)).toBe(true)
  expect(new Grid('root', named(1_000)).council).toHaveLength(31)
  expect(new Grid('other', named(100)).council).not.toEqual(new Grid('root', named(100)).council)
})

test.each([33, 36, 80, 1_000, 10_000])('%i peers have rows whose lengths differ by at most one', (count) => {
  const peers = named(count)
  const grid = new Grid('root', peers)
  const rows = Array.from({ length: grid.rowCount }, (_, row) => grid.row(row))
  expect(rows.flat()).toEqual(peers)
  const lengths = rows.map((row) => row.length)
  expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1)
  for (const [row, mates] of rows.entries()) {
    for (const [column, peer] of mates.entries()) {
      expect(grid.rowOf(peer)).toBe(row)
      expect(grid.columnOf(peer)).toBe(column < grid.columnCount ? column : undefined)
      if (column < grid.columnCount) expect(grid.at(row, column)).toBe(peer)
    }
  }
})

test('councillors sit in as few columns as hold them, and every column has its turn', () => {
  const columnsOf = (count: number, root: string) => {
    const grid = new Grid(root, named(count))
    return new Set(grid.council.map((peer) => grid.columnOf(peer)))
  }
  expect(columnsOf(64, 'root').size).toBe(3) // 17 councillors, columns of 8
  const drawn = Array.from({ length: 400 }, (_, round) => [...columnsOf(1_024, `root ${round}`)])
  expect(drawn.every((columns) => columns.length === 1)).toBe(true)
  expect(new Set(drawn.flat()).size).toBe(32)
})

test('among ten thousand peers everyone, councillors too, has 198 links, and two more for guests', () => {
  const members = named(10_000)
  const grid = new Grid('root', members)
  const guests = Array.from({ length: 1_000 }, (_, i) => `guest-${i}`)
  const known = [...members, ...guests]
  for (const self of [members[0]!, ...grid.council]) {
    expect(grid.matesOf(self)).toHaveLength(198)
    const around = { self, root: 'root', grid, plan: undefined, known, rowBefore: [] }
    expect(contactsOf(around)).toHaveLength(200)
  }
})

test('whom a peer wants to be linked with wants it too; members keep a place for guests besides', () => {
  const peers = named(90)
  const members = peers.slice(0, 80)
  const grid = new Grid('root', members)
  const wantedBy = new Map(
    peers.map((self) => {
      const known = peers.filter((peer) => peer !== self)
      return [self, contactsOf({ self, root: 'root', grid, plan: undefined, known, rowBefore: [] })] as const
    }),
  )
  for (const [self, wanted] of wantedBy)
    for (const peer of wanted) {
      if (grid.isMember(self) && !grid.isMember(peer)) continue // a guest has listened before it has a row
      expect(wantedBy.get(peer), `${peer} wants ${self}`).toContain(self)
    }
  for (const guest of peers.slice(80)) expect(wantedBy.get(guest)!.length).toBeGreaterThanOrEqual(8)
})

function planFor(peers: readonly string[], round: number, places: readonly Place[] = []): Plan {
  const contributors = peers.map((peer, seat): Contributor => {
    return { peer, seat, weight: 1, commit: '', bandwidth: seat % 7, place: places[seat] }
  })
  const base = { round, root: 'root', seats: peers.length, council: [], receivers: [], followers: [] }
  return { ...base, contributors, shares: [] }
}

test('one row is in the order of its names, whoever sat where', () => {
  expect(nextElectorate(planFor(['c', 'a', 'b'], 3), [])).toEqual(['a', 'b', 'c'])
})

test('whoever stays keeps its seat; the last take the seats of those that went', () => {
  const peers = named(64)
  const next = nextElectorate(planFor(peers, 3), [peers[10]!, peers[20]!])
  expect(next).toHaveLength(62)
  const moved = next.filter((peer, seat) => peers[seat] !== peer)
  expect(moved).toEqual([peers[62], peers[63]])
  expect(next[10]).toBe(peers[62])
})

test('a redraw puts near peers into one row, and the fastest of a row into the first column', () => {
  const random = seededRandom(7)
  const peers = named(64)
  // Four cities, a hundred milliseconds apart, in no order.
  const cities = peers.map(() => random.integer(4))
  const places = cities.map(
    (city): Place => [100 * (city % 2) + random.integer(9), 100 * Math.floor(city / 2) + random.integer(9)],
  )
  const next = nextElectorate(planFor(peers, 15, places), [])
  expect([...next].sort()).toEqual(peers)
  const spread = (electorate: readonly string[]) => {
    const grid = new Grid('root', electorate)
    const rows = Array.from({ length: rowCountOf(64) }, (_, row) => grid.row(row))
    const distances = rows.flatMap((row) =>
      row.flatMap((a) =>
        row.map((b) => {
          const [from, to] = [places[peers.indexOf(a)]!, places[peers.indexOf(b)]!]
          return Math.hypot(from[0] - to[0], from[1] - to[1])
        }),
      ),
    )
    return distances.reduce((sum, distance) => sum + distance, 0) / distances.length
  }
  expect(spread(next)).toBeLessThan(spread(peers) / 3)
  const first = new Grid('root', next).row(0).map((peer) => peers.indexOf(peer) % 7)
  expect(first).toEqual([...first].sort((a, b) => b - a))
})
