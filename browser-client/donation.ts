/**
 * The seam between the page that a donor sees and the peer that works for it.
 *
 * The page loads first and shows everything before the click; the peer (libp2p, onnxruntime, storage) is imported only
 * after it. The page tells a donation what the donor and the governor allow; the donation tells the page what it does,
 * as one immutable snapshot at a time. Neither knows how the other is made.
 */

import type { SwarmKey } from '../node/peer/swarm-key.ts'
import type { SwarmError } from '../protocols/core/errors.ts'
import type { JobCard } from '../protocols/jobs/card.ts'

/** What a link's fragment names: `#job=<cid>&at=<multiaddr>&at=<multiaddr>`, and `&key=<key>` of a private swarm. */
export interface Invitation {
  /** CID of the job's manifest, as text. */
  job: string
  /** Multiaddrs to dial first, 1 to 8, each with its `/p2p/` part. */
  addresses: readonly string[]
  /** What lets the tab into a private swarm. */
  swarmKey?: SwarmKey | undefined
}

/**
 * What the tab may do at present; the governor decides it. Where nothing else is said the donation obeys within one
 * micro-batch.
 */
export interface WorkLimits {
  /** False: no kernel runs. The peer stays connected and goes on serving blocks. */
  mayRun: boolean
  /** Share of the time in which kernels may run, 0.05 to 1. */
  dutyCycle: number
  /** Threads of the WASM backend, 1 or more; takes effect with the next piece of a round's work. */
  threads: number
  /** Whether WebGPU may be used; takes effect as {@link threads}. */
  mayUseGpu: boolean
  /** Bytes are scarce: a data cap is near, or the line is metered. Updates are then as small as the job allows. */
  savesData: boolean
}

/** Where a donation stands, in the order in which it usually gets there. */
export type DonationPhase =
  | 'loading'
  | 'connecting'
  | 'downloading'
  | 'preparing'
  | 'waiting'
  | 'syncing'
  | 'training'
  | 'averaging'
  | 'paused'
  | 'leaving'
  | 'ended'

/** One thing being fetched. `total` is null where the length is not known yet. */
export interface Progress {
  what: 'program' | 'runtime' | 'model' | 'data' | 'state'
  bytes: number
  bytesTotal: number | null
}

export interface PeerRow {
  id: string
  role: 'tab' | 'node' | 'coordinator'
  backend: string
  connection: 'direct' | 'relayed' | 'none'
  /** Round trip, milliseconds; null before the first measurement. */
  rttMs: number | null
  round: number | null
  samplesPerSecond: number | null
  /** What it says to do in the run; empty for one that only watches. */
  phase: string
}

/** One point of the run's curve. */
export interface LossPoint {
  round: number
  /** Seconds since the donation started. */
  seconds: number
  /** Held-out loss of the agreed state, from the coordinator; null between evaluations. */
  heldOut: number | null
  /** Held-out accuracy of the same state, 0 to 1; null between evaluations and where the loss knows no classes. */
  accuracy: number | null
  /** This tab's mean training loss of the round; null where it did not train. */
  own: number | null
}

export interface Contribution {
  localSteps: number
  samples: number
  /** Share of all samples that the run has counted since this tab joined, 0 to 1. */
  shareOfRun: number | null
  roundsCommitted: number
  bytesUp: number
  bytesDown: number
  /** From the click to the end of the first step, milliseconds. */
  firstStepMs: number | null
  samplesPerSecond: number
}

/**
 * Everything the page shows of a running donation. Immutable; a new one replaces it at most ten times a second, and at
 * least every two seconds: the page takes a longer silence for a peer that hangs, and greys what it shows.
 */
export interface DonationSnapshot {
  self: string
  phase: DonationPhase
  round: number | null
  progress: readonly Progress[]
  /**
   * Of the manifest that the peer itself opened; the page ends the donation when its owner is not the one it had shown.
   */
  job: JobCard | null
  /** `wasm` or `webgpu` once chosen, with the threads it got and a sentence where that is less than asked. */
  backend: { name: string; threads: number; note: string | null } | null
  contribution: Contribution
  curve: readonly LossPoint[]
  peers: readonly PeerRow[]
  /** Verdict of the coordinator once there is one. */
  verdict: { verdict: string; reason: string; round: number } | null
  /** False while nobody is reachable. */
  isConnected: boolean
  /**
   * Why peers that are here may not work with this tab: their program is of another age (VERSION_MISMATCH). Null once a
   * round counts.
   */
  mismatch: SwarmError | null
  /** What ended the donation, when it was not the donor. */
  failure: SwarmError | null
}

/** One line of the page's log. `atMs`: milliseconds since the epoch. */
export interface LogEntry {
  atMs: number
  level: 'info' | 'warning' | 'error'
  text: string
}

/** A peer at work in this tab. Made by {@link StartDonation}, after the donor's click. */
export interface Donation {
  /** Takes effect within one micro-batch. */
  limit(limits: WorkLimits): void
  /** Ends the current round with everybody, hands over, and leaves. Resolves when the peer is gone. */
  finish(): Promise<void>
  /** Ends all work at once; resolves within a second. May be called again, and after {@link finish}. */
  stop(): Promise<void>
}

export interface DonationInit {
  invitation: Invitation
  limits: WorkLimits
  /** Aborts when the donor gives up before there is a {@link Donation}. */
  signal: AbortSignal
  onSnapshot(snapshot: DonationSnapshot): void
  onLog(entry: LogEntry): void
}

/**
 * Starts to donate. What the dynamically imported peer exports; the page is handed the import as
 * `openPage({ loadPeer: () => import(…) })`.
 * @throws {SwarmError} when the tab cannot become a peer at all; later failures come in snapshots.
 */
export type StartDonation = (init: DonationInit) => Promise<Donation>
