// @ts-check
/**
 * What the scripts in node/bin share about the folder that they stand in: where it is, whether its dependencies are
 * installed, and running a program so that Ctrl-C reaches it. No dependencies: this runs before there are any.
 */

import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder with package.json. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Runs `npm ci` when a dependency is missing or has another version than package.json pins. Prints on stderr only. */
export async function installIfNeeded() {
  const missing = missingDependencies()
  if (missing.length === 0) return
  process.stderr.write(`Installing dependencies (${missing.length} missing) …\n`)
  // npm tells its scripts where it is; without that, the shell knows (npm is a .cmd file on Windows)
  const npm = process.env.npm_execpath
  const code = npm?.endsWith('.js')
    ? await run(process.execPath, [npm, 'ci', '--include=dev'], { quietStdout: true })
    : await run('npm', ['ci', '--include=dev'], { quietStdout: true, shell: process.platform === 'win32' })
  if (code !== 0) {
    process.stderr.write(
      "error: 'npm ci' failed\nhint: see npm's message above; it needs the network once.\n",
    )
    process.exit(code)
  }
}

/** For commands that must not install behind a person's back: ends the process when a dependency is missing. */
export function requireInstalled() {
  const missing = missingDependencies()
  if (missing.length === 0) return
  process.stderr.write(
    `error: dependencies are missing: ${missing.slice(0, 5).join(', ')}\nhint: run 'npm ci' in ${root}\n`,
  )
  process.exit(1)
}

/** @returns {string[]} names of the direct dependencies that are not installed as pinned */
function missingDependencies() {
  const wanted = readPackage(root)
  return Object.entries({ ...wanted.dependencies, ...wanted.devDependencies })
    .filter(([name, version]) => {
      const folder = join(root, 'node_modules', name)
      return !existsSync(join(folder, 'package.json')) || readPackage(folder).version !== version
    })
    .map(([name]) => name)
}

/**
 * @param {string} folder
 * @returns {{ version: string, dependencies?: Record<string, string>, devDependencies?: Record<string, string> }}
 */
function readPackage(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

/**
 * Runs a program in {@link root} and hands SIGINT and SIGTERM on to it.
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ quietStdout?: boolean, shell?: boolean }} [options] quietStdout: its output goes to stderr, so that ours
 * stays data
 * @returns {Promise<number>} its exit code, or 128 + signal as shells count
 */
export function run(command, args, { quietStdout = false, shell = false } = {}) {
  const child = spawn(command, args, {
    cwd: root,
    shell,
    stdio: ['inherit', quietStdout ? 2 : 'inherit', 'inherit'],
  })
  /** @param {NodeJS.Signals} signal */
  const forward = (signal) => child.kill(signal)
  process.on('SIGINT', forward).on('SIGTERM', forward)
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      process.off('SIGINT', forward).off('SIGTERM', forward)
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143))
    })
  })
}
