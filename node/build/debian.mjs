// @ts-check
/**
 * Installs packages of Debian and its kin, where the system has apt-get and root or sudo allows it. No dependencies.
 */

import { spawnSync } from 'node:child_process'
import { run } from './checkout.mjs'

let isListNew = false

/**
 * Installs `name`, which is needed for `purpose`; does nothing where that cannot be. Whether it is there afterwards is
 * for the caller to see.
 * @param {string} name
 * @param {string} purpose
 */
export async function installPackage(name, purpose) {
  const rights = rightsToInstall()
  if (rights === undefined) return
  process.stderr.write(`Installing ${name}, ${purpose} …\n`)
  const apt = async (/** @type {string[]} */ ...words) => {
    const [command, ...args] = [...rights, 'apt-get', ...words]
    return run(/** @type {string} */ (command), args, { quietStdout: true })
  }
  if (!isListNew) await apt('update', '-q')
  isListNew = true
  await apt('install', '-q', '-y', '--no-install-recommends', name)
}

/** @returns {string[] | undefined} the words that go before apt-get; `undefined` where it cannot be used */
function rightsToInstall() {
  if (!works('apt-get', ['--version'])) return undefined
  if (process.getuid?.() === 0) return []
  return works('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined
}

/**
 * True when `command` can be run and ends well.
 * @param {string} command
 * @param {string[]} args
 */
export function works(command, args) {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0
}
