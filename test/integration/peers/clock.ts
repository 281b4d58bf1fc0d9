/** A clock for waits of seconds that a test is not to sit through. */

import { type Clock, systemClock } from '../../../protocols/core/clock.ts'

/** How much faster it runs. */
const haste = 50

export const hurried: Clock = {
  now: () => haste * systemClock.now(),
  setTimer: (delayMs, callback) => systemClock.setTimer(delayMs / haste, callback),
}
