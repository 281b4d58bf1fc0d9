/**
 * Moments of a round at which a peer is struck, by default killed: who, at which message, as it is sent. Which of them
 * a seed has is drawn by its scenario.
 */

import type { Message } from '../protocols/allreduce/round/vocabulary.ts'
import type { Random } from '../protocols/core/random.ts'
import type { AllreduceSwarm } from './allreduce-swarm.ts'
import { atMessage } from './faults.ts'

type Moments = Readonly<
  Record<string, { kind: Message['kind']; victim: 'sender' | 'receiver'; occurrences: number }>
>

/** Moments of a round at which a peer can die: who, at which message, as it is sent. */
export const deadlyMoments: Moments = {
  'contributor as it commits': { kind: 'Commit', victim: 'sender', occurrences: 12 },
  'contributor in mid-update': { kind: 'Part', victim: 'sender', occurrences: 60 },
  'reducer before it reduces': { kind: 'Part', victim: 'receiver', occurrences: 20 },
  'reducer between its results': { kind: 'Result', victim: 'sender', occurrences: 40 },
  'reducer after its results': { kind: 'Seal', victim: 'receiver', occurrences: 10 },
  'leader as it plans': { kind: 'Plan', victim: 'sender', occurrences: 10 },
  'leader as it seals': { kind: 'Seal', victim: 'sender', occurrences: 10 },
  'leader after the seal': { kind: 'Accepted', victim: 'receiver', occurrences: 20 },
  'voter as it accepts': { kind: 'Accepted', victim: 'sender', occurrences: 30 },
  'next leader as it prepares': { kind: 'Prepare', victim: 'sender', occurrences: 4 },
  'voter as it promises': { kind: 'Promise', victim: 'sender', occurrences: 4 },
}

/** Moments that there are only where several rows are. */
export const deadlyGridMoments: Moments = {
  'reporter as it reports': { kind: 'Roster', victim: 'sender', occurrences: 10 },
  'row reducer as it hands in a sum': { kind: 'Sum', victim: 'sender', occurrences: 60 },
  'finisher before it has every sum': { kind: 'Sum', victim: 'receiver', occurrences: 60 },
  'councillor as it announces': { kind: 'Votes', victim: 'sender', occurrences: 30 },
  'peer that passes on': { kind: 'Relay', victim: 'sender', occurrences: 200 },
}

/** What befalls a peer; false when it cannot. */
export interface Blow {
  /** Before the moment's name, in the log of faults. */
  prefix: string
  act(swarm: AllreduceSwarm, id: string): boolean
}

const death: Blow = { prefix: '', act: crashForAWhile }

/** Has a blow, by default one that kills, befall one peer at a deadly moment, after a random number of its messages. */
export function strikeAt(swarm: AllreduceSwarm, moment: string, random: Random, blow = death): void {
  const { kind, victim, occurrences } = (deadlyMoments[moment] ?? deadlyGridMoments[moment])!
  swarm.onMessage(
    atMessage<Message>(
      blow.prefix + moment,
      1 + random.integer(occurrences),
      (_from, _to, message) => message.kind === kind,
      (from, to) => blow.act(swarm, victim === 'sender' ? from : to),
      swarm.log,
    ),
  )
}

/** Of those that crash, so many lose their disks too. */
const diskLossShare = 0.25

/** Crashes `id` if that leaves a quorum, and starts it again, mostly with its disk, a little later. */
export function crashForAWhile(swarm: AllreduceSwarm, id: string): boolean {
  if (!swarm.crash(id)) return false
  if (swarm.random.next() < diskLossShare) {
    swarm.wipe(id)
    swarm.log.note('lost disk')
  }
  swarm.clock.setTimer(200 + swarm.random.integer(10_000), () => {
    swarm.start(id)
    swarm.log.note('restart')
  })
  return true
}
