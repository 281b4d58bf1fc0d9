/** A peer that links with the one peer named on its command line, prints where it listens, and stays. */

import '../../../node/network/platform.ts'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createNode } from '../../../node/network/libp2p.ts'
import type { PeerComponents } from '../../../protocols/wire/components.ts'
import { Links } from '../../../protocols/wire/link.ts'

const [protocol, other] = process.argv.slice(2)
const node = await createNode({
  identity: await generateKeyPair('Ed25519'),
  listen: ['/ip4/127.0.0.1/tcp/0'],
  services: {
    links: (components: PeerComponents) =>
      new Links(components, { protocol: protocol!, onMessage: () => {} }),
  },
})
node.services.links.setPeers([other!])
process.stdout.write(
  `${JSON.stringify({ id: node.peerId.toString(), addresses: node.getMultiaddrs().map(String) })}\n`,
)
