// @ts-check
/**
 * Bundles the donor page and the peer behind it into dist/tab/, as a server can hand them out:
 *
 *     index.html  program.json          ask again each time; program.json lists what is loaded after the click
 *     page-….js   page-….css            before the click
 *     peer-….js   compute-worker-….js   timer-worker-….js   chunk-….js
 *     ort-<version>/…                   onnxruntime's glue code and WebAssembly, as the package has them
 *
 * All but the first two are named by their content or version, so that a browser may keep them for ever. They are written
 * first: a page must never be there before what it loads.
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

/** By the names of their bundles. */
const entryPoints = {
  page: 'browser-client/main.ts',
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

/** Builds the page and all that it loads. */
export async function buildTab() {
  const { build } = await import('esbuild')
  const { outputFiles, metafile } = await build({
    absWorkingDir: root,
    entryPoints,
    outdir: tabFolder,
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
  mkdirSync(tabFolder, { recursive: true })
  for (const { path, contents } of outputFiles) writeWhole(path, contents)
  const ort = copyRuntimes()
  const outputs = outputsOf(metafile)
  const digest = createHash('sha256')
  for (const { contents } of [...outputFiles].sort((a, b) => (a.path < b.path ? -1 : 1)))
    digest.update(contents)
  const buildName = digest.digest('hex').slice(0, 12)
  writeWhole(join(tabFolder, 'index.html'), indexHtml(outputs, buildName))
  writeWhole(tabMark, `${JSON.stringify(programOf(outputs, ort, buildName))}\n`)
  removeOld(new Set(outputFiles.map(({ path }) => basename(path))))
}

/**
 * @typedef {object} Output
 * @property {number} bytes
 * @property {string} [entry] name in {@link entryPoints}
 * @property {string} [css] path of the style sheet that belongs to it
 * @property {string[]} imports paths that it loads at once
 */

/**
 * By path, relative to the page.
 * @param {import('esbuild').Metafile} metafile
 * @returns {Map<string, Output>}
 */
function outputsOf({ outputs }) {
  const local = (/** @type {string} */ path) => relative(tabFolder, join(root, path))
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
 * @param {Map<string, Output>} outputs
 * @param {string} build
 */
function indexHtml(outputs, build) {
  const script = pathOf(outputs, 'page')
  const style = outputs.get(script)?.css
  if (style === undefined) throw new Error('the page has no style sheet')
  return readFileSync(join(root, 'browser-client/page/index.html'), 'utf8')
    .replace('"page.js"', `"${script}"`)
    .replace('"page.css"', `"${style}"`)
    .replace('</head>', `  <meta name="build" content="${build}" />\n  </head>`)
}

/** Copies onnxruntime's files, unless this version is there. @returns {Record<string, unknown>} their paths and sizes */
function copyRuntimes() {
  const from = join(root, 'node_modules/onnxruntime-web')
  const { version } = JSON.parse(readFileSync(join(from, 'package.json'), 'utf8'))
  const folder = `ort-${version}`
  mkdirSync(join(tabFolder, folder), { recursive: true })
  const copy = (/** @type {string} */ name) => {
    const source = join(from, 'dist', name)
    const path = `${folder}/${name}`
    const { size: bytes } = statSync(source)
    const target = join(tabFolder, path)
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

/** @param {ReadonlySet<string>} fresh */
function removeOld(fresh) {
  for (const name of readdirSync(tabFolder)) {
    const path = join(tabFolder, name)
    const isOurs = /\.(js|css)$/.test(name) && !fresh.has(name)
    if (isOurs && Date.now() - statSync(path).mtimeMs > oldFileMs) rmSync(path, { force: true })
  }
}
