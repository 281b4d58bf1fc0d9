/**
 * Donations as the page may meet them, written down: each scene is what a peer would say at one moment of a run. They
 * stand in for the peer where a test is about the page alone, and needs a moment that a real run reaches once in a
 * while.
 */

import type { DonationSnapshot, LossPoint, PeerRow } from '../../../browser-client/donation.ts'
import { SwarmError } from '../../../protocols/core/errors.ts'
import type { JobCard } from '../../../protocols/jobs/card.ts'

export const card: JobCard = {
  job: 'bafyreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku',
  name: 'glyphs-cnn',
  description:
    'A small network that learns to read ten hand-drawn characters. A first job to see a swarm at work.',
  owner: '12D3KooWMq8wZvLrZkTgGkqMh7Wm6cK5vHyNwAYQoVRM3vSsFp2e',
  created: Date.UTC(2026, 10, 20, 9),
  expires: Date.UTC(2100, 0, 1),
  modelBytes: 107_000,
  dataBytes: 11_000_000,
  dataKind: 'images',
  peersMin: 3,
  roundsMax: 200,
  minutesMax: 30,
  targetLoss: null,
  targetAccuracy: 0.97,
  codec: 'int8',
}

/** What the page's link says in every scene. */
export const fragment = `#job=${card.job}&at=/ip4/127.0.0.1/tcp/4002/ws/p2p/${card.owner}`

const peer = (end: string, more: Partial<PeerRow>): PeerRow => ({
  id: `12D3KooWBxVd4fVnZ8mQrN1sYt5hUe9WgAoCpXjLk${end}`,
  role: 'node',
  backend: 'native',
  connection: 'direct',
  rttMs: 2,
  round: 34,
  samplesPerSecond: 1840,
  phase: 'training',
  ...more,
})

const peers: PeerRow[] = [
  peer('7QmRt', {}),
  peer('h3Vzy', { samplesPerSecond: 2105, rttMs: 14 }),
  peer('wE8dK', { role: 'tab', backend: 'webgpu', samplesPerSecond: 960, rttMs: 38, phase: 'averaging' }),
  peer('Nb2Xs', { role: 'tab', backend: 'wasm', connection: 'relayed', samplesPerSecond: 210, rttMs: 121 }),
  peer('pU6Jc', {
    role: 'tab',
    backend: 'wasm',
    connection: 'none',
    rttMs: null,
    round: 33,
    samplesPerSecond: 190,
    phase: 'syncing',
  }),
  peer('aA4Lf', { role: 'coordinator', backend: 'none', samplesPerSecond: null, phase: '' }),
]

/** A run that learns: each value falls towards its end, with the wobble that real ones have. */
const curve: LossPoint[] = Array.from({ length: 35 }, (_, round) => {
  const wobble = Math.sin(round * 2.3) * 0.5 + Math.sin(round * 5.1) * 0.5
  const isMeasured = round % 2 === 0
  return {
    round,
    seconds: round * 1.4,
    heldOut: isMeasured ? 0.16 + 2.15 * Math.exp(-round / 7) : null,
    accuracy: isMeasured ? 0.955 - 0.85 * Math.exp(-round / 6) : null,
    own: round < 4 ? null : 0.12 + 2.3 * Math.exp(-round / 6.5) + 0.05 * wobble,
  }
})

const training: DonationSnapshot = {
  self: '12D3KooWSelfSelfSelfSelfSelfSelfSelfSelfSelfSelfTab1',
  phase: 'training',
  round: 34,
  progress: [],
  job: card,
  backend: { name: 'wasm', threads: 4, note: null },
  contribution: {
    localSteps: 248,
    samples: 7936,
    shareOfRun: 0.087,
    roundsCommitted: 30,
    bytesUp: 3_410_000,
    bytesDown: 14_720_000,
    firstStepMs: 2840,
    samplesPerSecond: 402,
  },
  curve,
  peers,
  verdict: null,
  isConnected: true,
  mismatch: null,
  failure: null,
}

const beginning: DonationSnapshot = {
  ...training,
  phase: 'downloading',
  round: null,
  progress: [
    { what: 'runtime', bytes: 9_400_000, bytesTotal: 14_200_000 },
    { what: 'model', bytes: 107_000, bytesTotal: 107_000 },
    { what: 'data', bytes: 2_100_000, bytesTotal: 11_000_000 },
  ],
  backend: null,
  contribution: {
    ...training.contribution,
    localSteps: 0,
    samples: 0,
    roundsCommitted: 0,
    firstStepMs: null,
  },
  curve: [],
  peers: peers.slice(0, 2),
}

const hasEnded: DonationSnapshot = {
  ...training,
  phase: 'ended',
  verdict: { verdict: 'converged', reason: 'val_accuracy 0.9712 reached the target 0.97', round: 34 },
}

/** By name; the page's address chooses one: `?scene=training`. */
export const scenes = {
  beginning,
  training,
  averaging: { ...training, phase: 'averaging' },
  alone: {
    ...training,
    phase: 'waiting',
    round: null,
    peers: [],
    curve: [],
    contribution: beginning.contribution,
  },
  slower: {
    ...training,
    backend: {
      name: 'wasm',
      threads: 1,
      note: 'One thread only: this page is not isolated, so the browser gives it no others.',
    },
  },
  'other-version': {
    ...training,
    mismatch: new SwarmError(
      'VERSION_MISMATCH',
      'peer 12D3KooWSahP5p speaks allreduce/4; this program speaks allreduce/5',
      { hint: 'Whoever runs peer 12D3KooWSahP5p has to update Starling: that program is the older one.' },
    ),
  },
  lost: { ...training, isConnected: false },
  ended: hasEnded,
  failing: {
    ...training,
    failure: new SwarmError('OUT_OF_MEMORY', 'the step of "glyphs-cnn" needs 812 MB, this tab got 512 MB'),
  },
  'other-owner': { ...training, job: { ...card, owner: training.self } },
} satisfies Record<string, DonationSnapshot>

export type SceneName = keyof typeof scenes
