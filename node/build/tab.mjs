// @ts-check
/**
 * Bundles the donor page and the peer behind it into dist/tab/, as a server can hand them out:
 *
 *     index.html  program.json          ask again each time; program.json lists what is loaded after the click
 *     page-….js   page-….css            before the click
 *     peer-….js   compute-worker-….js   timer-worker-….js   chunk-….js
 *     ort-<version>/…                   onnxruntime's glue code and WebAssembly, as the package has them
 *
 * All but the first two are named by their content or version, so that a browser may keep them for ever. They are
 * written first: a page must never be there before what it loads.
 */

import { createHash } from 'node:crypto'
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join, relative } from 'node:path'
import { root } from './checkout.mjs'

/** Where the page's files are. */
export const tabFolder = join(root, 'dist/tab')

/** Written last, so its time is the build's. */
export const tabMark = join(tabFolder, 'program.json')

/** What a page loads after the click, by the names of the bundles. */
const programEntries = {
  peer: 'browser-client/peer/start.ts',
  'compute-worker': 'browser-client/worker/compute-worker.ts',
  'timer-worker': 'browser-client/worker/timer-worker.ts',
}

/** File names of onnxruntime-web's builds, without their endings. */
const runtimes = {
  wasm: 'ort-wasm-simd-threaded',
  webgpu: 'ort-wasm-simd-threaded.asyncify',
  jspi: 'ort-wasm-simd-threaded.jspi',
}

/** Files of older builds are kept this long, for tabs that have their page open and click later. */
const oldFileMs = 24 * 3_600_000

/** Builds the donor page and all that it loads. */
export function buildTab() {
  return buildPage({
    folder: tabFolder,
    script: 'browser-client/main.ts',
    html: 'browser-client/page/index.html',
  })
}

/**
 * Builds a page that has the program behind it.
 * @param {{ folder: string, script: string, html: string }} page where it goes, and its sources
 */
export async function buildPage({ folder, script, html }) {
  const entryPoints = { page: script, ...programEntries }
  const { build } = await import('esbuild')
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints,
    outdir: folder,
    entryNames: '[name]-[hash]',
    chunkNames: 'chunk-[hash]',
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    // what WebGPU and threads need is younger than this
    target: 'es2022',
    // its own file beside ours, instead of a copy inside the bundle that threads could not start from
    conditions: ['onnxruntime-web-use-extern-wasm'],
    metafile: true,
    write: false,
    logLevel: 'warning',
  }).catch(() => {
    // esbuild has said where and why; a stack of its own would only hide that
    process.stderr.write('error: the build of the donor page failed\n')
    process.exit(1)
  })
  mkdirSync(folder, { recursive: true })
  for (const { path, contents } of outputFiles) writeWhole(path, contents)
  const ort = copyRuntimes(folder)
  const outputs = outputsOf(metafile, entryPoints, folder)
  const digest = createHash('sha256')
  for (const { contents } of [...outputFiles].sort((a, b) => (a.path < b.path ? -1 : 1)))
    digest.update(contents)
  const buildName = digest.digest('hex').slice(0, 12)
  writeWhole(
    join(folder, 'index.html'),
    withNames(readFileSync(join(root, html), 'utf8'), outputs, buildName),
  )
  writeWhole(join(folder, 'program.json'), `${JSON.stringify(programOf(outputs, ort, buildName))}\n`)
  removeOld(folder, new Set(outputFiles.map(({ path }) => basename(path))))
}

/**
 * @typedef {object} Output
 * @property {number} bytes
 * @property {string} [entry] name of the entry point that it is
 * @property {string} [css] path of the style sheet that belongs to it
 * @property {string[]} imports paths that it loads at once
 */

/**
 * By path, relative to the page.
 * @param {import('esbuild').Metafile} metafile
 * @param {Record<string, string>} entryPoints
 * @param {string} folder
 * @returns {Map<string, Output>}
 */
function outputsOf({ outputs }, entryPoints, folder) {
  const local = (/** @type {string} */ path) => relative(folder, join(root, path))
  const names = new Map(Object.entries(entryPoints).map(([name, path]) => [path, name]))
  return new Map(
    Object.entries(outputs).map(([path, { bytes, entryPoint, imports, cssBundle }]) => [
      local(path),
      {
        bytes,
        entry: entryPoint === undefined ? undefined : names.get(entryPoint),
        css: cssBundle === undefined ? undefined : local(cssBundle),
        imports: imports.filter(({ kind }) => kind === 'import-statement').map((one) => local(one.path)),
      },
    ]),
  )
}

/**
 * @param {Map<string, Output>} outputs
 * @param {string} entry
 * @returns {string}
 */
function pathOf(outputs, entry) {
  for (const [path, output] of outputs) if (output.entry === entry && path.endsWith('.js')) return path
  throw new Error(`esbuild made no bundle for ${entry}`)
}

/**
 * What browser-client/program.ts describes.
 * @param {Map<string, Output>} outputs
 * @param {Record<string, unknown>} runtimes
 * @param {string} build
 */
function programOf(outputs, runtimes, build) {
  const entries = {
    peer: pathOf(outputs, 'peer'),
    computeWorker: pathOf(outputs, 'compute-worker'),
    timerWorker: pathOf(outputs, 'timer-worker'),
  }
  const needed = new Set(Object.values(entries))
  for (const path of needed) for (const imported of outputs.get(path)?.imports ?? []) needed.add(imported)
  const files = [...needed].map((path) => ({ path, bytes: outputs.get(path)?.bytes }))
  return { build, entries, files, runtimes }
}

/**
 * @param {string} html
 * @param {Map<string, Output>} outputs
 * @param {string} build
 */
function withNames(html, outputs, build) {
  const script = pathOf(outputs, 'page')
  return html
    .replace('"page.js"', `"${script}"`)
    .replace('"page.css"', `"${outputs.get(script)?.css}"`)
    .replace('</head>', `  <meta name="build" content="${build}" />\n  </head>`)
}

/**
 * Copies onnxruntime's files, unless this version is there.
 * @param {string} to
 * @returns {Record<string, unknown>} their paths and sizes
 */
function copyRuntimes(to) {
  const from = join(root, 'node_modules/onnxruntime-web')
  const { version } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'))
  const folder = `ort-${version}`
  mkdirSync(join(to, folder), { recursive: true })
  const copy = (/** @type {string} */ name) => {
    const source = join(from, 'dist', name)
    const path = `${folder}/${name}`
    const { size: bytes } = statSync(source)
    const target = join(to, path)
    if (statSync(target, { throwIfNoEntry: false })?.size !== bytes) {
      copyFileSync(source, `${target}.${process.pid}`)
      renameSync(`${target}.${process.pid}`, target)
    }
    return { path, bytes }
  }
  return Object.fromEntries(
    Object.entries(runtimes).map(([name, file]) => [
      name,
      { glue: copy(`${file}.mjs`), wasm: copy(`${file}.wasm`) },
    ]),
  )
}

/**
 * @param {string} path
 * @param {string | Uint8Array} contents
 */
function writeWhole(path, contents) {
  const unfinished = `${path}.${process.pid}`
  writeFileSync(unfinished, contents)
  renameSync(unfinished, path)
}

/**
 * @param {string} folder
 * @param {ReadonlySet<string>} fresh
 */
function removeOld(folder, fresh) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const isOurs = /\.(js|css)$/.test(name) && !fresh.has(name)
    if (isOurs && Date.now() - statSync(path).mtimeMs > oldFileMs) rmSync(path, { force: true })
  }
}
