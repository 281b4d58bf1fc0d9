/** A peer that serves the file of `peers/file.ts`, slowly, prints where it listens, and stays until it is killed. */

import '../../../node/network/platform.ts'
import { setTimeout as delay } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createNode } from '../../../node/network/libp2p.ts'
import { memoryStore, putFile, shards } from '../../../protocols/shards/index.ts'
import { fileBytes } from './file.ts'

const [seed, size, blockMs] = process.argv.slice(2).map(Number)
const store = memoryStore()
await putFile(store, fileBytes(seed!, size!))
const slowly = {
  has: store.has,
  get: async (cid: Parameters<typeof store.get>[0]) => {
    await delay(blockMs)
    return store.get(cid)
  },
}
const node = await createNode({
  identity: await generateKeyPair('Ed25519'),
  listen: ['/ip4/127.0.0.1/tcp/0'],
  services: { shards: shards({ store: { ...store, ...slowly } }) },
})
process.stdout.write(
  `${JSON.stringify({ id: node.peerId.toString(), addresses: node.getMultiaddrs().map(String) })}\n`,
)
