/** What every way to show a run's events has in common. Which one is taken, `create-renderer.ts` says. */

import type { RunEvent } from '../run/run-events.ts'

/** Where a renderer writes: the part of a Node stream that it uses. */
export interface OutputStream {
  write(text: string): unknown
  isTTY?: boolean
  columns?: number
  rows?: number
}

export interface Renderer {
  /** Shows one event. The verdict is the last. */
  event(event: RunEvent): void
  /** Gives the terminal back as it was. Called exactly once, also when the run was left early. */
  close(): void
}
