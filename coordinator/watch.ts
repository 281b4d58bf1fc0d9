/**
 * The coordinator's watch over one run. Gossip fills the record, {@link tick} decides, and here the decisions are
 * carried out: an agreed state is fetched from the peers, measured on the held-out samples, and the result signed and
 * told.
 *
 *     following ──every tick──▶ evaluating (one state at a time) ──▶ following ──final verdict──▶ ended
 *
 * The best state so far is kept, so that what a run came to survives its peers. If this watch dies, the peers go on; a
 * new one takes up what the statements say and what the peers report.
 */

import { type Clock, sleep } from '../protocols/core/clock.ts'
import { SwarmError } from '../protocols/core/errors.ts'
import type { JobNotice } from '../protocols/jobs/record.ts'
import type { ConvergenceSpec } from '../protocols/jobs/spec.ts'
import type { Statement, Verdict } from '../protocols/jobs/statement.ts'
import { isFinal, statementKind } from '../protocols/jobs/statement.ts'
import { fetchState } from '../protocols/run/fetch-state.ts'
import type { BlockFetch } from '../protocols/run/ports.ts'
import type { ExpectedState, State } from '../protocols/run/state.ts'
import { bestEvaluation } from './rules.ts'
import { RunRecord, type StateName } from './run-record.ts'
import { type Judgement, tick } from './tick.ts'

/** Between two looks at the record. Verdicts come at most this late. */
const tickMs = 250

/** A state that has not arrived after this long has been forgotten by its peers: the next agreed one is tried. */
const fetchMsMax = 30_000

/**
 * Before a state that could not be measured is tried again, doubling with each failure: peers send all of it each time.
 * A newer one is tried at once.
 */
const retryMsMin = 1_000

/** By then most of what passes by itself has passed. */
const retryMsMax = 30_000

/** How a state does on the validation split. */
export interface Measurement {
  /** Mean over the predictions; not finite when the run has blown up. */
  loss: number
  /** 0 to 1; `null` where the loss knows no classes. */
  accuracy: number | null
}

/** What the watch needs of the jobs protocol. */
export interface JobsFace {
  follow(job: string, listener: (notice: JobNotice) => void): () => void
  publishStatement(statement: Statement): Promise<void>
}

export interface WatchInit {
  job: string
  rules: ConvergenceSpec
  /** Of the job's data set. */
  classes: number
  expected: ExpectedState
  /** What the run starts from: its root, and itself, made anew. */
  first: { root: string; state(): State }
  jobs: JobsFace
  blocks: BlockFetch
  /** Calls `listener` with each peer that has said goodbye or was lost; the returned function ends it. */
  onPeerGone(listener: (peer: string) => void): () => void
  /** Measures `parameters` (f32, borrowed) on the whole validation split. */
  measure(parameters: Float32Array, options: { signal: AbortSignal }): Promise<Measurement>
  /** Keeps `state` for good, in place of the one kept before. */
  keep(root: string, state: State): Promise<void>
  clock: Clock
  /** Milliseconds since 1970. */
  epochMs(): number
  /** When the job was made, since 1970: its minutes count from there. */
  createdMs: number
  onEvent?(event: WatchEvent): void
}

/** One line of the coordinator's log. */
export type WatchEvent =
  | { kind: 'evaluated'; state: StateName; measurement: Measurement; seconds: number }
  | { kind: 'evaluation-failed'; state: StateName; error: unknown }
  | { kind: 'fork'; round: number; branches: number }
  | { kind: 'ended'; verdict: Verdict }

export class RunWatch {
  readonly #init: WatchInit
  readonly #record: RunRecord
  #ended: Verdict | 'stopped' | undefined
  /** The measurement under way; `done` never rejects. */
  #evaluation: { cancel: AbortController; done: Promise<void> } | undefined
  /** The state whose measurement failed last, how often running, and when it may be tried again. */
  #failed = { root: '', times: 0, retryAtMs: 0 }
  #keptRoot: string | undefined
  #forkRound = -1

  constructor(init: WatchInit) {
    this.#init = init
    const startedMs = init.clock.now() - (init.epochMs() - init.createdMs)
    this.#record = new RunRecord(init.rules, startedMs, init.classes, { round: 0, root: init.first.root })
  }

  /**
   * Watches until the run ends. @returns the final verdict, or `stopped` when the owner ended the job or it has
   * expired.
   * @throws {unknown} `signal.reason`.
   */
  async run({ signal }: { signal: AbortSignal }): Promise<Verdict | 'stopped'> {
    const unfollow = this.#init.jobs.follow(this.#init.job, (notice) => this.#take(notice))
    const stopMissing = this.#init.onPeerGone((peer) => this.#record.forget(peer))
    try {
      while (this.#ended === undefined) {
        await this.#look(signal)
        if (this.#ended === undefined) await sleep(this.#init.clock, tickMs, { signal })
      }
      return this.#ended
    } finally {
      unfollow()
      stopMissing()
      await this.#cancelEvaluation()
    }
  }

  #take(notice: JobNotice): void {
    if (notice.kind === 'progress') {
      this.#record.observe({ peer: notice.peer, ...notice.progress }, this.#init.clock.now())
    } else if (notice.kind === 'evaluation') {
      const { round, root, loss, accuracy } = notice.evaluation
      this.#record.evaluated({ round, root, loss: loss ?? Number.NaN, accuracy })
    } else if (notice.kind === 'verdict' && isFinal(notice.verdict)) {
      this.#ended ??= notice.verdict
    } else if (notice.kind === 'stopped' || notice.kind === 'forgotten') {
      this.#ended ??= 'stopped'
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const now = this.#init.clock.now()
    this.#record.forgetSilent(now)
    const { evaluate, judgement, forks } = tick(this.#record, now)
    const [fork] = forks
    if (fork !== undefined && fork.round > this.#forkRound) {
      this.#forkRound = fork.round
      this.#init.onEvent?.({ kind: 'fork', round: fork.round, branches: fork.branches.length })
    }
    // one that went on would put its state in the place of the verdict's; the next look sees whether it had come to an
    // end
    if (isFinal(judgement) && this.#evaluation !== undefined) await this.#cancelEvaluation()
    else if (isFinal(judgement)) await this.#end(judgement, signal)
    else if (evaluate !== undefined && this.#mayEvaluate(evaluate, now))
      this.#beginEvaluation(evaluate, signal)
  }

  #mayEvaluate({ root }: StateName, now: number): boolean {
    return this.#evaluation === undefined && (root !== this.#failed.root || now >= this.#failed.retryAtMs)
  }

  #beginEvaluation(name: StateName, signal: AbortSignal): void {
    const cancel = new AbortController()
    const done = this.#evaluate(name, AbortSignal.any([signal, cancel.signal])).finally(() => {
      this.#evaluation = undefined
    })
    this.#evaluation = { cancel, done }
  }

  async #cancelEvaluation(): Promise<void> {
    this.#evaluation?.cancel.abort()
    await this.#evaluation?.done
  }

  async #evaluate(name: StateName, signal: AbortSignal): Promise<void> {
    const { measure, jobs, job, clock, epochMs, onEvent } = this.#init
    try {
      const startedMs = clock.now()
      const state = await this.#fetch(name, signal)
      const measurement = await measure(state.parameters, { signal })
      this.#record.evaluated({ ...name, ...measurement })
      const { loss, accuracy } = measurement
      await jobs.publishStatement({
        kind: statementKind.evaluation,
        job,
        at: epochMs(),
        ...name,
        loss: Number.isFinite(loss) ? loss : null,
        accuracy,
      })
      if (bestEvaluation(this.#record)?.root === name.root) await this.#keep(name.root, state)
      onEvent?.({ kind: 'evaluated', state: name, measurement, seconds: (clock.now() - startedMs) / 1000 })
    } catch (error) {
      if (signal.aborted) return
      this.#noteFailure(name.root)
      onEvent?.({ kind: 'evaluation-failed', state: name, error })
    }
  }

  #noteFailure(root: string): void {
    const times = root === this.#failed.root ? this.#failed.times + 1 : 1
    const waitMs = Math.min(retryMsMax, retryMsMin * 2 ** (times - 1))
    this.#failed = { root, times, retryAtMs: this.#init.clock.now() + waitMs }
  }

  /** The verdict is told once the state that it names is safe, so that whoever hears it finds the state here. */
  async #end(judgement: Judgement, signal: AbortSignal): Promise<void> {
    const { jobs, job, epochMs, onEvent } = this.#init
    const { state, value } = judgement
    if (state !== null && state.root !== this.#keptRoot) {
      try {
        await this.#keep(state.root, await this.#fetch(state, signal))
      } catch (error) {
        signal.throwIfAborted()
        onEvent?.({ kind: 'evaluation-failed', state, error })
      }
    }
    if (this.#ended !== undefined) return // somebody else was first
    const statement: Verdict = {
      kind: statementKind.verdict,
      job,
      at: epochMs(),
      ...judgement,
      value: value !== null && Number.isFinite(value) ? value : null,
    }
    await jobs.publishStatement(statement)
    this.#ended ??= statement
    onEvent?.({ kind: 'ended', verdict: statement })
  }

  async #keep(root: string, state: State): Promise<void> {
    await this.#init.keep(root, state)
    this.#keptRoot = root
  }

  async #fetch({ root }: StateName, signal: AbortSignal): Promise<State> {
    const { blocks, clock, expected, first } = this.#init
    if (root === first.root) return first.state()
    const deadline = new AbortController()
    const stopTimer = clock.setTimer(fetchMsMax, () =>
      deadline.abort(
        new SwarmError('TIMEOUT', `state ${root} did not arrive in time`, { retry: 'other-peer' }),
      ),
    )
    const holders = [...this.#record.supported].find(({ state }) => state.root === root)
    try {
      return await fetchState(
        { blocks, root, peers: [...(holders?.peers ?? [])], expected },
        { signal: AbortSignal.any([signal, deadline.signal]) },
      )
    } finally {
      stopTimer()
    }
  }
}
