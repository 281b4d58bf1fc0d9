/**
 * The methods that the Moshpit paper compares (arXiv 2103.03239, its averaging notebook), with one number for each
 * peer.
 *
 *     All-Reduce      all or nothing: one failed peer spoils the iteration
 *     Gossip          a ring: each peer takes the mean of itself and both neighbours
 *     SGP             each peer sends to two others, 2^k and 2^(k+1) places on, k one more in each iteration; at the end
 *                     of the ring one row further, because the notebook rolls a flattened matrix (`rolledSources`)
 *     Random groups   peers that are here are dealt into groups of 32, each takes its mean
 *     Moshpit         a grid of 32 x 32 cells: means along its rows and its columns in turn
 */

import type { Random } from '../../protocols/core/random.ts'
import { type Averaging, type Method, meanOf, type Setting, varianceOf } from './method.ts'

/** Peers of a group, and cells along a side of the grid, in the published table. */
const groupPeers = 32

/** Mixes `values` in place among the peers that are `here`; returns the vectors sent by all peers together. */
type Mix = (values: Float64Array, here: Uint8Array) => number

/** A method whose rule `prepare` draws what stays the same in all iterations. */
function method(name: string, prepare: (peers: number, random: Random) => Mix): Method {
  return {
    name,
    start({ peers, failures }: Setting, random: Random): Averaging {
      const values = Float64Array.from({ length: peers }, () => random.normal())
      const startMean = meanOf(values)
      const mix = prepare(peers, random)
      let sent = 0
      return {
        advance() {
          const here = Uint8Array.from({ length: peers }, () => Number(random.next() >= failures))
          sent += mix(values, here)
        },
        variance: () => varianceOf(values),
        drift: () => (meanOf(values) - startMean) ** 2,
        vectorsSent: () => sent / peers,
      }
    },
  }
}

const allReduce = method('All-Reduce', (peers) => (values, here) => {
  const everyone = Array.from(values.keys())
  return here.every((isHere) => isHere === 1) ? average(values, everyone) : 2 * (peers - 1)
})

const gossip = method('Gossip', (peers) => {
  const sources = Array.from({ length: peers }, (_, peer) => [(peer + 1) % peers, (peer + peers - 1) % peers])
  return (values, here) => pull(values, here, sources)
})

const sgp = method('SGP', (peers) => {
  const turns = Math.max(1, Math.floor(Math.log2(peers - 1)))
  const sources = Array.from({ length: turns }, (_, k) => rolledSources(peers, [2 ** k, 2 ** (k + 1)]))
  let iteration = 0
  return (values, here) => {
    iteration++ // the first is number 1, and begins with the second pair of distances
    return pull(values, here, sources[iteration % turns]!)
  }
})

const randomGroups = method('Random groups', (_peers, random) => (values, here) => {
  const present = shuffled(
    [...here.keys()].filter((peer) => here[peer] === 1),
    random,
  )
  let sent = 0
  for (let first = 0; first < present.length; first += groupPeers)
    sent += average(values, present.slice(first, first + groupPeers))
  return sent
})

const moshpit = method('Moshpit', (peers, random) => {
  const side = Math.max(groupPeers, Math.ceil(Math.sqrt(peers)))
  const cells = shuffled([...Array(side * side).keys()], random).slice(0, peers)
  let isAlongRows = true
  return (values, here) => {
    const groups: number[][] = Array.from({ length: side }, () => [])
    cells.forEach((cell, peer) => {
      const group = isAlongRows ? Math.floor(cell / side) : cell % side
      if (here[peer] === 1) groups[group]!.push(peer)
    })
    isAlongRows = !isAlongRows
    return groups.reduce((sent, group) => sent + average(values, group), 0)
  }
})

/** In the order of the published table. */
export const baselines: readonly Method[] = [allReduce, gossip, sgp, randomGroups, moshpit]

/**
 * Gives each of `group` their mean; returns the vectors that a butterfly among them sends: 2 · (M − 1) / M for each of
 * M.
 */
function average(values: Float64Array, group: readonly number[]): number {
  if (group.length === 0) return 0
  const mean = group.reduce((sum, peer) => sum + values[peer]!, 0) / group.length
  for (const peer of group) values[peer] = mean
  return 2 * (group.length - 1)
}

/**
 * By peer: those it hears when the identity matrix, flattened row by row, is rolled by each of `distances`, as the
 * published code does. In a ring peer i would hear i + distance; here those past the end are heard by the peer after
 * it, so one peer hears nobody at that distance and peer 0 two. It takes the method a third more iterations than the
 * ring would.
 */
function rolledSources(peers: number, distances: readonly number[]): number[][] {
  const sources: number[][] = Array.from({ length: peers }, () => [])
  for (const distance of distances) {
    for (let peer = 0; peer < peers; peer++) {
      const place = (peer * (peers + 1) + distance) % (peers * peers)
      sources[Math.floor(place / peers)]!.push(place % peers)
    }
  }
  return sources
}

/** Each peer that is here takes the mean of itself and those of its `sources` that are here too. */
function pull(values: Float64Array, here: Uint8Array, sources: readonly (readonly number[])[]): number {
  const before = values.slice()
  let sent = 0
  for (let peer = 0; peer < values.length; peer++) {
    if (here[peer] === 0) continue
    const heard = sources[peer]!.filter((source) => here[source] === 1)
    sent += heard.length
    values[peer] = heard.reduce((sum, source) => sum + before[source]!, before[peer]!) / (1 + heard.length)
  }
  return sent
}

/** Fisher-Yates, in place. */
function shuffled(items: number[], random: Random): number[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = random.integer(last + 1)
    const item = items[last]!
    items[last] = items[other]!
    items[other] = item
  }
  return items
}
