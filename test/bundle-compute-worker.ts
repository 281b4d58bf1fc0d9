/**
 * Global set-up of the test projects whose programs start compute workers: a worker thread runs a bundle, even when the
 * tests run from the sources. Written beside and renamed, because several test runs may share the folder.
 */
import { rename } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))

export default async function bundleComputeWorker(): Promise<void> {
  const target = `${root}dist/compute-worker.js`
  const unfinished = `${target}.${process.pid}`
  await build({
    entryPoints: [`${root}node/compute-worker.ts`],
    outfile: unfinished,
    bundle: true,
    format: 'esm',
    packages: 'external',
    platform: 'node',
    target: 'node20',
  })
  await rename(unfinished, target)
}
