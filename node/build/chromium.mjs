// @ts-check
/**
 * The browser that tests and benchmarks drive: finds one on this machine, and installs Debian's package where there is none
 * and the system lets us. Also the source of a software WebGPU adapter for Node. No dependencies.
 */

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { run } from './checkout.mjs'

/** Where packages of the usual systems put it. STARLING_CHROMIUM goes before all. */
const places = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** @returns {string | undefined} path of a Chromium, `undefined` where there is none */
export function findChromium() {
  return [process.env.STARLING_CHROMIUM, ...places].find((path) => path !== undefined && existsSync(path))
}

/** Installs Chromium with apt-get where it is missing and root or sudo allows it; else says what a person has to do. */
export async function installChromiumIfNeeded() {
  if (findChromium() !== undefined) return
  const rights = rightsToInstall()
  if (rights !== undefined) {
    process.stderr.write('Installing Chromium, in which the donor page is tested …\n')
    const apt = async (/** @type {string[]} */ ...words) => {
      const [command, ...args] = [...rights, 'apt-get', ...words]
      return run(/** @type {string} */ (command), args, { quietStdout: true })
    }
    await apt('update', '-q')
    await apt('install', '-q', '-y', '--no-install-recommends', 'chromium')
  }
  if (findChromium() !== undefined) return
  process.stderr.write(
    'warning: there is no Chromium, so the tests of the donor page will fail\n' +
      'hint: install the package chromium, or name a browser with STARLING_CHROMIUM\n',
  )
}

/** @returns {string[] | undefined} the words that go before apt-get; `undefined` where it cannot be used */
function rightsToInstall() {
  const works = (/** @type {string} */ command, /** @type {string[]} */ args) =>
    spawnSync(command, args, { stdio: 'ignore' }).status === 0
  if (!works('apt-get', ['--version'])) return undefined
  if (process.getuid?.() === 0) return []
  return works('sudo', ['-n', 'true']) ? ['sudo', '-n'] : undefined
}
