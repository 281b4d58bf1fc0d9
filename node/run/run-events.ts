/**
 * What somebody who watches a run sees, as a stream of events: `launch` and `watch` print it, scripts read it.
 *
 * Keys are snake_case because `--json` writes events as they are, one line each. `seconds` counts from the start of the
 * command. Peer ids and names come from strangers: the terminal makes them printable, JSON escapes them.
 */

import type { ErrorCode } from '../../protocols/core/errors.ts'

/** How a run ended: the coordinator's verdict, or the owner's word. */
export type RunEnd = 'converged' | 'plateaued' | 'diverged' | 'out-of-budget' | 'stopped'

/** What is measured on the validation split. */
export type Metric = 'val_accuracy' | 'val_loss'

/** The job is known and the run begins. */
export interface StartedEvent {
  event: 'started'
  seconds: number
  /** Job id: the CID of its manifest. */
  job: string
  name: string
  parameters: number
  metric: Metric
  target: number | null
  max_rounds: number
  /** Peers that must be there before round 0. */
  min_peers: number
}

/** What the run is doing before its first round. */
export interface PhaseEvent {
  event: 'phase'
  seconds: number
  /** One sentence for people: `Starting 3 peers on this machine.` */
  sentence: string
}

/** Where browsers can join the run. */
export interface InvitationEvent {
  event: 'invitation'
  seconds: number
  link: string
}

export interface PeerJoinedEvent {
  event: 'peer_joined'
  seconds: number
  peer: string
  /** What the peer calls itself; absent for one that does not. */
  name?: string
  /** `native`, `wasm` or `webgpu`; absent when it did not say. */
  backend?: string
}

export interface PeerLeftEvent {
  event: 'peer_left'
  seconds: number
  peer: string
  /** Why, in a few words: `said goodbye`, `silent for 60 s`. */
  reason: string
}

/** Where one peer is now. Sent often: people see it in the table of peers, scripts may skip it. */
export interface PeerProgressEvent {
  event: 'peer_progress'
  seconds: number
  peer: string
  round: number
  /** `waiting`, `syncing`, `training`, `averaging` or `finished`. */
  phase: string
  /** As in `peer_joined`; a peer that was still choosing says it later. */
  backend?: string
  samples_per_second: number
  /** Since the peer joined the run. */
  uploaded_bytes: number
  downloaded_bytes: number
}

/** A majority committed a round. */
export interface RoundEvent {
  event: 'round'
  seconds: number
  /** The round that is done, from 0. */
  round: number
  /** Mean training loss of the peers; `null` when none reported a finite one. */
  loss: number | null
  peers: number
  samples_per_second: number
}

/** The held-out samples were measured with an agreed state. */
export interface EvaluationEvent {
  event: 'evaluation'
  seconds: number
  /** The state's round: after that many rounds of training. */
  round: number
  val_loss: number
  /** 0 to 1; `null` where the loss knows no classes. */
  val_accuracy: number | null
}

/** The last event of a run. */
export interface VerdictEvent {
  event: 'verdict'
  verdict: RunEnd
  metric: Metric
  /** Of the state that was kept; `null` when none was measured. */
  value: number | null
  rounds: number
  peers: number
  seconds: number
  /** Mean over the peers. */
  uploaded_bytes_per_peer: number
  /** Path of the trained model; `null` when there is none to write. */
  model: string | null
}

/** Something is odd, and the run goes on. */
export interface WarningEvent {
  event: 'warning'
  seconds: number
  message: string
  hint?: string
}

/** What a warning said holds no longer. */
export interface RecoveredEvent {
  event: 'recovered'
  seconds: number
  message: string
  /** The message of that warning. */
  warning: string
}

/** Something failed; a run whose coordinator or peers live on may go on. */
export interface ErrorEvent {
  event: 'error'
  seconds: number
  code: ErrorCode
  message: string
  hint?: string
}

export type RunEvent =
  | StartedEvent
  | PhaseEvent
  | InvitationEvent
  | PeerJoinedEvent
  | PeerLeftEvent
  | PeerProgressEvent
  | RoundEvent
  | EvaluationEvent
  | VerdictEvent
  | WarningEvent
  | RecoveredEvent
  | ErrorEvent
