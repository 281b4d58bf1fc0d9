/**
 * The live view: draws the frame of a run in place, again at each event but at most ten times a second, and once a
 * second for the clock. log-update writes only the lines that changed, inside a synchronized update, and brings the
 * cursor back when the process ends however it ends.
 */

import { createLogUpdate } from 'log-update'
import type { Clock } from '../../protocols/core/clock.ts'
import type { VerdictEvent } from '../run/run-events.ts'
import type { Colors } from './colors.ts'
import { frame } from './frame.ts'
import { invitation } from './invitation.ts'
import type { OutputStream, Renderer } from './renderer.ts'
import { afterEvent, emptyRun } from './run-model.ts'
import { nextSteps, verdictLine } from './summary.ts'

/** Faster is not seen by anybody, and costs the training processes time. */
const redrawMs = 100

/** How often the clock in the corner moves when nothing happens. */
const clockMs = 1_000

/** What a terminal is taken to be when it does not say. */
const usualSize = { columns: 80, rows: 24 }

export interface LiveOptions {
  stream: OutputStream
  colors: Colors
  clock: Clock
  footer: string
  nextCommands(verdict: VerdictEvent): readonly string[]
}

/** Takes over the lines below the cursor until it is closed; after the verdict the last frame stays, and a summary. */
export function liveRenderer({ stream, colors, clock, footer, nextCommands }: LiveOptions): Renderer {
  const update = createLogUpdate(stream as NodeJS.WritableStream)
  let run = emptyRun
  let eventMs = clock.now()
  let drawnMs = Number.NEGATIVE_INFINITY
  let stopTimer: () => void = () => {}

  const draw = (): void => {
    stopTimer()
    drawnMs = clock.now()
    const width = Math.max(40, stream.columns ?? usualSize.columns)
    const height = Math.max(10, (stream.rows ?? usualSize.rows) - 1)
    const isOver = run.verdict !== undefined
    const seconds = run.seconds + (isOver ? 0 : (clock.now() - eventMs) / 1000)
    update(frame(run, { width, height, colors, seconds, footer: isOver ? '' : footer }).join('\n'))
    if (!isOver) stopTimer = clock.setTimer(clockMs, draw)
  }

  return {
    event(event) {
      run = afterEvent(run, event)
      if (event.event === 'invitation') {
        update.clear()
        stream.write(invitation(event.link, stream.columns ?? usualSize.columns))
      }
      eventMs = clock.now()
      stopTimer()
      if (event.event === 'verdict') draw()
      else stopTimer = clock.setTimer(Math.max(0, drawnMs + redrawMs - clock.now()), draw)
    },
    close() {
      stopTimer()
      update.done()
      const { verdict } = run
      if (verdict === undefined) return
      for (const line of [verdictLine(verdict), ...nextSteps(verdict, nextCommands(verdict))]) {
        stream.write(`${line}\n`)
      }
    },
  }
}
