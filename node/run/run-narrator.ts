/**
 * Tells a run as events (node/run/run-events.ts) from what the jobs and discovery protocols report. Peers report far more
 * often than anybody wants to read; a round becomes one event, when more than half of the peers have left it behind.
 */

import type { DiscoveryEffect, PeerRecord } from '../../protocols/discovery/index.ts'
import type { JobNotice, Manifest, Progress } from '../../protocols/jobs/index.ts'
import type { RunEvent } from './run-events.ts'

export interface NarratorInit {
  manifest: Manifest
  /** What discovery knows of a peer. */
  record(peer: string): PeerRecord | undefined
  /** A name for a peer that is better than its id. */
  nameOf?(peer: string): string | undefined
  /** Since the command began. */
  seconds(): number
  emit(event: RunEvent): void
}

export class RunNarrator {
  readonly #init: NarratorInit
  readonly #peers = new Map<string, Progress>()
  #roundTold = -1

  constructor(init: NarratorInit) {
    this.#init = init
  }

  /** Peers that take part, each with its newest report. */
  get peers(): ReadonlyMap<string, Progress> {
    return this.#peers
  }

  /** True once a peer holds a later state than the first. */
  get hasBegun(): boolean {
    return [...this.#peers.values()].some(({ round }) => round > 0)
  }

  /** Bytes that a peer has sent for the run so far, mean over the peers. */
  get uploadedBytesPerPeer(): number {
    const sum = [...this.#peers.values()].reduce((total, { uploadedBytes }) => total + uploadedBytes, 0)
    return this.#peers.size === 0 ? 0 : Math.round(sum / this.#peers.size)
  }

  /** Takes a notice about the run. Its end is told by the caller, who knows what becomes of the model. */
  takeNotice(notice: JobNotice): void {
    if (notice.kind === 'progress') this.#takeProgress(notice.peer, notice.progress)
    else if (notice.kind === 'evaluation') {
      const { round, loss, accuracy } = notice.evaluation
      const { seconds, emit } = this.#init
      emit({
        event: 'evaluation',
        seconds: seconds(),
        round,
        val_loss: loss ?? Number.NaN,
        val_accuracy: accuracy,
      })
    }
  }

  /** Takes news about who is here. */
  takeDiscovery(effect: DiscoveryEffect): void {
    if (effect.kind !== 'PeerGone' || !this.#peers.has(effect.peer)) return
    this.#peers.delete(effect.peer)
    const { seconds, emit } = this.#init
    emit({ event: 'peer_left', seconds: seconds(), peer: effect.peer, reason: effect.reason })
  }

  #takeProgress(peer: string, progress: Progress): void {
    const { seconds, emit, record, nameOf } = this.#init
    const said = record(peer)?.backend
    const backend = said === 'auto' ? undefined : said // not chosen yet
    if (!this.#peers.has(peer)) {
      emit({ event: 'peer_joined', seconds: seconds(), peer, name: nameOf?.(peer), backend })
    }
    this.#peers.set(peer, progress)
    emit({
      event: 'peer_progress',
      seconds: seconds(),
      peer,
      round: progress.round,
      phase: progress.phase,
      backend,
      samples_per_second: progress.samplesPerSecond,
      uploaded_bytes: progress.uploadedBytes,
      downloaded_bytes: progress.downloadedBytes,
    })
    this.#tellRound()
  }

  #tellRound(): void {
    const reports = [...this.#peers.values()]
    const rounds = reports.map(({ round }) => round).sort((a, b) => a - b)
    // With n peers, more than half have reached the round that stands n/2 places from the top.
    const reached = rounds[Math.floor((rounds.length - 1) / 2)] ?? 0
    if (reached - 1 <= this.#roundTold) return
    this.#roundTold = reached - 1
    const losses = reports.map(({ loss }) => loss).filter((loss) => loss !== null)
    this.#init.emit({
      event: 'round',
      seconds: this.#init.seconds(),
      round: reached - 1,
      loss: losses.length === 0 ? null : losses.reduce((sum, loss) => sum + loss, 0) / losses.length,
      peers: reports.length,
      samples_per_second: reports.reduce((sum, { samplesPerSecond }) => sum + samplesPerSecond, 0),
    })
  }
}
