/**
 * The state of a run: what every peer that committed round `r - 1` holds bit-identically before round `r`.
 *
 *     index block (dag-cbor)                    raw blocks, blockBytesMax each, the last one shorter
 *     { v, job, round, weight, electorate,      ┌──────────────┬──────────────┬─────┐
 *       leases, ahead, parameters, outer,       │ chunk 0      │ chunk 1      │ ... │  f32 little-endian:
 *       chunks: [CID, CID, ...] }  ───────────▶ └──────────────┴──────────────┴─────┘  parameters, then outer state
 *
 * The *root* is the CID of the index block, a Merkle root over parameters, outer optimizer state, the electorate and
 * the leases. Peers with one root therefore agree on everything that a round starts from, and a newcomer can fetch the
 * state from anybody, chunk by chunk, and check every byte. Inner optimizer state is local and is not part of it.
 */

import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { assert } from '../core/assert.ts'
import { SwarmError } from '../core/errors.ts'
import { blockBytesMax, localStepsMax, parametersMax, runPeersMax } from '../core/limits.ts'
import type { Leases } from './leases.ts'

/** The state as a training peer holds it. Both arrays belong to the holder. */
export interface State {
  /** CID of the job's manifest, as text. */
  job: string
  round: number
  /** Samples behind all committed updates so far. */
  weight: number
  /** Ids of the peers that hold this state by agreement, sorted; empty before the first round. */
  electorate: readonly string[]
  /** Who trains on what in this round. */
  leases: Leases
  /** The same of the next round, in jobs whose peers begin it while this one's parts travel. */
  ahead: Leases | null
  /** f32[parameterCount], in the model's parameter order. */
  parameters: Float32Array
  /** f32[...]: the outer optimizer's state; its length depends on the optimizer. */
  outer: Float32Array
}

/** A state as blocks: `root` is the CID of the index block, `blocks` holds it and every chunk by CID text. */
export interface EncodedState {
  root: CID
  blocks: ReadonlyMap<string, Uint8Array>
}

interface StateIndex extends Omit<State, 'parameters' | 'outer'> {
  v: 2
  parameters: number
  outer: number
  chunks: CID[]
}

/** Encodes `state`, copying its arrays once, so that training may go on while others fetch the blocks. */
export async function encodeState(state: State): Promise<EncodedState> {
  const { parameters, outer, ...rest } = state
  const bytes = new Uint8Array((parameters.length + outer.length) * 4)
  bytes.set(asBytes(parameters))
  bytes.set(asBytes(outer), parameters.byteLength)

  const blocks = new Map<string, Uint8Array>()
  const chunks: CID[] = []
  for (let start = 0; start < bytes.length; start += blockBytesMax) {
    const chunk = bytes.subarray(start, start + blockBytesMax)
    const cid = CID.createV1(raw.code, await sha256.digest(chunk))
    chunks.push(cid)
    blocks.set(cid.toString(), chunk)
  }
  const index: StateIndex = {
    v: 2,
    ...rest,
    electorate: [...state.electorate],
    leases: encodeLeases(state.leases),
    ahead: state.ahead && encodeLeases(state.ahead),
    parameters: parameters.length,
    outer: outer.length,
    chunks,
  }
  const indexBytes = dagCbor.encode(index)
  const root = CID.createV1(dagCbor.code, await sha256.digest(indexBytes))
  blocks.set(root.toString(), indexBytes)
  return { root, blocks }
}

/**
 * The chunks that an index block names, for fetching. `bytes` must already match its CID.
 * @throws {SwarmError} STATE_MISMATCH when it is not a state of `expected`.
 */
export function readStateIndex(bytes: Uint8Array, expected: ExpectedState): StateIndex {
  const index = decodeIndex(bytes)
  const complain = (what: string): never => {
    throw new SwarmError('STATE_MISMATCH', `the state a peer serves is not one of this run: ${what}`, {
      retry: 'other-peer',
    })
  }
  if (index.job !== expected.job) complain(`it names job ${index.job}, not ${expected.job}`)
  if (index.parameters !== expected.parameters)
    complain(`it has ${index.parameters} parameters, the model has ${expected.parameters}`)
  if (index.outer !== expected.outer)
    complain(`its outer state has ${index.outer} numbers, the job's optimizer keeps ${expected.outer}`)
  const chunkCount = Math.ceil(((index.parameters + index.outer) * 4) / blockBytesMax)
  if (index.chunks.length !== chunkCount)
    complain(`it lists ${index.chunks.length} chunks instead of ${chunkCount}`)
  return index
}

/**
 * CIDs of the chunks that an index block names, of whatever run it is. @throws {SwarmError} STATE_MISMATCH when it is
 * none.
 */
export function stateChunks(bytes: Uint8Array): string[] {
  return decodeIndex(bytes).chunks.map((chunk) => chunk.toString())
}

/** What the job says a state of its run looks like. */
export interface ExpectedState {
  job: string
  /** Number of parameters. */
  parameters: number
  /** Length of the outer optimizer's state. */
  outer: number
}

/**
 * Puts a state together from its verified blocks.
 * @throws {SwarmError} STATE_MISMATCH when the chunks do not add up to what the index says.
 */
export function decodeState(index: StateIndex, chunks: readonly Uint8Array[]): State {
  const bytes = new Uint8Array((index.parameters + index.outer) * 4)
  let offset = 0
  for (const chunk of chunks) {
    if (offset + chunk.length > bytes.length) break
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  if (offset !== bytes.length) {
    throw new SwarmError('STATE_MISMATCH', `the chunks of state ${index.round} do not add up to its length`, {
      retry: 'other-peer',
    })
  }
  const values = new Float32Array(bytes.buffer)
  const { job, round, weight, electorate, leases, ahead } = index
  return {
    job,
    round,
    weight,
    electorate,
    leases,
    ahead,
    parameters: values.subarray(0, index.parameters),
    outer: values.slice(index.parameters),
  }
}

function decodeIndex(bytes: Uint8Array): StateIndex {
  let value: unknown
  try {
    value = dagCbor.decode(bytes)
  } catch (cause) {
    throw new SwarmError('STATE_MISMATCH', 'the index of a state is not dag-cbor', {
      cause,
      retry: 'other-peer',
    })
  }
  if (!isStateIndex(value)) {
    throw new SwarmError('STATE_MISMATCH', 'the index of a state has missing or malformed fields', {
      retry: 'other-peer',
    })
  }
  return value
}

function isStateIndex(value: unknown): value is StateIndex {
  if (typeof value !== 'object' || value === null) return false
  const index = value as Record<string, unknown>
  return (
    index.v === 2 &&
    typeof index.job === 'string' &&
    isCount(index.round) &&
    isCount(index.weight) &&
    isCount(index.parameters) &&
    isCount(index.outer) &&
    index.parameters + index.outer <= 4 * parametersMax &&
    isPeerList(index.electorate) &&
    isLeases(index.leases) &&
    (index.ahead === null || isLeases(index.ahead)) &&
    Array.isArray(index.chunks) &&
    index.chunks.every((chunk) => CID.asCID(chunk) !== null)
  )
}

/** The keys of `leases`, whose object may have others. */
function encodeLeases({ cursor, firstStep, steps, holders, rates }: Leases): Leases {
  return { cursor, firstStep, steps, holders: [...holders], rates: [...rates] }
}

function isLeases(value: unknown): value is Leases {
  if (typeof value !== 'object' || value === null) return false
  const { cursor, firstStep, steps, holders, rates } = value as Record<string, unknown>
  return (
    isCount(cursor) &&
    isCount(firstStep) &&
    isCount(steps) &&
    steps >= 1 &&
    steps <= localStepsMax &&
    isPeerList(holders) &&
    Array.isArray(rates) &&
    rates.length === holders.length &&
    rates.every((rate) => typeof rate === 'number' && rate >= 0 && rate < Number.POSITIVE_INFINITY)
  )
}

function isPeerList(value: unknown): value is string[] {
  return (
    Array.isArray(value) && value.length <= runPeersMax && value.every((peer) => typeof peer === 'string')
  )
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function asBytes(values: Float32Array): Uint8Array {
  assert(isLittleEndian, 'Starling stores f32 as the machine does, which must be little-endian')
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
