/**
 * The link that invites a donor: `#job=<cid>&at=<multiaddr>&at=<multiaddr>`, and `&key=<key>` of a private swarm.
 *
 * Everything stands behind the `#`, so that no server but the peers themselves learns which job a link is for, and none
 * at all the key. Whether the job exists and the addresses answer is not decided here.
 */

import { isSwarmKey } from '../../node/peer/swarm-key.ts'
import { SwarmError } from '../../protocols/core/errors.ts'
import type { Invitation } from '../donation.ts'

/** As {@link Invitation} promises; a QR code with more would not fit a phone's camera either. */
const addressesMax = 8

/** A CID is 59 characters and a multiaddr with its peer id under 300; beyond this a link is not one of ours. */
const fragmentLengthMax = 4096

/**
 * What `fragment` (with or without its `#`) invites to.
 * @throws {SwarmError} USAGE when it names no job or no address, or its key is none.
 */
export function readInvitation(fragment: string): Invitation {
  if (fragment.length > fragmentLengthMax) throw notAnInvitation('it is too long')
  const fields = new URLSearchParams(fragment.replace(/^#/, ''))
  const job = fields.get('job') ?? ''
  const addresses = fields.getAll('at').slice(0, addressesMax)
  if (!/^b[a-z2-7]{20,100}$/.test(job)) throw notAnInvitation('it names no job')
  if (addresses.length === 0 || !addresses.every((address) => /^\/.+\/p2p\/\w+$/.test(address))) {
    throw notAnInvitation('it names no peer to ask')
  }
  const swarmKey = fields.get('key') ?? undefined
  if (swarmKey !== undefined && !isSwarmKey(swarmKey)) throw notAnInvitation('its key is not whole')
  return { job, addresses, swarmKey }
}

function notAnInvitation(why: string): SwarmError {
  return new SwarmError('USAGE', `this link is not an invitation: ${why}`, {
    hint: 'Ask whoever sent it for the whole link, with all that stands behind the #.',
  })
}
