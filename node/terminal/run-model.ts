/**
 * What the live view knows: the events of a run folded into one value. Pure and bounded, so that a run of many days
 * with many peers takes no more memory than a short one.
 */

import type {
  ErrorEvent,
  EvaluationEvent,
  RecoveredEvent,
  RunEvent,
  StartedEvent,
  VerdictEvent,
  WarningEvent,
} from '../run/run-events.ts'
import type { Point } from './chart.ts'

/**
 * Points of one curve. A terminal shows at most two for each of its columns; beyond this every second one is dropped.
 */
export const curvePointsMax = 1024

/** Peers in the table; those that joined later are only counted. A terminal shows a few dozen. */
export const tablePeersMax = 256

/** Warnings, errors and recoveries that stay on the screen. */
export const noticesMax = 3

/** One line of the table of peers. */
export interface PeerRow {
  peer: string
  name: string | undefined
  backend: string | undefined
  phase: string
  round: number
  samplesPerSecond: number
  uploadedBytes: number
  downloadedBytes: number
}

export interface RunModel {
  started: StartedEvent | undefined
  /** What is going on before the first round. */
  sentence: string
  /** Rounds done. */
  rounds: number
  peers: ReadonlyMap<string, PeerRow>
  /** Peers that are here; more than `peers` holds in a large swarm. */
  peerCount: number
  samplesPerSecond: number
  trainLoss: readonly Point[]
  heldOutLoss: readonly Point[]
  /** The job's metric, when it is the accuracy; else empty. */
  accuracy: readonly Point[]
  lastEvaluation: EvaluationEvent | undefined
  notices: readonly (WarningEvent | RecoveredEvent | ErrorEvent)[]
  verdict: VerdictEvent | undefined
  /** Of the last event. */
  seconds: number
}

export const emptyRun: RunModel = {
  started: undefined,
  sentence: 'Starting.',
  rounds: 0,
  peers: new Map(),
  peerCount: 0,
  samplesPerSecond: 0,
  trainLoss: [],
  heldOutLoss: [],
  accuracy: [],
  lastEvaluation: undefined,
  notices: [],
  verdict: undefined,
  seconds: 0,
}

/** The run after `event`; `run` stays as it is. */
export function afterEvent(run: RunModel, event: RunEvent): RunModel {
  return { ...run, ...change(run, event), seconds: Math.max(run.seconds, event.seconds) }
}

function change(run: RunModel, event: RunEvent): Partial<RunModel> {
  switch (event.event) {
    case 'started':
      return { started: event }
    case 'phase':
      return { sentence: event.sentence }
    case 'invitation':
      return {} // stands above the view, where it stays
    case 'peer_joined':
      return {
        peerCount: run.peerCount + 1,
        peers: withPeer(run.peers, event.peer, { name: event.name, backend: event.backend }),
      }
    case 'peer_left':
      return { peerCount: Math.max(0, run.peerCount - 1), peers: withoutPeer(run.peers, event.peer) }
    case 'peer_progress':
      return {
        peers: withPeer(run.peers, event.peer, {
          phase: event.phase,
          ...(event.backend === undefined ? {} : { backend: event.backend }),
          round: event.round,
          samplesPerSecond: event.samples_per_second,
          uploadedBytes: event.uploaded_bytes,
          downloadedBytes: event.downloaded_bytes,
        }),
      }
    case 'round':
      return {
        rounds: event.round + 1,
        samplesPerSecond: event.samples_per_second,
        trainLoss: withPoint(run.trainLoss, event.round + 1, event.loss),
      }
    case 'evaluation':
      return {
        lastEvaluation: event,
        heldOutLoss: withPoint(run.heldOutLoss, event.round, event.val_loss),
        accuracy: withPoint(run.accuracy, event.round, event.val_accuracy),
      }
    case 'warning':
    case 'error':
      return { notices: [...run.notices, event].slice(-noticesMax) }
    case 'recovered': {
      // a warning that holds no longer makes place for the news
      const standing = run.notices.filter(({ message }) => message !== event.warning)
      return { notices: [...standing, event].slice(-noticesMax) }
    }
    case 'verdict':
      return { verdict: event, rounds: event.rounds }
  }
}

function withPeer(peers: RunModel['peers'], peer: string, news: Partial<PeerRow>): RunModel['peers'] {
  const known = peers.get(peer)
  if (known === undefined && peers.size >= tablePeersMax) return peers
  const fresh: PeerRow = {
    peer,
    name: undefined,
    backend: undefined,
    phase: 'waiting',
    round: 0,
    samplesPerSecond: 0,
    uploadedBytes: 0,
    downloadedBytes: 0,
  }
  return new Map(peers).set(peer, { ...fresh, ...known, ...news })
}

function withoutPeer(peers: RunModel['peers'], peer: string): RunModel['peers'] {
  const rest = new Map(peers)
  rest.delete(peer)
  return rest
}

function withPoint(points: readonly Point[], x: number, y: number | null): readonly Point[] {
  if (y === null || !Number.isFinite(y)) return points
  const kept = points.length < curvePointsMax ? points : points.filter((_, index) => index % 2 === 0)
  return [...kept, { x, y }]
}
