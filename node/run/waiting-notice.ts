/** Says what a run waits for while it waits for peers: a swarm that is short of one is silent otherwise. */

import type { Clock } from '../../protocols/core/clock.ts'

/** Peers that are on their way are here by then: they connect, fetch and compile in about three seconds. */
const patienceMs = 6_000

export interface WaitingInit {
  /** Peers that are here now. */
  count(): number
  /** Peers that the first round waits for. */
  wanted: number
  hasBegun(): boolean
  /** Called at each look, for whoever can find out why it has not, and once when it has. */
  onLook(hasBegun: boolean): void
  /** What to type to add a peer. */
  howToJoin: string | undefined
  clock: Clock
  say(sentence: string): void
}

/** Looks every few seconds until the run has begun, and says how many peers are missing when that has changed. */
export function tellWaiting(init: WaitingInit): () => void {
  const { count, wanted, hasBegun, onLook, howToJoin, clock, say } = init
  const remedy = howToJoin === undefined ? '' : ` Add one with \`${howToJoin}\`.`
  let told = -1
  let stop = () => {}
  const look = () => {
    onLook(hasBegun())
    if (hasBegun()) return
    const here = count()
    if (here < wanted && here !== told) {
      told = here
      say(`Waiting for peers: ${here} of ${wanted} ${here === 1 ? 'is' : 'are'} here.${remedy}`)
    }
    stop = clock.setTimer(patienceMs, look)
  }
  stop = clock.setTimer(patienceMs, look)
  return () => stop()
}
