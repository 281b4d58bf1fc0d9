// @ts-check
/**
 * The browser that tests and benchmarks drive: finds one on this machine, and installs Debian's package where there is
 * none and the system lets us. Also the source of a software WebGPU adapter for Node. No dependencies.
 */

import { existsSync } from 'node:fs'
import { installPackage } from './debian.mjs'

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

/** Installs Debian's package where there is no Chromium, or says what a person has to do. */
export async function installChromiumIfNeeded() {
  if (findChromium() !== undefined) return
  await installPackage('chromium', 'in which the donor page is tested')
  if (findChromium() !== undefined) return
  process.stderr.write(
    'warning: there is no Chromium, so the tests of the donor page will fail\n' +
      'hint: install the package chromium, or name a browser with STARLING_CHROMIUM\n',
  )
}
