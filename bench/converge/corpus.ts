/** The text that `converge` trains on, and the windows that measure what came of it. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { DataSet } from '../../data/data-set.ts'
import { textDataSet } from '../../data/text.ts'
import { seededRandom } from '../../protocols/core/random.ts'

/** Tokens of one window, which is one sample: the context of the GPT in examples/shakespeare. */
export const contextTokens = 64

export interface Corpus {
  /** What it is, for tables and for the file of results. */
  text: string
  dataSet: DataSet
}

/** Tiny Shakespeare where STARLING_TEST_DATA names a folder that holds it, else a text drawn here. */
export async function corpus(): Promise<Corpus> {
  const folder = process.env.STARLING_TEST_DATA
  const bytes = folder === undefined ? drawnText() : await readFile(join(folder, 'tinyshakespeare.txt'))
  return {
    text: folder === undefined ? 'drawn words' : 'Tiny Shakespeare',
    dataSet: textDataSet(bytes, { context: contextTokens, split: 0.9 }),
  }
}

/**
 * 400,000 characters of 200 words, each more often the earlier it stands; 65 different characters, as the model has.
 */
function drawnText(): Uint8Array {
  const random = seededRandom(7)
  const alphabet = Array.from({ length: 64 }, (_, i) => String.fromCharCode(33 + i))
  const words = Array.from({ length: 200 }, () =>
    Array.from({ length: 2 + random.integer(7) }, () => alphabet[random.integer(64)]!).join(''),
  )
  let text = alphabet.join('')
  while (text.length < 400_000) text += ` ${words[Math.floor(200 * random.next() ** 2)]!}`
  return new TextEncoder().encode(text)
}
