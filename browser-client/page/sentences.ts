/**
 * What goes on, as one sentence a donor understands, and where it stands on the way from the click to the rounds.
 *
 * Two wordings of the same: {@link statusSentence} with its numbers, to be looked at; {@link announcement} without what
 * changes every few seconds, for a screen reader that would otherwise never be silent.
 */

import { unreachable } from '../../protocols/core/assert.ts'
import type { DonationPhase, DonationSnapshot } from '../donation.ts'
import type { Pause } from '../governor/machine.ts'
import { moment, plural } from './format.ts'

/** Stations on the way, and the two that every round goes through. */
export const stations = ['connect', 'download', 'prepare', 'train', 'average'] as const
export type Station = (typeof stations)[number]

/** Where `phase` stands; `null` when it stands nowhere on the way. */
export function stationOf(phase: DonationPhase): Station | null {
  switch (phase) {
    case 'loading':
    case 'connecting':
      return 'connect'
    case 'downloading':
      return 'download'
    case 'preparing':
    case 'waiting':
    case 'syncing':
      return 'prepare'
    case 'training':
      return 'train'
    case 'averaging':
      return 'average'
    case 'paused':
    case 'leaving':
    case 'ended':
      return null
    default:
      return unreachable(phase)
  }
}

/** Why nothing runs. `nowMs`: milliseconds since 1970. */
export function pauseSentence({ reason, untilMs }: Pause, nowMs: number): string {
  const until = untilMs === null ? '' : ` until ${moment(untilMs, nowMs)}`
  switch (reason) {
    case 'asked':
      return 'Paused, as you asked.'
    case 'snoozed':
      return `Snoozing${until}.`
    case 'battery':
      return 'Paused while your computer runs on battery.'
    case 'data':
      return `Today’s data is used up: paused${until}.`
    case 'schedule':
      return untilMs === null ? 'Paused: your schedule has no open day.' : `Your schedule says no${until}.`
    case 'hidden':
      return 'Paused while this tab is in the background.'
    default:
      return unreachable(reason)
  }
}

/** What the numbers of a {@link statusSentence} are made of. */
export interface Company {
  round: number
  /** Peers that train, besides this tab. */
  others: number
  /** Peers that must be there before the run starts. */
  peersMin: number
}

/** The company of a donation. */
export function companyOf({ round, peers, job }: DonationSnapshot): Company {
  // who says nothing about its progress only watches
  const others = peers.filter(({ phase }) => phase !== '').length
  return { round: round ?? 0, others, peersMin: job?.peersMin ?? 1 }
}

/** What a running donation does, with its numbers. */
export function statusSentence(phase: DonationPhase, { round, others, peersMin }: Company): string {
  switch (phase) {
    case 'waiting':
      return `Ready. Waiting for ${plural(Math.max(1, peersMin - others - 1), 'more peer')} to begin.`
    case 'training':
      return `Training in round ${round}${others === 0 ? ', alone so far' : ` with ${plural(others, 'other peer')}`}.`
    case 'averaging':
      return `Averaging what ${plural(others + 1, 'peer')} learned in round ${round}.`
    default:
      return announcement(phase)
  }
}

/** The same without rounds and counts; training and averaging are one. */
export function announcement(phase: DonationPhase): string {
  switch (phase) {
    case 'loading':
      return 'Loading the program into this tab.'
    case 'connecting':
      return 'Looking for the swarm.'
    case 'downloading':
      return 'Fetching the model and the data from other peers.'
    case 'preparing':
      return 'Trying which of your processors is best at this model.'
    case 'waiting':
      return 'Ready, and waiting for more peers.'
    case 'syncing':
      return 'Fetching the newest state, to go on where the others are.'
    case 'training':
    case 'averaging':
      return 'Training with the swarm.'
    case 'paused':
      return 'Paused.'
    case 'leaving':
      return 'Handing over to the others, then leaving.'
    case 'ended':
      return 'The run is over.'
    default:
      return unreachable(phase)
  }
}
