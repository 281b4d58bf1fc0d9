/**
 * What every peer's libp2p node has in common, whatever platform it runs on: encryption, muxing, gossip, identify, and
 * Starling's own protocols. Transports and where a node listens are the program's choice (node/network/libp2p.ts,
 * browser-client/peer/network.ts). No protocol logic lives here, only choices; each one that differs from libp2p's
 * default says why.
 */

import { noise } from '@chainsafe/libp2p-noise'
import { gossipsub, StrictSign } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import type { Libp2p, PrivateKey } from '@libp2p/interface'
import { ping } from '@libp2p/ping'
import { type Allreduce, allreduce } from '../../protocols/allreduce/index.ts'
import { type Clock, systemClock } from '../../protocols/core/clock.ts'
import { gossipFrameBytesMax, linkStallMs } from '../../protocols/core/limits.ts'
import { type Discovery, discovery, type SelfDescription } from '../../protocols/discovery/index.ts'
import { type Jobs, jobs, type SignedJob } from '../../protocols/jobs/index.ts'
import { type BlockStore, type Shards, shards } from '../../protocols/shards/index.ts'
import { sturdyYamux } from './muxer.ts'
import { type SwarmKey, swarmPrologue } from './swarm-key.ts'
import { type Versions, versions } from './versions.ts'

/**
 * Receive window of one stream. 4 MiB fill 300 Mbit/s at 100 ms; libp2p's default of 16 MiB is no faster and lets a
 * paused stream receive more than it may buffer. The initial window stays at its default: it must be equal on all
 * peers.
 */
const streamWindowBytesMax = 4 << 20

/** A paused stream receives at most one window more; twice that is never reached, and less would abort the stream. */
const readBufferBytesMax = 2 * streamWindowBytesMax

/** How often each connection is pinged: the round trips that network coordinates are made from. */
const pingIntervalMs = 10_000

/**
 * Least time that a ping may take before its connection is given up, and most, where pings have been slow. A ping waits
 * behind what the buffers of all connections hold: seven windows of 4 MiB take 12 s at 20 Mbit/s and a minute at 4, and
 * such a peer is slow, not dead. A process that ends closes its connections, so only a broken network takes as long to
 * be noticed.
 */
const pingMsMin = 30_000
const pingMsMax = linkStallMs

/**
 * Pings that are sent before the first of them is given up, and one that its answer crosses. libp2p's limit is one on
 * its way, and the second is an error that breaks the connection: it would have to be answered within the interval.
 */
const pingsMax = pingMsMax / pingIntervalMs + 1

/**
 * Topics that a peer joins at once, twice over, and as many again to spare: offences are forgotten within two seconds.
 */
const offencesFree = 12

/** Encryption, muxing and liveness, for `createLibp2p`. `swarmKey`: of a private swarm. */
export function sharedOptions(swarmKey: SwarmKey | undefined) {
  return {
    connectionEncrypters: [noise({ prologueBytes: swarmPrologue(swarmKey) })],
    streamMuxers: [
      sturdyYamux({
        streamOptions: { maxStreamWindowSize: streamWindowBytesMax, maxReadBufferLength: readBufferBytesMax },
      }),
    ],
    connectionMonitor: {
      pingInterval: pingIntervalMs,
      pingTimeout: { minTimeout: pingMsMin, maxTimeout: pingMsMax },
    },
  }
}

/** libp2p's own services that every peer has. */
export type BaseServices = {
  identify: ReturnType<ReturnType<typeof identify>>
  ping: ReturnType<ReturnType<typeof ping>>
  pubsub: ReturnType<ReturnType<typeof gossipsub>>
}

/** Factories of {@link BaseServices}. */
export function baseServices() {
  return {
    identify: identify(),
    // twice as many may come in, since a stream is closed here later than there
    ping: ping({ timeout: pingMsMax, maxOutboundStreams: pingsMax, maxInboundStreams: 2 * pingsMax }),
    pubsub: gossipsub({
      globalSignaturePolicy: StrictSign,
      // The first peer of a swarm announces itself to nobody, and that is no error.
      allowPublishToZeroTopicPeers: true,
      scoreParams: {
        // Eleven peers behind one address would be scored down until no message reaches them: a lab, a school.
        IPColocationFactorWeight: 0,
        // A page that is reloaded joins its topics again at once, which counts as an offence for each; three reloads in
        // a row would shut it out. A peer that floods does it many times a second.
        behaviourPenaltyThreshold: offencesFree,
      },
      // The same reload: whoever left a topic may be back after a second, the least that can be said (libp2p: ten), and
      // whoever came too early after five (a minute). Until then messages come a heartbeat late.
      unsubcribeBackoff: 1_000,
      pruneBackoff: 5_000,
      graftFloodThreshold: 0,
      maxInboundDataLength: gossipFrameBytesMax,
    }),
  }
}

/** Starling's protocols as libp2p services, and who speaks them in another version. */
export type StarlingServices = {
  discovery: Discovery
  shards: Shards
  jobs: Jobs
  allreduce: Allreduce
  versions: Versions
}

export type SwarmServices = BaseServices & StarlingServices

export interface StarlingInit {
  /** Where the peer keeps what it fetches, and serves from. */
  store: BlockStore
  /** What it tells others about itself. */
  self: SelfDescription
  /** Multiaddrs of coordinators or friends, redialled for ever. */
  bootstrap: readonly string[]
  /** Throws SwarmError (REFUSED) for a job that this peer wants nothing to do with. */
  admit?: (signed: SignedJob) => void
  /** Where browsers can join the run of a job. Default: nowhere. */
  linkTo?: (job: string) => string | undefined
  /** Default: the system's. A hidden tab has a better one. */
  clock?: Clock
  /** What a person does where this program is older than another. Default: updates it. */
  updateHere?: string
}

/** Factories of {@link StarlingServices}. */
export function starlingServices({
  store,
  self,
  bootstrap,
  admit,
  linkTo,
  clock = systemClock,
  updateHere,
}: StarlingInit) {
  return {
    discovery: discovery({ self, bootstrap, clock }),
    shards: shards({ store, clock }),
    jobs: jobs({ admit, linkTo, clock }),
    allreduce: allreduce({ clock }),
    versions: versions({ clock, updateHere }),
  }
}

/** A started peer, as what takes part in jobs sees it. */
export interface SwarmPeer {
  /** Its id. */
  self: string
  key: PrivateKey
  libp2p: Libp2p<SwarmServices>
  services: SwarmServices
  store: BlockStore
}
