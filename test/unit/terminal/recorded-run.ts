/** A run as it was watched, shortened: what the renderers are tested on. */

import type { RunEvent } from '../../../node/run/run-events.ts'

const peers = ['12D3KooWFirstPeerAAAAAA', '12D3KooWSecondPeerBBBBBB', '12D3KooWThirdPeerCCCCCC'] as const

/** All events before the verdict: 3 peers, 20 rounds, an evaluation each 4, one peer that leaves. */
export const recordedRun: readonly RunEvent[] = [
  {
    event: 'started',
    seconds: 0.4,
    job: 'bafyreijob',
    name: 'glyphs-cnn',
    parameters: 21930,
    metric: 'val_accuracy',
    target: 0.97,
    max_rounds: 200,
    min_peers: 3,
  },
  { event: 'phase', seconds: 0.5, sentence: 'Starting 3 peers on this machine.' },
  ...peers.map(
    (peer, index): RunEvent => ({
      event: 'peer_joined',
      seconds: 1 + index,
      peer,
      name: `local-${index}`,
      backend: 'native',
    }),
  ),
  ...Array.from({ length: 20 }, (_, round): RunEvent[] => roundEvents(round)).flat(),
  { event: 'warning', seconds: 25.5, message: 'peer CCCCCC is slow', hint: 'Close other programs there.' },
  { event: 'peer_left', seconds: 26, peer: peers[2], reason: 'said goodbye' },
]

/** The verdict that ends it. */
export const recordedVerdict: RunEvent = {
  event: 'verdict',
  verdict: 'converged',
  metric: 'val_accuracy',
  value: 0.9735,
  rounds: 20,
  peers: 3,
  seconds: 67.25,
  uploaded_bytes_per_peer: 3_400_000,
  model: 'runs/glyphs-cnn/model.onnx',
}

function roundEvents(round: number): RunEvent[] {
  const seconds = 5 + round
  const progress = peers.map(
    (peer, index): RunEvent => ({
      event: 'peer_progress',
      seconds,
      peer,
      round: round + 1,
      phase: 'training',
      samples_per_second: 500 + index,
      uploaded_bytes: (round + 1) * 87_720,
      downloaded_bytes: (round + 1) * 90_000,
    }),
  )
  const done: RunEvent = {
    event: 'round',
    seconds,
    round,
    loss: 2.3 / (round + 1),
    peers: 3,
    samples_per_second: 1503,
  }
  if ((round + 1) % 4 !== 0) return [...progress, done]
  const accuracy = 1 - 0.9 / (round + 1)
  return [
    ...progress,
    done,
    { event: 'evaluation', seconds, round: round + 1, val_loss: 2 / (round + 1), val_accuracy: accuracy },
  ]
}
