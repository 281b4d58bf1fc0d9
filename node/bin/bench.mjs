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
  'bench-step-engine': 'bench/step/engine-subject.ts',
  'bench-reduce-peer': 'bench/reduce-peer.ts',
  'bench-shaped-network': 'bench/shaped-network.ts',
  'bench-tcp-receiver': 'bench/tcp-receiver.ts',
})
// TF.js keeps its gradients in its ES modules only
await build({ 'bench-step-tfjs': 'bench/step/tfjs-subject.ts' }, { mainFields: ['module', 'main'] })
await import(pathToFileURL(join(root, 'dist/bench.js')).href)
