/**
 * What one average costs: whole peers in processes of their own average random vectors, on loopback or over shaped
 * links (shaped-network.ts); a raw TCP stream moves as many bytes over loopback as one of them sends, before each
 * round. Encryption, framing, hashing, agreement and arithmetic are all in the difference, and the peers share this
 * machine's cores, where the stream has them for itself.
 *
 * A round's time is from the first peer's call to the last peer's average. The first rounds warm up and are not
 * counted. Where the peers take most of the cores' time, it is their arithmetic that is measured, whatever the links
 * allow.
 */

import { availableParallelism } from 'node:os'
import { columnCountOf, rowCountOf } from '../protocols/allreduce/plan/grid.ts'
import { rowPeersMax } from '../protocols/core/limits.ts'
import { type CodecName, codecFor } from '../protocols/wire/codecs/index.ts'
import { Child } from './child.ts'
import type { PeerRound, ReducePeerCalls } from './reduce-peer.ts'
import type { ShapedNetworkCalls } from './shaped-network.ts'
import { type Spread, spreadOf, spreadText, tableText } from './statistics.ts'
import { TcpStream } from './tcp-stream.ts'

export interface ReduceOptions {
  /** 2 to 8. */
  peers: number
  /** Elements of the vectors. */
  parameters: number
  /** Rounds that are counted. */
  rounds: number
  codecs: readonly CodecName[]
  /** Of each peer's uplink and downlink; undefined: loopback as it is. */
  link: LinkShape | undefined
}

/** A link as homes have it. */
export interface LinkShape {
  mbitPerSecond: number
  rttMs: number
}

/** One line of the result. */
export interface ReduceRow {
  peers: number
  parameters: number
  codec: CodecName
  rounds: number
  round_ms: Spread
  /** Of one peer in one round, for each parameter; mean of all peers and rounds. */
  bytes_up_per_parameter: number
  /** (N − 1) / N · (c + m): every part to its reducer, every mean to the others. */
  bytes_up_per_parameter_formula: number
  /**
   * The least time in which the shaped uplink carries those bytes, and the six messages after another, by the round's.
   */
  link_ratio: Spread | null
  /** Raw TCP's time for what one peer sends, by the round's time. 1 would be a raw stream's speed in every peer. */
  tcp_ratio: Spread
  /** The same for what all peers send together: they share the machine. */
  tcp_ratio_all_peers: Spread
  /** From the first peer's call to the last peer's offer: updates are coded and named before anything is sent. */
  offering_ms: Spread
  /** From the last peer's offer to the first peer's plan. */
  forming_ms: Spread
  /** From the first peer's plan to the first word of a seal: parts and means travel. */
  reducing_ms: Spread
  /** From there to the last peer's average: the vote, and decoding. */
  sealing_ms: Spread
  /** CPU time of one peer in one round. */
  cpu_ms: Spread
  /** Share of this machine's processor time that all peers together took while a round was on. */
  cores_share: Spread
  /**
   * Most resident memory of a peer since its start, beyond what its process had before its links were up, in vectors
   * (its own update is one).
   */
  peak_vectors: number
}

interface Case {
  parameters: number
  codec: CodecName
}

/** A vector so small that only the fixed cost of a round is left. */
const tinyParameters = 1_000

/** A round takes less of the processor until about the eighth: V8 compiles. A run has hundreds. */
const warmUpRounds = 8

/** A round that has not ended by then never will: eight peers of 10 M parameters take minutes on two busy cores. */
const roundMsMax = 300_000

/** Measures each codec on the vector asked for, and f32 on a tiny one. Prints a table unless `json`. */
export async function benchReduce(options: ReduceOptions & { json: boolean }): Promise<ReduceRow[]> {
  const cases: Case[] = [
    ...options.codecs.map((codec) => ({ parameters: options.parameters, codec })),
    { parameters: tinyParameters, codec: 'f32' },
  ]
  const rows: ReduceRow[] = []
  for (const each of cases) rows.push(await measure(each, options))
  if (!options.json) process.stdout.write(tableText([heading, ...rows.map(cellsOf)]))
  return rows
}

async function measure(
  { parameters, codec }: Case,
  { peers, rounds, link }: ReduceOptions,
): Promise<ReduceRow> {
  const children = Array.from({ length: peers }, () => new Child<ReducePeerCalls>('bench-reduce-peer'))
  const network = link === undefined ? undefined : new Child<ShapedNetworkCalls>('bench-shaped-network')
  const tcp = await TcpStream.open()
  try {
    const opened = await Promise.all(
      children.map((child, index) => child.ask('open', { index, peers, parameters, codec })),
    )
    const seenBy = await addressesOver(network, link, opened)
    // one after another: the handshakes of all pairs at once take longer on few cores than a dial may
    for (const [index, child] of children.entries()) await child.ask('link', seenBy(index))
    const bytesUp = Math.round(formula(codec, peers) * parameters)
    const measured: Measured[] = []
    let electorate: readonly string[] = []
    for (let round = 0; round < warmUpRounds + rounds; round++) {
      const tcpMs = await tcp.transferMs(bytesUp)
      await Promise.all(children.map((child) => child.ask('fill', undefined)))
      const asked = { round, electorate, waitMs: roundMsMax }
      const seen = await Promise.all(children.map((child) => child.ask('round', asked, 2 * roundMsMax)))
      const digests = await Promise.all(children.map((child) => child.ask('digest', undefined)))
      if (new Set(digests).size > 1) throw new Error(`the peers' averages of round ${round} differ`)
      requireAll(round, seen, round === 0 ? rowPeersMax : peers)
      electorate = seen[0]!.electorate
      measured.push({ tcpMs, seen })
    }
    return rowOf({ parameters, codec }, { peers, link }, measured.slice(warmUpRounds))
  } finally {
    await Promise.all([tcp.close(), network?.close(), ...children.map((child) => child.close())])
  }
}

/**
 * An average of fewer updates costs less, so it says nothing: links broke, or somebody was too slow for the others. The
 * first round of all is one row's, whose plan has room for `contributorsMax`.
 */
function requireAll(round: number, seen: readonly PeerRound[], contributorsMax: number): void {
  const fewest = Math.min(...seen.map(({ contributors }) => contributors))
  if (fewest < Math.min(seen.length, contributorsMax))
    throw new Error(
      `round ${round} averaged ${fewest} of ${seen.length} updates: give the machine less to do, or fewer --peers or --parameters`,
    )
}

/** One round, by all its peers. */
interface Measured {
  tcpMs: number
  seen: PeerRound[]
}

/**
 * Bytes that one peer sends in one round for each parameter: its update and a share of the means within its row; in a
 * grid also its row's sums of that share in f32 to the finisher, and a finisher's means to the other rows.
 */
function formula(codec: CodecName, peers: number): number {
  const { bytesPerElement, meanBytesPerElement } = codecFor(codec)
  const rows = rowCountOf(peers)
  const columns = columnCountOf(peers)
  const within = ((columns - 1) / columns) * (bytesPerElement + meanBytesPerElement)
  const across = ((rows - 1) / rows / columns) * (Float32Array.BYTES_PER_ELEMENT + meanBytesPerElement)
  return within + across
}

/** The addresses at which peer number `index` reaches the others: their own, or those of the shaped links to them. */
async function addressesOver(
  network: Child<ShapedNetworkCalls> | undefined,
  link: LinkShape | undefined,
  peers: readonly { peer: string; addresses: string[] }[],
): Promise<(index: number) => { peer: string; addresses: string[] }[]> {
  if (network === undefined || link === undefined) return () => [...peers]
  const own = peers.map(({ addresses }) => Number(/\/tcp\/(\d+)/.exec(addresses[0]!)![1]))
  const bytesPerSecond = (link.mbitPerSecond * 1e6) / 8
  const { ports } = await network.ask('open', { ports: own, bytesPerSecond, rttMs: link.rttMs })
  return (index) =>
    peers.map(({ peer }, other) => ({
      peer,
      addresses: [`/ip4/127.0.0.1/tcp/${ports[index]![other]}/p2p/${peer}`],
    }))
}

/**
 * Commit, plan, the first part, the last mean, the seal and the votes: what follows each other in a round takes half a
 * round trip each.
 */
const messagesInTurn = 6

function rowOf(
  { parameters, codec }: Case,
  { peers, link }: Pick<ReduceOptions, 'peers' | 'link'>,
  measured: readonly Measured[],
): ReduceRow {
  const roundMs = measured.map(({ seen }) => latest(seen, 'endedMs') - earliest(seen, 'startedMs'))
  const leastMs =
    link === undefined
      ? undefined
      : (formula(codec, peers) * parameters * 8) / (link.mbitPerSecond * 1e3) +
        (messagesInTurn * link.rttMs) / 2
  const ratios = measured.map(({ tcpMs }, index) => tcpMs / roundMs[index]!)
  const all = measured.flatMap(({ seen }) => seen)
  const bytesUp = all.reduce((sum, { uploadedBytes }) => sum + uploadedBytes, 0) / all.length
  return {
    peers,
    parameters,
    codec,
    rounds: measured.length,
    round_ms: spreadOf(roundMs),
    bytes_up_per_parameter: bytesUp / parameters,
    bytes_up_per_parameter_formula: formula(codec, peers),
    link_ratio: leastMs === undefined ? null : spreadOf(roundMs.map((ms) => leastMs / ms)),
    tcp_ratio: spreadOf(ratios),
    tcp_ratio_all_peers: spreadOf(ratios.map((ratio) => ratio * peers)),
    offering_ms: spreadOf(
      measured.map(({ seen }) => latest(seen, 'offeredMs') - earliest(seen, 'startedMs')),
    ),
    forming_ms: spreadOf(measured.map(({ seen }) => earliest(seen, 'plannedMs') - latest(seen, 'offeredMs'))),
    reducing_ms: spreadOf(
      measured.map(({ seen }) => earliest(seen, 'sealingMs') - earliest(seen, 'plannedMs')),
    ),
    sealing_ms: spreadOf(measured.map(({ seen }) => latest(seen, 'endedMs') - earliest(seen, 'sealingMs'))),
    cpu_ms: spreadOf(all.map(({ cpuMs }) => cpuMs)),
    cores_share: spreadOf(
      measured.map(({ seen }, index) => {
        const cpuMs = seen.reduce((sum, peer) => sum + peer.cpuMs, 0)
        return cpuMs / (roundMs[index]! * availableParallelism())
      }),
    ),
    peak_vectors: Math.max(...all.map(({ peakBytes }) => peakBytes)) / (4 * parameters),
  }
}

/** A moment of a round. */
type Moment = 'startedMs' | 'offeredMs' | 'plannedMs' | 'sealingMs' | 'endedMs'

function earliest(seen: readonly PeerRound[], moment: Moment): number {
  return Math.min(...seen.map((peer) => peer[moment]))
}

function latest(seen: readonly PeerRound[], moment: Moment): number {
  return Math.max(...seen.map((peer) => peer[moment]))
}

const heading = [
  'average',
  'ms a round',
  'B up/param (formula)',
  'of the link',
  'of raw TCP, a peer',
  'all peers',
  'offering, forming, reducing, sealing ms',
  'CPU ms a peer',
  'of the cores',
  'peak memory',
]

function cellsOf(row: ReduceRow): string[] {
  const isTiny = row.parameters <= tinyParameters
  return [
    `${row.peers} × ${row.parameters.toLocaleString('en')} ${row.codec}`,
    spreadText(row.round_ms, 1),
    `${row.bytes_up_per_parameter.toFixed(2)} (${row.bytes_up_per_parameter_formula.toFixed(2)})`,
    row.link_ratio === null ? 'loopback' : spreadText(row.link_ratio, 2),
    spreadText(row.tcp_ratio, 3),
    spreadText(row.tcp_ratio_all_peers, 3),
    [row.offering_ms, row.forming_ms, row.reducing_ms, row.sealing_ms]
      .map(({ median }) => median.toFixed(0))
      .join(', '),
    spreadText(row.cpu_ms, 1),
    spreadText(row.cores_share, 2),
    isTiny ? '' : `${row.peak_vectors.toFixed(1)} vectors`,
  ]
}
