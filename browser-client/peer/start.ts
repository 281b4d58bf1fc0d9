/**
 * The peer's module, which the page imports after the click: checks that this browser can be a peer, takes the place of
 * its one donating tab, and starts a donation.
 */

import { SwarmError } from '../../protocols/core/errors.ts'
import type { Donation } from '../donation.ts'
import { DonationRun, type PeerInit } from './donation-run.ts'
import { takeOnlyTab } from './only-tab.ts'

/** What the page sees of this module. */
export type StartPeer = (init: PeerInit) => Promise<Donation>

/**
 * Starts to donate.
 * @throws {SwarmError} REFUSED when another tab of this browser donates; USAGE when this browser or page cannot do it.
 */
export const startPeer: StartPeer = async (init) => {
  requireAbilities()
  const release = await takeOnlyTab()
  const run = new DonationRun(init)
  void run.ended.finally(release)
  return run
}

/** Browsers of the last two years have all of these, but only on pages that nobody on the way can change. */
function requireAbilities(): void {
  if (!isSecureContext) {
    throw new SwarmError('USAGE', `the page came from ${location.origin}, which browsers do not trust`, {
      hint: 'Open it over https, or on the machine itself as http://localhost.',
    })
  }
  const missing = [
    ['WebAssembly', typeof WebAssembly === 'object'],
    ['WebRTC', typeof RTCPeerConnection === 'function'],
    ['Web Locks', 'locks' in navigator],
    ['IndexedDB', typeof indexedDB === 'object'],
    ['Promise.withResolvers', typeof Promise.withResolvers === 'function'],
  ].flatMap(([name, isThere]) => (isThere ? [] : [name]))
  if (missing.length === 0) return
  throw new SwarmError('USAGE', `this browser lacks ${missing.join(', ')}`, {
    hint: 'Update it, or use a current Chrome, Edge, Firefox or Safari.',
  })
}
