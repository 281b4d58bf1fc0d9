/**
 * Discovery: who is here, what they can do, which job and round they are at; and connections to those who matter.
 *
 *     createNode({ services: { discovery: discovery({ self, bootstrap: ['/ip4/…/p2p/…'] }) } })
 *     node.services.discovery.on((event) => …)
 *     node.services.discovery.setSelf({ job: { job, round, root, weight } })
 */

import { Discovery, type DiscoveryComponents, type DiscoveryInit } from './service.ts'

export type { FirstAddressNews } from './first-addresses.ts'
export type { DiscoveryEffect, PeerRecord } from './machine.ts'
export { helloTopic, type JobPosition, type Role, type SelfDescription } from './messages.ts'
export { isOtherSwarmKey } from './other-swarm-key.ts'
export type { Discovery, DiscoveryInit } from './service.ts'

/** The libp2p service. The node needs a gossipsub service named `pubsub`. */
export function discovery(init: DiscoveryInit): (components: DiscoveryComponents) => Discovery {
  return (components) => new Discovery(components, init)
}
