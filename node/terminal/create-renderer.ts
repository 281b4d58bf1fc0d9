/**
 * Three ways to show a run's events, behind one interface: `live` redraws a block of a terminal, `plain` writes a line
 * for each event, `json` writes the events as they are. The choice follows what is on the other end of stdout.
 */

import type { Clock } from '../../protocols/core/clock.ts'
import type { VerdictEvent } from '../run/run-events.ts'
import { colorsFor } from './colors.ts'
import { jsonRenderer } from './json.ts'
import { liveRenderer } from './live.ts'
import { plainRenderer } from './plain.ts'
import type { OutputStream, Renderer } from './renderer.ts'

/** What `--progress` takes; `auto` is the default. */
export const progressModes = ['auto', 'live', 'plain', 'json'] as const
export type ProgressMode = (typeof progressModes)[number]

export interface RendererOptions {
  mode: ProgressMode
  stream: OutputStream
  env: Readonly<Record<string, string | undefined>>
  clock: Clock
  /** The live view's last line: what Ctrl-C does here. */
  footer: string
  /** Commands worth trying after the verdict, for people. */
  nextCommands(verdict: VerdictEvent): readonly string[]
}

/** The renderer for `options.mode`; `auto` is live on a terminal, and plain in a pipe, in CI or on a dumb terminal. */
export function createRenderer(options: RendererOptions): Renderer {
  const { mode, stream, env } = options
  const chosen = mode === 'auto' ? automaticMode(stream, env) : mode
  const colors = colorsFor(stream, env)
  switch (chosen) {
    case 'json':
      return jsonRenderer(stream)
    case 'plain':
      return plainRenderer({ ...options, colors })
    case 'live':
      return liveRenderer({ ...options, colors })
  }
}

function automaticMode(stream: OutputStream, env: RendererOptions['env']): 'live' | 'plain' {
  return stream.isTTY === true && !env.CI && env.TERM !== 'dumb' ? 'live' : 'plain'
}
