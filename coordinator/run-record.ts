/**
 * What a coordinator knows about one run: the newest report of every live peer, which states peers have named, and how
 * the agreed states did on held-out samples.
 *
 * Filled from gossip by whoever watches the run, read by {@link tick}. Everything in it can be rebuilt from the peers'
 * next reports, so a coordinator that comes back needs no disk for it. It neither decides anything nor keeps time:
 * "now" is an argument, milliseconds of any clock, the same one throughout.
 */

import { milestonesPerPeerMax, peerReportsMax, reportExpiryMs } from '../protocols/core/limits.ts'
import type { ConvergenceSpec } from '../protocols/jobs/spec.ts'

/** The part of a peer's gossiped progress that verdicts depend on. */
export interface PeerReport {
  peer: string
  /** The state it holds. */
  round: number
  root: string
  /** Mean loss of its last round's local steps; `null` before the first and when it was not finite. */
  loss: number | null
  /** Its last local step gave NaN or infinity. */
  isLossNotFinite: boolean
}

/** How state `root` did on the validation split. */
export interface Evaluation {
  round: number
  root: string
  /** Mean over the predictions of the split; not finite when the run has blown up. */
  loss: number
  /** Share of right answers, 0 to 1; `null` where the loss knows no classes. */
  accuracy: number | null
}

/** A state by name. */
export interface StateName {
  round: number
  root: string
}

/** A state, and the peers that named it. */
export interface SupportedState {
  readonly state: StateName
  readonly peers: ReadonlySet<string>
}

interface Reporter {
  newest: PeerReport
  heardMs: number
  /** Roots that this peer named for the rounds that may be evaluated, oldest first. */
  milestones: ReadonlyMap<number, string>
}

export class RunRecord {
  readonly rules: ConvergenceSpec
  /** When the run began, on the clock that `now` is read from. */
  readonly startedMs: number
  /** Answers there are to choose from: a guess is right once in so many times. */
  readonly classes: number
  /** What the run starts from; known before any peer is there. */
  readonly first: StateName
  readonly #reporters = new Map<string, Reporter>()
  /** Kept up to date with each report, since every tick asks and there may be 10,000 reporters. */
  readonly #supported = new Map<string, { state: StateName; peers: Set<string> }>()
  readonly #evaluations: Evaluation[] = []

  constructor(rules: ConvergenceSpec, startedMs: number, classes: number, first: StateName) {
    this.rules = rules
    this.startedMs = startedMs
    this.classes = classes
    this.first = first
  }

  /** The newest report of each live peer. */
  get reports(): PeerReport[] {
    return [...this.#reporters.values()].map(({ newest }) => newest)
  }

  get reporterCount(): number {
    return this.#reporters.size
  }

  /** All evaluations so far, by round. */
  get evaluations(): readonly Evaluation[] {
    return this.#evaluations
  }

  /** True for the rounds whose state is evaluated: every `evaluateEvery`-th, and the last that the job allows. */
  isMilestone(round: number): boolean {
    return round % this.rules.evaluateEvery === 0 || round === this.rules.maxRounds
  }

  /** Takes a peer's report; one about an earlier round than its last is late and ignored. */
  observe(report: PeerReport, now: number): void {
    const known = this.#reporters.get(report.peer)
    if (known === undefined && this.#reporters.size >= peerReportsMax) return
    if (known !== undefined && report.round < known.newest.round) return
    this.forget(report.peer)
    const milestones = new Map(known?.milestones)
    if (this.isMilestone(report.round)) {
      milestones.set(report.round, report.root)
      if (milestones.size > milestonesPerPeerMax) milestones.delete(milestones.keys().next().value!)
    }
    const reporter = { newest: report, heardMs: now, milestones }
    this.#reporters.set(report.peer, reporter)
    for (const state of statesNamedBy(reporter)) this.#support(state, report.peer)
  }

  /** Drops a peer that said goodbye or was lost; should it report again, it counts again. */
  forget(peer: string): void {
    const known = this.#reporters.get(peer)
    if (known === undefined) return
    this.#reporters.delete(peer)
    for (const state of statesNamedBy(known)) this.#unsupport(state, peer)
  }

  /** Drops the peers that have been silent for `reportExpiryMs`, so that the dead do not count in a majority. */
  forgetSilent(now: number): void {
    for (const [peer, { heardMs }] of this.#reporters) if (now - heardMs >= reportExpiryMs) this.forget(peer)
  }

  /** Takes the result of an evaluation. A second one of the same state is ignored. */
  evaluated(evaluation: Evaluation): void {
    if (this.#evaluations.some(({ root }) => root === evaluation.root)) return
    this.#evaluations.push(evaluation)
    this.#evaluations.sort((a, b) => a.round - b.round)
  }

  /** The states that peers have named, each with those that did: their milestones and where they are now. */
  get supported(): Iterable<SupportedState> {
    return this.#supported.values()
  }

  #support(state: StateName, peer: string): void {
    const key = keyOf(state)
    const entry = this.#supported.get(key)
    if (entry === undefined) this.#supported.set(key, { state, peers: new Set([peer]) })
    else entry.peers.add(peer)
  }

  #unsupport(state: StateName, peer: string): void {
    const { peers } = this.#supported.get(keyOf(state))!
    peers.delete(peer)
    if (peers.size === 0) this.#supported.delete(keyOf(state))
  }
}

function statesNamedBy({ newest, milestones }: Reporter): StateName[] {
  return [...new Map(milestones).set(newest.round, newest.root)].map(([round, root]) => ({ round, root }))
}

function keyOf({ round, root }: StateName): string {
  return `${round} ${root}`
}
