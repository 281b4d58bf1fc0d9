/**
 * Text as a stream of characters, the way nanoGPT prepares Tiny Shakespeare (karpathy/nanoGPT,
 * data/shakespeare_char/prepare.py): the vocabulary is every character that occurs, sorted by code point; the first
 * part of the text trains, the rest validates.
 */

import { SwarmError } from '../protocols/core/errors.ts'
import { vocabularyMax } from '../protocols/core/limits.ts'
import { type SingleInputDataSet, textSplits } from './data-set.ts'

export interface TextOptions {
  /** Tokens of one sample, >= 1. */
  context: number
  /** Share of the text that trains, above 0 and below 1. */
  split: number
}

/**
 * The data set of a UTF-8 text.
 * @throws {SwarmError} DATA_INVALID when it is not UTF-8, has too many distinct characters or is too short for one
 * sample in each split.
 */
export function textDataSet(bytes: Uint8Array, { context, split }: TextOptions): SingleInputDataSet {
  const characters = Array.from(decodeUtf8(bytes))
  const vocabulary = [...new Set(characters)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)
  if (vocabulary.length > vocabularyMax) {
    throw new SwarmError(
      'DATA_INVALID',
      `the text has ${vocabulary.length} distinct characters, at most ${vocabularyMax} can be learnt`,
    )
  }
  const idOf = new Map(vocabulary.map((character, id) => [character, id]))
  const tokens = new (vocabulary.length <= 256 ? Uint8Array : Int32Array)(characters.length)
  for (let i = 0; i < tokens.length; i++) tokens[i] = idOf.get(characters[i]!)!

  const trainTokens = Math.floor(tokens.length * split)
  const shortest = Math.min(trainTokens, tokens.length - trainTokens)
  if (shortest <= context) {
    throw new SwarmError(
      'DATA_INVALID',
      `the text has ${trainTokens} characters to train and ${tokens.length - trainTokens} to validate; both must be more than the context of ${context}`,
      { hint: 'Use a longer text or a smaller context.' },
    )
  }
  return {
    kind: 'text',
    classes: vocabulary.length,
    vocabulary,
    ...textSplits({ train: tokens.slice(0, trainTokens), validation: tokens.slice(trainTokens) }, context),
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw new SwarmError('DATA_INVALID', 'the text is not UTF-8', { cause, hint: 'Convert it to UTF-8.' })
  }
}
