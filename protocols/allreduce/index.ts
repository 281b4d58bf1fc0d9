/**
 * Allreduce: the peers of a run agree on the weighted mean of their updates, to the bit, whoever dies meanwhile.
 *
 *     const run = await node.services.allreduce.open({ job, parameterCount, codec: 'int8', peersMin: 3 })
 *     run.setPeers(peers)
 *     const outcome = await run.average({ round, root, electorate, update, weight }, { signal })
 */

import type { Clock } from '../core/clock.ts'
import type { PeerComponents } from '../wire/components.ts'
import { Allreduce } from './service.ts'

export {
  type AllreduceEvent,
  type AllreduceRunInit,
  allreduceProtocol,
  type Contribution,
  type Offer,
  type PledgeStore,
  type RoundCommitted,
  type RoundOutcome,
} from './options.ts'
export type { RoundBase } from './plan/base.ts'
export type { Pace } from './plan/pace.ts'
export type { RoundPhase, Timing } from './round/events.ts'
export type { AllreduceRun } from './run.ts'
export type { Allreduce } from './service.ts'

/** The libp2p service. */
export function allreduce(init: { clock?: Clock } = {}): (components: PeerComponents) => Allreduce {
  return (components) => new Allreduce(components, init)
}
