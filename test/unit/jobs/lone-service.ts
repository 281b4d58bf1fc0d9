/** A jobs service on a peer that nobody is connected to: what it publishes goes nowhere. */

import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { type Jobs, type JobsComponents, jobs } from '../../../protocols/jobs/index.ts'
import { coordinatorKey, created } from './example.ts'

/** The service of the coordinator that example jobs name; without a clock of its own, a second after they were made. */
export function loneService(epochMs = () => created + 1000): Jobs {
  const pubsub = { publish: async () => {}, subscribe() {}, unsubscribe() {}, topicValidators: new Map() }
  const components = { peerId: peerIdFromPrivateKey(coordinatorKey), privateKey: coordinatorKey, pubsub }
  return jobs({ epochMs })(components as unknown as JobsComponents)
}
