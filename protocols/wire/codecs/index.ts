/** The codecs there are, by name. A new one is a file and a row here. */

import { SwarmError } from '../../core/errors.ts'
import type { Codec, CodecName } from './codec.ts'
import { f32 } from './f32.ts'
import { int8 } from './int8.ts'

export type { Codec, CodecName } from './codec.ts'

const codecs: { [Name in CodecName]: Codec } = { f32, int8 }

/** Names of all codecs, for schemas. */
export const codecNames = Object.keys(codecs) as CodecName[]

/** The codec called `name`. @throws {SwarmError} JOB_INVALID when there is none. */
export function codecFor(name: string): Codec {
  const codec = Object.hasOwn(codecs, name) ? codecs[name as CodecName] : undefined
  if (codec === undefined)
    throw new SwarmError('JOB_INVALID', `unknown codec "${name}"`, {
      hint: `Use ${codecNames.join(' or ')}.`,
    })
  return codec
}
