/** When text for a terminal is coloured, and with what. */

import picocolors from 'picocolors'

/** Functions that colour a text, or leave it alone. */
export type Colors = ReturnType<typeof picocolors.createColors>

/** The colours for `stream`: none when its reader cannot show them or does not want them. */
export function colorsFor(
  stream: { isTTY?: boolean },
  env: Readonly<Record<string, string | undefined>>,
): Colors {
  return picocolors.createColors(hasColor(stream, env))
}

/** `NO_COLOR` and `FORCE_COLOR` when set (no-color.org), else whether a person's terminal can show it. */
function hasColor(stream: { isTTY?: boolean }, env: Readonly<Record<string, string | undefined>>): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0'
  return stream.isTTY === true && env.TERM !== 'dumb'
}
