/**
 * Events as lines of text, for logs and pipes: one line an event, without escape codes other than colour where that is
 * asked for. The progress of single peers is left out: the rounds sum it up.
 */

import { linkLengthMax } from '../../protocols/core/limits.ts'
import { count, loss, shortId } from '../../protocols/core/quantities.ts'
import type { RunEvent, VerdictEvent } from '../run/run-events.ts'
import type { Colors } from './colors.ts'
import { percent, printable } from './format.ts'
import type { OutputStream, Renderer } from './renderer.ts'
import { nextSteps, verdictLine } from './summary.ts'

export interface PlainOptions {
  stream: OutputStream
  colors: Colors
  nextCommands(verdict: VerdictEvent): readonly string[]
}

/** Writes a line for each event, and after the verdict what to do next. */
export function plainRenderer({ stream, colors, nextCommands }: PlainOptions): Renderer {
  return {
    event(event) {
      const text = plainLine(event)
      if (text === undefined) return
      stream.write(`${colors.dim(`[${event.seconds.toFixed(1).padStart(7)}s]`)} ${text}\n`)
      if (event.event !== 'verdict') return
      for (const line of nextSteps(event, nextCommands(event))) stream.write(`${line}\n`)
    },
    close: () => {},
  }
}

/** One event in words; `undefined` for those that only the live view shows. */
export function plainLine(event: RunEvent): string | undefined {
  switch (event.event) {
    case 'started':
      return `Job ${printable(event.name)} (${event.job}), ${count(event.parameters)} parameters.`
    case 'phase':
      return printable(event.sentence)
    case 'invitation':
      return `Join from a browser: ${printable(event.link, linkLengthMax)}`
    case 'peer_joined':
      return `Peer ${peerText(event)} joined${event.backend === undefined ? '' : `, ${printable(event.backend)}`}.`
    case 'peer_left':
      return `Peer ${peerText(event)} left: ${printable(event.reason)}.`
    case 'peer_progress':
      return undefined
    case 'round': {
      const { round, peers, samples_per_second } = event
      const text = event.loss === null ? 'not finite' : loss(event.loss)
      return `Round ${round} done: loss ${text}, ${peers === 1 ? '1 peer' : `${peers} peers`}, ${count(samples_per_second)} samples/s.`
    }
    case 'evaluation': {
      const accuracy = event.val_accuracy === null ? '' : `, accuracy ${percent(event.val_accuracy)}`
      return `Held out, after ${event.round} rounds: loss ${loss(event.val_loss)}${accuracy}.`
    }
    case 'recovered':
      return printable(event.message)
    case 'warning':
    case 'error': {
      const message = printable(event.message)
      const hint =
        event.hint === undefined ? '' : `${message.endsWith('.') ? '' : '.'} ${printable(event.hint)}`
      return `${event.event}: ${message}${hint}`
    }
    case 'verdict':
      return verdictLine(event)
  }
}

function peerText({ peer, name }: { peer: string; name?: string }): string {
  return name === undefined ? shortId(peer) : `${printable(name, 32)} (${shortId(peer)})`
}
