/** The link into a run as a terminal shows it: text to click or copy, and a QR code for a phone's camera. */

import { renderUnicodeCompact } from 'uqr'
import { linkLengthMax } from '../../protocols/core/limits.ts'
import { printable } from './format.ts'

/**
 * What to print, `width` columns wide at most; the code is left out where it does not fit, since half of one is none.
 */
export function invitation(link: string, width: number): string {
  const text = `Join from a browser: ${printable(link, linkLengthMax)}\n`
  const code = renderUnicodeCompact(link, { ecc: 'L', border: 1 })
  const isFitting = code.split('\n').every((line) => line.length <= width)
  return isFitting ? `${text}${code}\n` : text
}
