/**
 * Chooses a backend by timing the job's own step on each candidate, because nothing else tells: a graphics processor
 * wins or loses against a CPU by the model, the batch, the driver and what else the machine does.
 *
 * Candidates are tried in the caller's order, the ones that open fastest first. Timing ends early when a step takes
 * less than {@link enoughMs}, so that a small model waits for nothing. A run cannot be interrupted; what is bounded is
 * that no further one begins once a candidate has had its time.
 */
import { SwarmError } from '../../protocols/core/errors.ts'
import type { Backend, BackendName } from './backend.ts'

export interface Candidate {
  readonly name: BackendName
  /** @throws {SwarmError} BACKEND_FAILED when this machine does not have it. */
  open(): Promise<Backend>
  /** Tried only when none before it works. */
  readonly isLastResort?: boolean
}

/** What is timed: the job on one backend. */
export interface Contestant {
  /** Runs one step of the job on made-up samples. */
  step(signal: AbortSignal | undefined): Promise<void>
  release(): Promise<void>
}

/** `stepMs`: the fastest step after the first. `failure`: why there is none. */
export type Timing =
  | { readonly backend: BackendName; readonly stepMs: number }
  | { readonly backend: BackendName; readonly failure: SwarmError }

export interface Choice<Kept> {
  readonly backend: Backend
  /** What was prepared on that backend; the others' is released. */
  readonly contestant: Kept
  /** In the order of trying; empty when there was nothing to compare. */
  readonly timings: readonly Timing[]
}

export interface ChooseOptions<Kept> {
  /** Makes the job ready on a backend that has opened. */
  prepare(backend: Backend): Promise<Kept>
  /** Milliseconds since any start. */
  now(): number
  /** Time for one candidate's steps. Default {@link timingMs}. */
  budgetMs?: number
  onTiming?: (timing: Timing) => void
  signal?: AbortSignal
}

/**
 * A step on a graphics processor is a hundred dispatches or more: below this, none of them has caught up (a few ms
 * measured).
 */
const enoughMs = 5

/** Steps of one candidate, after one that is not counted: shaders are compiled and memory is taken in it. */
const stepsMax = 3

/** What a donor waits for on top of opening: with two candidates, at most about two steps and two seconds. */
const timingMs = 1_000

/**
 * `candidates` where the one called `preferred` won before: it comes first, and the others only if it fails, so nothing
 * is timed. The same as they were where it is not among them.
 */
export function preferring(
  candidates: readonly Candidate[],
  preferred: BackendName | undefined,
): readonly Candidate[] {
  const known = candidates.find(({ name }) => name === preferred)
  if (known === undefined) return candidates
  const others = candidates.filter((candidate) => candidate !== known)
  return [known, ...others.map((other) => ({ ...other, isLastResort: true }))]
}

/**
 * The fastest of `candidates`, at least one, with the job prepared on it.
 * @throws {SwarmError} the first candidate's, when none works. What is no `SwarmError` is a bug, and passes.
 */
export async function chooseBackend<Kept extends Contestant>(
  candidates: readonly Candidate[],
  options: ChooseOptions<Kept>,
): Promise<Choice<Kept>> {
  const timings: Timing[] = []
  let best: { backend: Backend; contestant: Kept; stepMs: number } | undefined
  const note = (timing: Timing) => {
    timings.push(timing)
    options.onTiming?.(timing)
  }
  for (const [index, candidate] of candidates.entries()) {
    if (best !== undefined && (best.stepMs < enoughMs || candidate.isLastResort)) continue
    const isRival = ({ isLastResort }: Candidate) => !isLastResort
    const hasRivals = best !== undefined || candidates.slice(index + 1).some(isRival)
    try {
      const tried = await tryOut(candidate, hasRivals, options)
      if (hasRivals) note({ backend: candidate.name, stepMs: tried.stepMs })
      const isSlower = best !== undefined && best.stepMs <= tried.stepMs
      await (isSlower ? tried : best)?.contestant.release()
      if (!isSlower) best = tried
    } catch (error) {
      if (options.signal?.aborted || !(error instanceof SwarmError)) {
        await best?.contestant.release()
        throw error
      }
      note({ backend: candidate.name, failure: error })
    }
  }
  if (best !== undefined) return { backend: best.backend, contestant: best.contestant, timings }
  throw failureIn(timings)
}

async function tryOut<Kept extends Contestant>(
  candidate: Candidate,
  hasRivals: boolean,
  options: ChooseOptions<Kept>,
): Promise<{ backend: Backend; contestant: Kept; stepMs: number }> {
  options.signal?.throwIfAborted()
  const backend = await candidate.open()
  const contestant = await options.prepare(backend)
  try {
    const stepMs = hasRivals ? await fastestStepMs(contestant, options) : 0
    return { backend, contestant, stepMs }
  } catch (error) {
    await contestant.release()
    throw error
  }
}

async function fastestStepMs<Kept extends Contestant>(
  contestant: Kept,
  { now, budgetMs = timingMs, signal }: ChooseOptions<Kept>,
): Promise<number> {
  const startedMs = now()
  const timed = async () => {
    signal?.throwIfAborted()
    const beganMs = now()
    await contestant.step(signal)
    return now() - beganMs
  }
  const firstMs = await timed()
  let fastestMs = Number.POSITIVE_INFINITY
  for (let step = 0; step < stepsMax && now() - startedMs < budgetMs; step++) {
    fastestMs = Math.min(fastestMs, await timed())
  }
  return Math.min(fastestMs, firstMs)
}

function failureIn(timings: readonly Timing[]): SwarmError {
  const failures = timings.flatMap((timing) => ('failure' in timing ? [timing.failure] : []))
  return failures[0] ?? new SwarmError('BACKEND_FAILED', 'no backend to choose from', { hint: 'Allow one.' })
}
