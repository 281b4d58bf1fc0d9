// @ts-check
/** `npm run bench -- [NAME]`: bundles bench/main.ts and the processes that it starts, and runs it. */

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, buildIfStale } from '../build/bundle.mjs'
import { installIfNeeded, root } from '../build/checkout.mjs'

await installIfNeeded()
await buildIfStale() // measurements start peers from the bundle
await build({
  bench: 'bench/main.ts',
  'bench-reduce-peer': 'bench/reduce-peer.ts',
  'bench-tcp-receiver': 'bench/tcp-receiver.ts',
})
await import(pathToFileURL(join(root, 'dist/bench.js')).href)
