/**
 * What a donor is shown of a job before giving anything: who owns it, what it computes and what it will cost.
 *
 * A card is the donor's part of a manifest as plain JSON. The server of the donor page hands it out, so that the page
 * can tell before its first click what it would take 80 KB of libraries to verify; the peer that starts after the click
 * opens the signed manifest itself, and the page stops when the two differ. This file loads nothing, to be small in the
 * page.
 */

import { SwarmError } from '../core/errors.ts'
import type { Manifest } from './manifest.ts'
import type { SignedJob } from './signed.ts'

/** A job in a donor's words. Times are milliseconds since 1970, UTC; sizes are bytes. */
export interface JobCard {
  /** CID of the manifest. */
  job: string
  name: string
  /** The owner's paragraph for donors. */
  description: string | null
  /** Peer id of the owner who signed the manifest. */
  owner: string
  created: number
  /** From then on every peer refuses the job. */
  expires: number
  modelBytes: number
  dataBytes: number
  /** What a sample is. */
  dataKind: Manifest['data']['kind']
  /** Peers that must be there before the run starts. */
  peersMin: number
  roundsMax: number
  minutesMax: number
  /** Held-out loss, or else accuracy from 0 to 1, at which the run has converged; `null` for what is not the target. */
  targetLoss: number | null
  targetAccuracy: number | null
  /** How updates are coded on the wire. */
  codec: string
}

/** Where the server of the donor page answers with the card of `job`, relative to the page. */
export function jobCardPath(job: string): string {
  return `jobs/${encodeURIComponent(job)}.json`
}

/** The card of a job whose manifest was opened. */
export function jobCard({ job, manifest }: Pick<SignedJob, 'job' | 'manifest'>): JobCard {
  const { metric, target = null } = manifest.convergence
  return {
    job,
    name: manifest.name,
    description: manifest.description ?? null,
    owner: manifest.owner,
    created: manifest.created,
    expires: manifest.expires,
    modelBytes: manifest.model.bytes,
    dataBytes: manifest.data.bytes,
    dataKind: manifest.data.kind,
    peersMin: manifest.swarm.minPeers,
    roundsMax: manifest.convergence.maxRounds,
    minutesMax: manifest.convergence.maxMinutes,
    targetLoss: metric === 'val_loss' ? target : null,
    targetAccuracy: metric === 'val_accuracy' ? target : null,
    codec: manifest.swarm.codec,
  }
}

/** Text of a card is cut here, as the manifest's own limits do: 500 characters of description are the longest field. */
const textLengthMax = 500

/**
 * Reads a card that came over the network. Checked by hand: a schema library would be half of the page before the
 * click.
 * @throws {SwarmError} MESSAGE_INVALID naming the first field that is missing or wrong.
 */
export function decodeJobCard(value: unknown): JobCard {
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  const text = (name: string): string => {
    const found = fields[name]
    if (typeof found === 'string' && found.length <= textLengthMax) return found
    throw invalid(name, `text of at most ${textLengthMax} characters`)
  }
  const amount = (name: string): number => {
    const found = fields[name]
    if (typeof found === 'number' && Number.isFinite(found) && found >= 0) return found
    throw invalid(name, 'a number from 0 up')
  }
  const dataKind = text('dataKind')
  if (dataKind !== 'images' && dataKind !== 'text' && dataKind !== 'arrays')
    throw invalid('dataKind', 'images, text or arrays')
  return {
    job: text('job'),
    name: text('name'),
    description: fields.description === null ? null : text('description'),
    owner: text('owner'),
    created: amount('created'),
    expires: amount('expires'),
    modelBytes: amount('modelBytes'),
    dataBytes: amount('dataBytes'),
    dataKind,
    peersMin: amount('peersMin'),
    roundsMax: amount('roundsMax'),
    minutesMax: amount('minutesMax'),
    targetLoss: fields.targetLoss === null ? null : amount('targetLoss'),
    targetAccuracy: fields.targetAccuracy === null ? null : amount('targetAccuracy'),
    codec: text('codec'),
  }
}

function invalid(name: string, wanted: string): SwarmError {
  return new SwarmError('MESSAGE_INVALID', `the job's card has no ${name} that is ${wanted}`)
}
