// @ts-check
/** `npm run bench -- [NAME]`: bundles bench/main.ts and the processes that it starts, and runs it. */

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, buildIfStale } from '../build/bundle.mjs'
import { installIfNeeded, root } from '../build/checkout.mjs'
import { installChromiumIfNeeded } from '../build/chromium.mjs'
import { buildPage } from '../build/tab.mjs'

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
const [name] = process.argv.slice(2).filter((word) => !word.startsWith('-'))
if (name === undefined || name === 'tab') {
  await installChromiumIfNeeded()
  await buildPage({
    folder: join(root, 'dist/bench-tab'),
    script: 'bench/tab/page.ts',
    html: 'bench/tab/index.html',
  })
}
await import(pathToFileURL(join(root, 'dist/bench.js')).href)
