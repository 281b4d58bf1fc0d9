/**
 * Says when the coordinator of a run is no longer heard of, in what way, and when it is back. A goodbye, a broken
 * connection and mere silence are told apart: the first two want somebody to go there, the third is mostly a machine
 * that has more to do than it can.
 */

import type { DiscoveryEffect } from '../../protocols/discovery/index.ts'
import type { RecoveredEvent, WarningEvent } from './run-events.ts'

export interface CoordinatorNoticeInit {
  /** Peer id of the coordinator. */
  coordinator: string
  /** Whether a connection to it stands now. */
  isConnected(): boolean
  /** Since the command began. */
  seconds(): number
  emit(event: WarningEvent | RecoveredEvent): void
}

/** What becomes of the run meanwhile, whatever became of the coordinator. */
const meanwhile = 'The peers go on, but nobody measures what they have learned.'

const restart = 'Start it again where it ran; it takes the run up.'

interface Loss {
  message: string
  hint: string
}

const stopped: Loss = { message: `The coordinator has stopped. ${meanwhile}`, hint: restart }

const disconnected: Loss = {
  message: `The connection to the coordinator broke, and nobody has heard of it since. ${meanwhile}`,
  hint: `It is dialled again until it answers. If it no longer runs: ${restart.charAt(0).toLowerCase()}${restart.slice(1)}`,
}

const silent: Loss = {
  message: 'The coordinator is silent, though its connection stands: its machine is overloaded, or it hangs.',
  hint: 'The peers go on, and it measures them when it is back. If it never is, end it where it runs and start it again.',
}

/** The listener for discovery's effects that tells of one coordinator, once for each time that it goes and comes. */
export function coordinatorNotice(init: CoordinatorNoticeInit): (effect: DiscoveryEffect) => void {
  const { coordinator, isConnected, seconds, emit } = init
  let told: Loss | undefined
  return (effect) => {
    if (effect.kind === 'PeerGone' && effect.peer === coordinator) {
      told = lossOf(effect.reason, isConnected())
      emit({ event: 'warning', seconds: seconds(), ...told })
    } else if (effect.kind === 'PeerAppeared' && effect.record.peer === coordinator && told !== undefined) {
      emit({
        event: 'recovered',
        seconds: seconds(),
        message: 'The coordinator is back, and measures the run again.',
        warning: told.message,
      })
      told = undefined
    }
  }
}

function lossOf(
  reason: Extract<DiscoveryEffect, { kind: 'PeerGone' }>['reason'],
  isConnected: boolean,
): Loss {
  if (reason === 'left') return stopped
  return isConnected ? silent : disconnected
}
