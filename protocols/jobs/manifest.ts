/**
 * The manifest: what an owner signs, and all that a peer needs to know to take part in a run.
 *
 * Encoded as dag-cbor, whose bytes are canonical; the job's id is the CID of those bytes. Everything in it is data with
 * a limit: no code, no addresses, no unknown fields. A decoded manifest has passed every check that needs neither a
 * signature nor a clock; those two are in signed.ts.
 */

import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import * as z from 'zod'
import { assert } from '../core/assert.ts'
import { SwarmError } from '../core/errors.ts'
import { jobBytesMax, jobLifetimeMsMax, manifestBytesMax } from '../core/limits.ts'
import { crossChecks } from './cross-checks.ts'
import { type Problem, pathText, problemsOf } from './problems.ts'
import {
  cidSchema,
  convergenceSchema,
  descriptionSchema,
  integer,
  jobNameSchema,
  modelShape,
  outerDefault,
  peerIdSchema,
  swarmSchema,
  type TrainingPlan,
  trainSchema,
} from './spec.ts'

const manifestSchema = z.strictObject({
  v: z.literal(1),
  name: jobNameSchema,
  description: descriptionSchema.optional(),
  /** Peer id whose key signs this manifest and may stop the job. */
  owner: peerIdSchema,
  /** Peer ids whose verdicts count. */
  coordinators: z.array(peerIdSchema).min(1).max(8),
  model: z.strictObject({
    /** Names the ONNX file's index block. */
    cid: cidSchema,
    bytes: integer(1, jobBytesMax),
    ...modelShape,
  }),
  data: z.strictObject({
    /** Names the data set's index block (data/data-index.ts). */
    cid: cidSchema,
    /** Of all blocks. */
    bytes: integer(1, jobBytesMax),
    /**
     * `images`: u8 pixels scaled to [0, 1]; `text`: windows of token ids, labelled with the next token; `arrays`:
     * numbers, an array for each input and one of labels.
     */
    kind: z.enum(['images', 'text', 'arrays']),
    /**
     * Shape of one sample: `[28, 28]`, or `[context]` for text; absent for arrays, each of which has its own in the
     * index.
     */
    sampleShape: z
      .array(integer(1, 1 << 16))
      .min(1)
      .max(4)
      .optional(),
    /** Labels are 0 … classes − 1; for text the size of the vocabulary. */
    classes: integer(1, 1 << 24),
    /** Samples of the training split. */
    trainCount: integer(1, 2 ** 32 - 1),
    /** Samples of the validation split. */
    validationCount: integer(1, 2 ** 32 - 1),
  }),
  train: trainSchema,
  swarm: swarmSchema,
  convergence: convergenceSchema,
  /** What the owner promises a donor. */
  limits: z.strictObject({
    /** The most bytes of model and data that a peer has to fetch. */
    downloadBytes: integer(1, jobBytesMax),
  }),
  /** Milliseconds since 1970, UTC. */
  created: integer(0, Number.MAX_SAFE_INTEGER),
  /** From this time on every peer refuses the job. Milliseconds since 1970, UTC. */
  expires: integer(0, Number.MAX_SAFE_INTEGER),
  /** Makes two launches of one job file two jobs. 8 to 32 bytes. */
  nonce: z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length >= 8 && value.length <= 32,
    'must be 8 to 32 bytes',
  ),
})

/** A job as its owner signed it. Treat as immutable. */
export type Manifest = z.infer<typeof manifestSchema>

/** What {@link createManifest} takes: the owner's plan with the blocks and times of this launch. */
export interface ManifestInit
  extends Omit<TrainingPlan, 'model'>,
    Pick<
      Manifest,
      'name' | 'description' | 'owner' | 'coordinators' | 'model' | 'data' | 'created' | 'expires' | 'nonce'
    > {}

/**
 * A checked manifest. An outer optimizer is filled in when the plan has several local steps and names none.
 * @throws {SwarmError} JOB_INVALID naming every problem.
 */
export function createManifest(init: ManifestInit): Manifest {
  const outer = init.swarm.outer ?? (init.train.localSteps !== 1 ? outerDefault(init.swarm) : undefined)
  return checkManifest(
    withoutUndefined({
      ...init,
      v: 1,
      swarm: { ...init.swarm, outer },
      limits: { downloadBytes: init.model.bytes + init.data.bytes },
    }),
  )
}

/** The canonical bytes of `manifest`: what is signed and hashed. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  const bytes = dagCbor.encode(manifest)
  assert(bytes.length <= manifestBytesMax, 'the schema bounds every field of a manifest')
  return bytes
}

/**
 * Reads a manifest from anybody.
 * @throws {SwarmError} MESSAGE_TOO_LARGE before decoding; JOB_INVALID naming every problem, or when the bytes are not
 * the canonical ones, since then two ids would name one job.
 */
export function decodeManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > manifestBytesMax) {
    throw new SwarmError(
      'MESSAGE_TOO_LARGE',
      `a manifest of ${bytes.length} bytes is over ${manifestBytesMax}`,
    )
  }
  let value: unknown
  try {
    value = dagCbor.decode(bytes)
  } catch (cause) {
    throw new SwarmError('JOB_INVALID', 'the manifest is not dag-cbor', { cause })
  }
  const manifest = checkManifest(value)
  if (!equalBytes(dagCbor.encode(manifest), bytes)) {
    throw new SwarmError('JOB_INVALID', 'the manifest is not in its canonical form')
  }
  return manifest
}

/** The id of the job that `manifestBytes` describe: a CID, as text. */
export async function jobIdOf(manifestBytes: Uint8Array): Promise<string> {
  return CID.createV1(dagCbor.code, await sha256.digest(manifestBytes)).toString()
}

function checkManifest(value: unknown): Manifest {
  const parsed = manifestSchema.safeParse(value)
  if (!parsed.success) throw invalid(problemsOf(parsed.error.issues, value))
  const problems = [...crossChecks(parsed.data), ...manifestChecks(parsed.data)]
  if (problems.length > 0) throw invalid(problems)
  return parsed.data
}

function manifestChecks(manifest: Manifest): Problem[] {
  const { model, data, limits, train, swarm, created, expires } = manifest
  const problems: Problem[] = []
  const add = (path: string, message: string) => problems.push({ path: path.split('.'), message })
  if (model.bytes + data.bytes > limits.downloadBytes)
    add('limits.downloadBytes', `${limits.downloadBytes} is less than model and data together`)
  if ((data.kind === 'arrays') !== (data.sampleShape === undefined))
    add('data.sampleShape', data.kind === 'arrays' ? 'has no use with arrays' : 'is missing')
  if (train.localSteps !== 1 && swarm.outer === undefined) add('swarm.outer', 'is missing')
  if (expires <= created) add('expires', 'is not after created')
  if (expires - created > jobLifetimeMsMax)
    add('expires', `is more than ${jobLifetimeMsMax} ms after created`)
  return problems
}

function invalid(problems: readonly Problem[]): SwarmError {
  const lines = problems.map(({ path, message }) => `${pathText(path)} ${message}`)
  return new SwarmError('JOB_INVALID', `the manifest is not valid: ${lines.join('; ')}`)
}

/** dag-cbor has no `undefined`; an absent key is written as no key. */
function withoutUndefined(value: object): object {
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, isPlainObject(item) ? withoutUndefined(item) : item]),
  )
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
