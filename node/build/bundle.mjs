// @ts-check
/**
 * Bundles the programs with esbuild into dist/, packages included: a thousand small modules take Node most of a second
 * to find and link, one file of the same code a fraction of it. What is native, or finds its own files, stays in
 * node_modules.
 *
 *     node/cli/main.ts        → dist/cli.js                 and chunks beside them, one for each lazily loaded command,
 *     node/compute/compute-worker.ts  → dist/compute-worker.js      so that `--help` loads none
 *     browser-client/         → dist/tab/                   what the coordinator serves to browsers: tab.mjs
 *
 * Entries are written under another name and renamed, chunks are named by their hash: a build may run while programs of
 * an older one start. Node types cannot check this file's imports before they are installed, so esbuild is imported
 * late.
 */

import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { root } from './checkout.mjs'
import { buildTab, tabMark } from './tab.mjs'

const dist = join(root, 'dist')

/** By the names of their files in dist/. */
const programs = { cli: 'node/cli/main.ts', 'compute-worker': 'node/compute/compute-worker.ts' }

/** What the bundles are made of. */
const sources = [
  'browser-client',
  'coordinator',
  'data',
  'engine',
  'node',
  'protocols',
  'simulator',
  'package.json',
  'package-lock.json',
]

/** Packages that load files of their own: native addons, WebAssembly, esbuild's program, a driver of browsers. */
const external = [
  'playwright-core',
  'onnxruntime-node',
  'onnxruntime-web',
  'bufferutil',
  'utf-8-validate',
  'esbuild',
]

/** CommonJS packages ask for Node's modules with `require`, which an ES module does not have. */
const requireBanner =
  "import { createRequire as createBundleRequire } from 'node:module'; const require = createBundleRequire(import.meta.url);"

/** Chunks of older builds are kept this long, for programs that still run and have not loaded all of theirs. */
const oldChunkMs = 24 * 3_600_000

/** Path of the command line's bundle. */
export const cliBundle = join(dist, 'cli.js')

/** Builds when a source is newer than the bundles. */
export async function buildIfStale() {
  const built = [...Object.keys(programs).map((name) => join(dist, `${name}.js`)), tabMark]
  const builtMs = Math.min(...built.map(modifiedMs))
  const sourceMs = Math.max(...sources.map((source) => newestMs(join(root, source))))
  if (sourceMs >= builtMs) await Promise.all([build(programs), buildTab()])
}

/**
 * Builds `entries`, or the programs.
 * @param {Record<string, string>} [entries] source files by the name of their bundle
 * @param {import('esbuild').BuildOptions} [options] beside or instead of the usual ones
 */
export async function build(entries = programs, options = {}) {
  const { build } = await import('esbuild')
  const startedMs = Date.now()
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: entries,
    outdir: dist,
    bundle: true,
    splitting: true,
    // beside the entries: a file that is found relative to import.meta.url must not depend on which chunk asks
    chunkNames: 'chunk-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external,
    banner: { js: requireBanner },
    sourcemap: true,
    write: false,
    logLevel: 'warning',
    ...options,
  }).catch(() => {
    // esbuild has said where and why; a stack of its own would only hide that
    process.stderr.write('error: the build failed\n')
    process.exit(1)
  })
  mkdirSync(dist, { recursive: true })
  const isEntry = (/** @type {string} */ path) => basename(path).split('.')[0] in entries
  // chunks first: an entry must never be there before what it imports
  const ordered = [...outputFiles].sort((a, b) => Number(isEntry(a.path)) - Number(isEntry(b.path)))
  for (const { path, contents } of ordered) {
    const unfinished = `${path}.${process.pid}`
    writeFileSync(unfinished, contents)
    renameSync(unfinished, path)
  }
  removeOldChunks(new Set(outputFiles.map(({ path }) => basename(path))))
  process.stderr.write(`Built ${Object.keys(entries).join(', ')} in ${Date.now() - startedMs} ms.\n`)
}

/** @param {ReadonlySet<string>} fresh */
function removeOldChunks(fresh) {
  for (const name of readdirSync(dist)) {
    const path = join(dist, name)
    const isOld = name.startsWith('chunk-') && !fresh.has(name) && Date.now() - modifiedMs(path) > oldChunkMs
    if (isOld) rmSync(path, { force: true })
  }
}

/**
 * The newest change under `path`; folders count too, since they change when a file in them goes.
 * @param {string} path
 * @returns {number}
 */
function newestMs(path) {
  const own = statSync(path)
  if (!own.isDirectory()) return own.mtimeMs
  return readdirSync(path).reduce((newest, name) => Math.max(newest, newestMs(join(path, name))), own.mtimeMs)
}

/**
 * @param {string} path
 * @returns {number} 0 for a file that is not there
 */
function modifiedMs(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
