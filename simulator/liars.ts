/**
 * Peers that lie, by name: what one says in the place of a message of its machine, which itself is honest. Each tells
 * the truth in the founding round, and lies in every round after it, as often as its machine gives it the word.
 *
 * What the others make of it is the business of the tests; `docs/protocols.md` says what each can do and cannot.
 */

import { leaderOrder } from '../protocols/allreduce/plan/electorate.ts'
import { newBitmap } from '../protocols/allreduce/plan/parts.ts'
import type {
  Accepted,
  Message,
  Part,
  Prepare,
  Result,
  Seal,
  Sum,
} from '../protocols/allreduce/round/vocabulary.ts'
import { attemptsMax } from '../protocols/core/limits.ts'

/** What a liar says to `to`, in this order, in the place of `message`; nothing when the list is empty. */
type Tongue = (to: string, message: Message) => readonly Message[]

/** How peer `self` lies. */
export type Lie = (self: string) => Tongue

type Alter = (id: string, to: string, message: Message) => readonly Message[]

/** Rounds by which a liar claims to be ahead: far more than anybody keeps results of. */
const lead = 1_000

/** Words of a flood for each true one: a row's 31 links would be 1,600 at a time. */
const floodWords = 50

/** Seals that a liar makes up in one round: more than any struggle between leaders comes to. */
const seals = 64

/** The largest f32 there is, nearly: two of them overflow. */
const enormous = 3e38

const floats = (values: Float32Array): Uint8Array => new Uint8Array(values.buffer)

/** The values of an `f32` coding, each a little more than before; the first byte names the coding. */
function raised(bytes: Uint8Array, by: number): Uint8Array {
  const raisedBytes = bytes.slice()
  const view = new DataView(raisedBytes.buffer)
  for (let at = 1; at + 4 <= bytes.length; at += 4) view.setFloat32(at, view.getFloat32(at, true) + by, true)
  return raisedBytes
}

function madeUp(number: number): string {
  return number.toString(16).padStart(64, '0')
}

function sumOf(sum: Sum, value: number): Sum {
  return { ...sum, bytes: floats(new Float32Array(sum.bytes.length / 4).fill(value)) }
}

/** Says the parts of the round before under the names of this round's. */
function replay(): Tongue {
  const before = new Map<number, Uint8Array>()
  return (_, message) => {
    if (message.kind !== 'Part') return [message]
    const bytes = before.get(message.part) ?? message.bytes
    before.set(message.part, message.bytes)
    return [{ ...message, bytes }]
  }
}

/** Tells the leader the mean as it is: what it seals then, the others would have no room for. */
function otherMeans(self: string): Tongue {
  const mates = new Set([self])
  let root = ''
  return (to, message) => {
    if (message.kind === 'Hold') {
      mates.add(to)
      root = message.root
    }
    if (message.kind !== 'Result' || to === leaderOrder(root, [...mates])[0]) return [message]
    const others = [1, 2, 3, 4].map((by): Result => ({ ...message, bytes: raised(message.bytes, by) }))
    return [...others, message]
  }
}

/** Asks all for the highest ballot that there is, in rounds where that is its own: nobody has a higher one. */
export function highestBallot(self: string): Tongue {
  const mates = new Set([self])
  return (to, message) => {
    if (message.kind === 'Hold') mates.add(to)
    if (message.kind !== 'Commit') return [message]
    const { round, root } = message
    if (leaderOrder(root, [...mates])[attemptsMax % mates.size] !== self) return [message]
    const ballot = { attempt: attemptsMax, leader: self }
    return [message, { kind: 'Prepare', round, ballot } satisfies Prepare]
  }
}

const instead =
  <Kind extends Message['kind']>(
    kind: Kind,
    lie: (message: Extract<Message, { kind: Kind }>, to: string) => readonly Message[],
  ): Tongue =>
  (to, message) =>
    message.kind === kind ? lie(message as Extract<Message, { kind: Kind }>, to) : [message]

export const liars: Readonly<Record<string, Lie>> = {
  'values that are no numbers': () =>
    instead('Part', (part: Part) => [
      { ...part, bytes: part.bytes.map((byte, at) => (at === 0 ? byte : 255)) },
    ]),
  'a part of another length': () =>
    instead('Part', (part: Part) => [{ ...part, bytes: part.bytes.subarray(0, part.bytes.length - 4) }]),
  'other values than it committed to': () =>
    instead('Part', (part: Part) => [{ ...part, bytes: raised(part.bytes, 1e6) }]),
  'the parts of the round before': replay,
  'nothing of what it committed to': () => instead('Part', () => []),
  'no votes': () => instead('Accepted', () => []),
  'that it is a thousand rounds ahead': () => (_, message) =>
    message.kind === 'Hold' || message.kind === 'Commit'
      ? [{ ...message, round: message.round + lead, root: 'nowhere' }]
      : [message],
  'votes for seals that it made up': () =>
    instead('Hold', (hold) => [
      hold,
      ...Array.from({ length: seals }, (_, attempt): Accepted => {
        const sealDigest = madeUp(hold.round * seals + attempt)
        return { kind: 'Accepted', round: hold.round, ballot: { attempt, leader: 'peer-0' }, sealDigest }
      }),
    ]),
  'four other means before its own, to all but the leader': otherMeans,
  'another seal in the same ballot, many times': () =>
    instead('Seal', (seal) => {
      const others = Array.from(
        { length: seals },
        (_, number): Seal => ({ ...seal, digests: seal.digests.map(() => madeUp(number)) }),
      )
      return [seal, ...others]
    }),
  'each word fifty times': () => (_, message) => Array<Message>(floodWords).fill(message),
}

/** Liars that need rows to lie about. */
export const gridLiars: typeof liars = {
  'a sum of its row beyond all measure': () => instead('Sum', (sum) => [sumOf(sum, enormous)]),
  'a sum of nobody': () =>
    instead('Sum', (sum) => [{ ...sumOf(sum, 0), weight: 0, bitmap: newBitmap(8 * sum.bitmap.length) }]),
}

/** Has `self` lie: for `alterSent` of a swarm's options. `told`: how often it said something else than its machine. */
export function liarOf(self: string, lie: Lie): { alterSent: Alter; told(): number } {
  const tongue = lie(self)
  let told = 0
  const alterSent: Alter = (id, to, message) => {
    if (id !== self || !('round' in message) || message.round === 0) return [message]
    const said = tongue(to, message)
    if (said.length !== 1 || said[0] !== message) told++
    return said
  }
  return { alterSent, told: () => told }
}
