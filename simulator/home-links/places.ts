/**
 * What rows by round-trip time save: how far row mates are from each other when their places are unknown, measured by
 * the peers themselves (protocols/discovery/coordinates.ts), or known.
 */

import { Grid } from '../../protocols/allreduce/plan/grid.ts'
import { seededRandom, seedFrom } from '../../protocols/core/random.ts'
import { type Coordinates, Vivaldi } from '../../protocols/discovery/coordinates.ts'
import { peerNames } from '../averaging/planned-round.ts'
import { seatsOf } from './seats.ts'
import { delayMs, drawHome, type Home } from './world.ts'

/** Connections on which a peer measures, and how often: half an hour of a libp2p node in a small run. */
const measured = { neighbours: 32, times: 150 } as const

/** Mean one-way delay between two peers of a row, milliseconds. */
export interface RowDelays {
  peers: number
  unknown: number
  measured: number
  known: number
}

/** Draws `peers` homes, more than a row's, and seats them three times. */
export function rowDelays(peers: number, seed: number): RowDelays {
  const random = seededRandom(seedFrom(seed, 'places', peers))
  const homes = new Map(peerNames(peers).map((name) => [name, drawHome(random)]))
  const places = measuredPlaces(homes, seed)
  const at = (placeOf: (name: string, home: Home) => Home['place']): number =>
    meanDelayMs(
      homes,
      new Map([...homes].map(([name, home]) => [name, { ...home, place: placeOf(name, home) }])),
    )
  return {
    peers,
    unknown: at(() => [0, 0]),
    measured: at((name) => places.get(name)!),
    known: at((_, home) => home.place),
  }
}

/** What each peer comes to think of its place. Round trips vary by a tenth, as they do under load. */
function measuredPlaces(homes: ReadonlyMap<string, Home>, seed: number): Map<string, Home['place']> {
  const random = seededRandom(seedFrom(seed, 'round trips'))
  const names = [...homes.keys()]
  const maps = new Map(names.map((name) => [name, new Vivaldi(seededRandom(seedFrom(seed, name)))]))
  const friends = new Map(
    names.map((name) => [
      name,
      Array.from({ length: measured.neighbours }, () => names[random.integer(names.length)]!),
    ]),
  )
  const nowhere: Coordinates = { x: 0, y: 0, height: 0, error: 1 }
  for (let time = 0; time < measured.times; time++) {
    for (const name of names) {
      const friend = friends.get(name)![random.integer(measured.neighbours)]!
      if (friend === name) continue
      const rttMs = 2 * delayMs(homes.get(name)!, homes.get(friend)!) * (1 + 0.1 * random.next())
      maps.get(name)!.observe(rttMs, maps.get(friend)!.coordinates ?? nowhere)
    }
  }
  return new Map(names.map((name) => [name, maps.get(name)!.place ?? [0, 0]]))
}

/** Over all pairs of a row, when peers sit where `believed` places put them and `homes` are where they are. */
function meanDelayMs(homes: ReadonlyMap<string, Home>, believed: ReadonlyMap<string, Home>): number {
  const grid = new Grid('places', seatsOf(believed, 'places'))
  let sum = 0
  let pairs = 0
  for (let row = 0; row < grid.rowCount; row++) {
    const mates = grid.row(row).map((name) => homes.get(name)!)
    for (const [index, mate] of mates.entries()) {
      for (const other of mates.slice(index + 1)) {
        sum += delayMs(mate, other)
        pairs++
      }
    }
  }
  return sum / pairs
}
