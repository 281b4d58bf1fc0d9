/**
 * The codecs there are, by name. A new one is a coding in a file of its own, a number that nothing else ever had, and a
 * row here.
 *
 * A job's codec is the finest that its peers use: one with a slow uplink may code its own updates more coarsely, and a
 * reducer decodes whatever it gets. Means are always in the job's own coding.
 */

import { SwarmError } from '../../core/errors.ts'
import { arithmetic } from './arithmetic.ts'
import { type Codec, type CodecName, type Coding, type CodingName, codecNames } from './codec.ts'
import { f16 } from './f16.ts'
import { f32 } from './f32.ts'
import { int4 } from './int4.ts'
import { int8 } from './int8.ts'
import { sparse } from './sparse.ts'
import { keptDefault, topk } from './topk.ts'

export { type Codec, type CodecName, type Coding, type CodingName, codecNames } from './codec.ts'

/** The first byte of everything coded. Written out: the order of a list must not decide what bytes mean. */
const codingIds: { [Name in CodingName]: number } = { f32: 1, f16: 2, int8: 3, int4: 4, topk: 5, sparse: 6 }

const codings: { [Name in CodingName]: Coding } = {
  f32,
  f16,
  int8: int8(arithmetic),
  int4: int4(arithmetic),
  topk: topk(keptDefault),
  sparse,
}

/** The coding called `name`, without the id in front. */
export function codingFor(name: CodingName): Coding {
  return codings[name]
}

export interface CodecOptions {
  /** Of `topk`: values kept of each 4,096. Readers need not know it. */
  kept?: number | undefined
}

/** The codec called `name`. @throws {SwarmError} JOB_INVALID when there is none. */
export function codecFor(name: string, { kept = keptDefault }: CodecOptions = {}): Codec {
  const place = (codecNames as readonly string[]).indexOf(name)
  const known = codecNames[place]
  if (known === undefined)
    throw new SwarmError('JOB_INVALID', `unknown codec "${name}"`, {
      hint: `Use ${codecNames.slice(0, -1).join(', ')} or ${codecNames.at(-1)}.`,
    })
  const mean = known === 'topk' ? sparse : codings[known]
  return codecOf(known, known === 'topk' ? topk(kept) : codings[known], mean, codecNames.slice(place))
}

function codecOf(name: CodecName, update: Coding, mean: Coding, updates: readonly CodecName[]): Codec {
  const readable = [...new Set([...updates.map((each) => codings[each]), mean])]
  const byId = new Map(readable.map((coding) => [codingIds[coding.name], coding]))
  /** Long enough that partial blocks do not count. */
  const sample = 1 << 20
  const codingOf = ([id = 0]: Uint8Array): Coding => {
    const coding = byId.get(id)
    if (coding === undefined)
      throw new SwarmError('PART_INVALID', `coding ${id} is not one of this job, which uses ${name}`)
    return coding
  }
  return {
    name,
    bytesPerElement: update.encodedBytes(sample) / sample,
    meanBytesPerElement: mean.encodedBytes(sample) / sample,
    encodedBytes: (length) => 1 + Math.max(...readable.map((coding) => coding.encodedBytes(length))),
    encode: (values, into) => withId(update, values, into),
    encodeMean: (values) => withId(mean, values),
    decode: (bytes, into) => codingOf(bytes).decode(bytes.subarray(1), into),
    bound: (bytes, length) => codingOf(bytes).bound?.(bytes.subarray(1), length),
  }
}

function withId(coding: Coding, values: Float32Array, into?: Uint8Array): Uint8Array {
  const bytes = coding.encode(values, 1, into)
  bytes[0] = codingIds[coding.name]
  return bytes
}
