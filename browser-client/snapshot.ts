/** The snapshot of a donation that has not begun: what every later one starts from. */

import type { DonationSnapshot } from './donation.ts'

/** Immutable. */
export const firstSnapshot: DonationSnapshot = {
  self: '',
  phase: 'loading',
  round: null,
  progress: [],
  job: null,
  backend: null,
  contribution: {
    localSteps: 0,
    samples: 0,
    shareOfRun: null,
    roundsCommitted: 0,
    bytesUp: 0,
    bytesDown: 0,
    firstStepMs: null,
    samplesPerSecond: 0,
  },
  curve: [],
  peers: [],
  verdict: null,
  isConnected: false,
  mismatch: null,
  failure: null,
}
