/**
 * A plan as a dag-cbor map: what travels, and what its id is the SHA-256 of. Columns of one field stand together, or
 * ten thousand peers would not fit a frame: about 100 bytes for each, half of them its id.
 */

import { encode as encodeCbor } from '@ipld/dag-cbor'
import { SwarmError } from '../../core/errors.ts'
import { type Fields, fromHex } from '../../core/fields.ts'
import {
  partsMax,
  planPeersMax,
  roundsMax,
  roundWeightMax,
  rowPeersMax,
  runPeersMax,
} from '../../core/limits.ts'
import { rowCountOf } from './grid.ts'
import { decodePace, encodePace } from './pace.ts'
import type { Plan, PlanLists, Reach, Seated } from './plan.ts'

/** Peers in one list of a plan: a full run, with as many guests as one row takes in. */
export const listedMax = runPeersMax + planPeersMax

/** Bytes per second: 1 Tbit/s, more than any link. */
export const bandwidthMax = 1.25e11

/** What a plan's id is the SHA-256 of: its canonical dag-cbor. */
export function planIdentity(plan: Plan): Uint8Array {
  return encodeCbor(encodePlan(plan))
}

/** Plans never change, and in a grid each comes to a peer by more than one way. */
const planIds = new WeakMap<Plan, string>()

/** The id of `plan`; `hash`: SHA-256 as lower-case hex. */
export function planIdOf(plan: Plan, hash: (bytes: Uint8Array) => string): string {
  const known = planIds.get(plan)
  if (known !== undefined) return known
  const planId = hash(planIdentity(plan))
  planIds.set(plan, planId)
  return planId
}

/** The canonical map of a plan. */
export function encodePlan(plan: Plan): Record<string, unknown> {
  return {
    round: plan.round,
    root: plan.root,
    seats: plan.seats,
    council: plan.council,
    ...encodeLists(plan),
    shares: plan.shares.map(({ firstPart, partCount, reducers }) => ({ firstPart, partCount, reducers })),
  }
}

/**
 * The plan in the fields of a received map.
 * @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong.
 */
export function decodePlan(f: Fields): Plan {
  return {
    round: f.integer('round', roundsMax),
    root: f.id('root'),
    seats: f.integer('seats', runPeersMax),
    council: f.ids('council', rowPeersMax),
    ...decodeLists(f, listedMax),
    shares: f.list('shares', partsMax, (s) => ({
      firstPart: s.integer('firstPart', partsMax),
      partCount: s.integer('partCount', partsMax),
      reducers: s.texts('reducers', rowCountOf(runPeersMax)),
    })),
  }
}

/** The lists of peers of a plan, or of one row's roster. */
export function encodeLists({ contributors, receivers, followers }: PlanLists): Record<string, unknown> {
  return {
    contributors: {
      ...encodeSeated(contributors),
      ...encodeReaches(contributors),
      weights: contributors.map(({ weight }) => weight),
      commits: fromHex(...contributors.map(({ commit }) => commit)),
      paces: contributors.map(({ pace }) => (pace === undefined ? null : encodePace(pace))),
    },
    receivers: {
      ...encodeSeated(receivers),
      ...encodeReaches(receivers),
      incarnations: receivers.map(({ incarnation }) => incarnation),
    },
    followers: encodeSeated(followers),
  }
}

/** @throws {SwarmError} MESSAGE_INVALID naming the field that is wrong. */
export function decodeLists(f: Fields, countMax: number): PlanLists {
  const contributors = f.nested('contributors')
  const receivers = f.nested('receivers')
  const weights = contributors.integers('weights', countMax, roundWeightMax)
  const commits = contributors.digests('commits', countMax)
  const paces = contributors.optionals('paces', countMax, (value) => decodePace(value.nested('paces')).pace)
  const incarnations = receivers.integers('incarnations', countMax, 2 ** 32)
  return {
    contributors: zip(decodeReached(contributors, countMax), 'weights', weights, (seated, weight, index) => ({
      ...seated,
      weight,
      commit: at('commits', commits, index),
      pace: at('paces', paces, index),
    })),
    receivers: zip(
      decodeReached(receivers, countMax),
      'incarnations',
      incarnations,
      (seated, incarnation) => ({
        ...seated,
        incarnation,
      }),
    ),
    followers: decodeSeated(f.nested('followers'), countMax),
  }
}

function encodeSeated(list: readonly Seated[]): Record<string, unknown> {
  return { peers: list.map(({ peer }) => peer), seats: list.map(({ seat }) => seat) }
}

function encodeReaches(list: readonly Reach[]): Record<string, unknown> {
  return {
    bandwidths: list.map(({ bandwidth }) => bandwidth ?? null),
    places: list.map(({ place }) => place ?? null),
  }
}

function decodeSeated(f: Fields, countMax: number): Seated[] {
  const seats = f.integers('seats', countMax, listedMax)
  return zip(f.ids('peers', countMax), 'seats', seats, (peer, seat) => ({ peer, seat }))
}

function decodeReached(f: Fields, countMax: number): (Seated & Reach)[] {
  const bandwidths = f.optionals('bandwidths', countMax, (value) =>
    value.quantity('bandwidths', bandwidthMax),
  )
  const places = f.optionals('places', countMax, (value) => value.place('places'))
  return decodeSeated(f, countMax).map((seated, index) => ({
    ...seated,
    bandwidth: at('bandwidths', bandwidths, index),
    place: at('places', places, index),
  }))
}

/** Joins two columns of one length. */
function zip<A, B, C>(
  list: readonly A[],
  name: string,
  values: readonly B[],
  join: (item: A, value: B, index: number) => C,
): C[] {
  if (list.length !== values.length) throw unequal(name)
  return list.map((item, index) => join(item, values[index]!, index))
}

function at<T>(name: string, values: readonly T[], index: number): T {
  if (index >= values.length) throw unequal(name)
  return values[index]!
}

function unequal(name: string): SwarmError {
  return new SwarmError('MESSAGE_INVALID', `field "${name}" does not have one entry for each peer`)
}
