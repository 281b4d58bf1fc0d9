/** One tab of a browser donates at a time: two would share an identity, and each would slow the other. */

import { SwarmError } from '../../protocols/core/errors.ts'
import { unlessRefused } from '../storage/refusal.ts'

/** Names the lock among those of this origin. */
const lockName = 'starling-donation'

/**
 * Takes the place of this browser's one donating tab; the returned function gives it up, and so does closing the tab.
 * @throws {SwarmError} REFUSED when another tab has it.
 */
export async function takeOnlyTab(): Promise<() => void> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const { promise: isTaken, resolve: tell } = Promise.withResolvers<boolean>()
  const held = unlessRefused(() =>
    navigator.locks.request(lockName, { ifAvailable: true }, (lock) => {
      tell(lock !== null)
      return lock === null ? undefined : released
    }),
  )
  // a browser that grants no locks keeps no identity either, which two tabs could share
  void held.then(() => tell(true))
  if (await isTaken) return release
  throw new SwarmError('REFUSED', 'another tab of this browser donates already', {
    hint: 'Go to that tab, or stop it there and start again here.',
  })
}
