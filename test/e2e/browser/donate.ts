/** What a donor does with the page: the settings that the browser remembers, and the click. */

import type { GovernorSettings } from '../../../browser-client/governor/settings.ts'
import type { TestTab } from './chromium.ts'

/** All of the time: tests are about the work, unless they are about the share of it. */
const tireless: Partial<GovernorSettings> = { dutyCycle: 1, backsOff: false, pausesOnBattery: false }

/** Opens `link` in a tab whose donor has chosen `settings` before, and gives the click. */
export async function donate(
  { page }: TestTab,
  link: string,
  settings: Partial<GovernorSettings> = {},
): Promise<void> {
  await page.addInitScript(
    (kept) => localStorage.setItem('starling/settings', kept),
    JSON.stringify({ ...tireless, ...settings }),
  )
  await page.goto(link)
  await clickStart({ page })
}

/**
 * The tab's worker is asked for `backend` and no other: a software adapter would lose against WebAssembly, when they
 * are timed.
 */
export async function insistOn(backend: 'wasm' | 'webgpu', { page }: TestTab): Promise<void> {
  await page.addInitScript((backend) => {
    const post = Worker.prototype.postMessage as (message: unknown, transfer: unknown) => void
    Worker.prototype.postMessage = function (this: Worker, message: unknown, transfer: unknown) {
      const request = message as { kind?: string; options?: { backend: string } }
      if (request?.kind === 'open' && request.options !== undefined) request.options.backend = backend
      post.call(this, message, transfer)
    }
  }, backend)
}

/** The click, on a page that offers its job. */
export async function clickStart({ page }: Pick<TestTab, 'page'>): Promise<void> {
  await page.getByRole('button', { name: /^(Start|Resume) donating$/ }).click()
}
