// @ts-check
/**
 * Global set-up of the test projects that start compute workers: a worker thread runs a bundle, even when the tests run
 * from the sources, so the bundle is made of the same sources first.
 */

import { build } from '../node/build/bundle.mjs'

export default function bundleComputeWorker() {
  return build({ 'compute-worker': 'node/compute/compute-worker.ts' })
}
