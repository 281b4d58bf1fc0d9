/** What one line of the tab's measurements says. */

import { type Spread, spreadOf } from '../statistics.ts'

/** One line of the result. `ours` and `theirs` in `unit`; `ratio`: ours by theirs, of one round each. */
export interface TabRow {
  measure: string
  unit: string
  ours: Spread
  against: string
  theirs: Spread | undefined
  ratio: Spread | undefined
}

/**
 * The row of what was measured in turns: `ours[round]` beside `theirs[round]`; no `theirs` where the other cannot do
 * it.
 */
export function rowOf(
  about: Pick<TabRow, 'measure' | 'unit' | 'against'>,
  ours: number[],
  theirs: number[],
): TabRow {
  const hasOther = theirs.length > 0
  return {
    ...about,
    ours: spreadOf(ours),
    theirs: hasOther ? spreadOf(theirs) : undefined,
    ratio: hasOther ? spreadOf(ours.map((value, round) => value / theirs[round]!)) : undefined,
  }
}
