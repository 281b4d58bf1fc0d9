/**
 * What is said about a running job under a signature: a coordinator's measurements and verdicts, and the owner's stop.
 *
 * They are signed themselves, not only the gossip that carries them, so that anybody may pass them on: a peer that
 * comes late, or a coordinator that comes back, learns them from any other peer. `kind` is the tag on the wire.
 */

import * as z from 'zod'
import { cidSchema, integer } from './spec.ts'

const roundSchema = integer(0, 2 ** 32 - 1)
/** Milliseconds since 1970, UTC, by the signer's clock. */
const timeSchema = integer(0, Number.MAX_SAFE_INTEGER)
/** One or two sentences for people. */
const reasonSchema = z.string().max(500)

const common = { job: cidSchema, at: timeSchema }

/** How an agreed state does on the validation split. */
const evaluationSchema = z.strictObject({
  kind: z.literal(1),
  ...common,
  /** The state that was measured. */
  round: roundSchema,
  root: cidSchema,
  /** Mean over the predictions; `null` when it is not finite. */
  loss: z.number().nullable(),
  /** Share of right answers, 0 to 1; `null` where the loss knows no classes. */
  accuracy: z.number().min(0).max(1).nullable(),
})

/** Whether the run goes on. Every verdict but `continue` is final. */
const verdictSchema = z.strictObject({
  kind: z.literal(2),
  ...common,
  verdict: z.enum(['continue', 'converged', 'plateaued', 'diverged', 'out-of-budget']),
  reason: reasonSchema,
  /** The state worth keeping; `null` when none was agreed. */
  state: z.strictObject({ round: roundSchema, root: cidSchema }).nullable(),
  /** The job's metric at `state`; `null` when it was not measured or is not finite. */
  value: z.number().nullable(),
  /** Rounds committed so far. */
  rounds: roundSchema,
})

/** The owner ends the job. */
const stopSchema = z.strictObject({ kind: z.literal(3), ...common, reason: reasonSchema })

/** Any of them, as they travel. */
export const statementSchema = z.discriminatedUnion('kind', [evaluationSchema, verdictSchema, stopSchema])

export const statementKind = { evaluation: 1, verdict: 2, stop: 3 } as const

export type Evaluation = z.infer<typeof evaluationSchema>
export type Verdict = z.infer<typeof verdictSchema>
export type Stop = z.infer<typeof stopSchema>
export type Statement = Evaluation | Verdict | Stop

/**
 * The reason of the `continue` by which a coordinator says that the owner may go. The reason of any other `continue` is
 * what keeps the coordinator from measuring.
 */
export const watchingReason = 'the coordinator holds the model and the data, and watches the run'

/** True for a verdict that ends the run. */
export function isFinal({ verdict }: Pick<Verdict, 'verdict'>): boolean {
  return verdict !== 'continue'
}
