/** Events as JSON lines, for scripts: one event, one line, as it is. */

import type { Renderer } from './renderer.ts'

/** Writes each event to `stream` as one line. NaN and infinity, which JSON cannot say, become `null`. */
export function jsonRenderer(stream: { write(text: string): unknown }): Renderer {
  return {
    event: (event) => stream.write(`${JSON.stringify(event)}\n`),
    close: () => {},
  }
}
