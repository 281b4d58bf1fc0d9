/** One valid job, for the tests of manifests and of the registry to vary. */

import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { ManifestInit } from '../../../protocols/jobs/manifest.ts'

/** The CID of some block, and of another. */
export const root = 'bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'

/** Keys from fixed seeds, so that signatures are the same in every run. */
export const ownerKey = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(1))
export const coordinatorKey = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(2))
export const strangerKey = await generateKeyPairFromSeed('Ed25519', new Uint8Array(32).fill(3))
export const ownerId = peerIdFromPrivateKey(ownerKey).toString()
export const coordinatorId = peerIdFromPrivateKey(coordinatorKey).toString()
export const strangerId = peerIdFromPrivateKey(strangerKey).toString()

/** 2026-01-01T00:00:00Z */
export const created = 1_767_225_600_000

/** What makes a manifest of an example job, with `changes`. */
export function manifestInit(changes: Partial<ManifestInit> = {}): ManifestInit {
  return {
    name: 'glyphs-cnn',
    description: 'Ten generated characters',
    owner: ownerId,
    coordinators: [coordinatorId],
    model: { cid: root, bytes: 107_000, loss: 'softmax_cross_entropy' },
    data: {
      cid: root,
      bytes: 11_000_000,
      kind: 'images',
      sampleShape: [28, 28],
      classes: 10,
      trainCount: 12_000,
      validationCount: 2_000,
    },
    train: {
      optimizer: 'adamw',
      learningRate: 0.003,
      schedule: 'constant',
      warmupSteps: 0,
      minLearningRate: 0,
      batchSize: 32,
      localSteps: 8,
      seed: 1,
      betas: [0.9, 0.999],
      epsilon: 1e-8,
      weightDecay: 0.01,
    },
    swarm: { minPeers: 3, codec: 'int8' },
    convergence: {
      metric: 'val_accuracy',
      target: 0.97,
      mode: 'max',
      patience: 10,
      minDelta: 0.001,
      evaluateEvery: 2,
      maxRounds: 200,
      maxMinutes: 10,
    },
    created,
    expires: created + 3_600_000,
    nonce: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8),
    ...changes,
  }
}
