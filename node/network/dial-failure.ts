/** Says to a person why nobody could be reached at the addresses of a coordinator. */

import { SwarmError } from '../../protocols/core/errors.ts'
import { isOtherSwarmKey } from '../../protocols/discovery/index.ts'

export interface DialFailure {
  /** Multiaddrs that were dialled. */
  addresses: readonly string[]
  /** Whether this program has the key of a private swarm. */
  hasKey: boolean
  /** What libp2p threw for one of them. */
  cause: unknown
}

/** NO_COORDINATOR; REFUSED where somebody answered who has another key of a swarm, or whose swarm has one. */
export function dialFailure({ addresses, hasKey, cause }: DialFailure): SwarmError {
  const at = addresses.join(' or ')
  if (!isOtherSwarmKey(cause)) {
    return new SwarmError('NO_COORDINATOR', `no coordinator answers at ${at}`, {
      cause,
      hint: 'Check that it runs and that the address is right; `starling doctor` checks this machine.',
    })
  }
  if (!hasKey) {
    return new SwarmError('REFUSED', `the swarm at ${at} is private, and no key was given`, {
      cause,
      hint: 'Ask whoever runs its coordinator for the key file, and name it with --swarm-key.',
    })
  }
  return new SwarmError('REFUSED', `the swarm at ${at} has another key, or none`, {
    cause,
    hint: 'Name a copy of its coordinator’s key file with --swarm-key, or no file if the swarm is open.',
  })
}
