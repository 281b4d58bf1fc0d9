/**
 * The donor page as people meet it, in each state, in a real browser: nothing before the click, no barrier to anybody
 * (axe; keyboard alone), nothing cut off on a phone, nothing asked of anybody else. Scenes stand in for the peer behind
 * it.
 */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { tabFolder } from '../../node/network/page-server.ts'
import { openBrowser, type TestTab } from './browser/chromium.ts'
import { clickStart } from './browser/donate.ts'
import { card, fragment, type SceneName } from './page/scenes.ts'
import { type ScenePage, serve, serveScenes } from './page/serve.ts'

let served: ScenePage
beforeAll(async () => {
  served = await serveScenes()
})
afterAll(() => served.close())

/** Eight states, each of which axe looks at for seconds on a busy machine. */
const statesMsMax = 300_000

const looks = {
  'wide-light': { viewport: { width: 1440, height: 1000 }, colorScheme: 'light' },
  'narrow-dark': { viewport: { width: 360, height: 780 }, colorScheme: 'dark' },
} as const

/** What a donor sees in each state, by the heading that says so. */
const states: readonly {
  name: string
  scene: SceneName
  heading: string
  /** What stands in the banner below it. */
  note?: string
  prepare?(page: Page): Promise<void>
  isOffer?: boolean
}[] = [
  { name: 'offer', scene: 'training', heading: `Lend this tab to ${card.name}`, isOffer: true },
  { name: 'loading', scene: 'beginning', heading: 'Fetching the model and the data from other peers.' },
  { name: 'training', scene: 'training', heading: 'Training in round 34 with 5 other peers.' },
  {
    name: 'battery',
    scene: 'training',
    heading: 'Paused while your computer runs on battery.',
    prepare: onBattery,
  },
  {
    name: 'other-version',
    scene: 'other-version',
    heading: 'Training in round 34 with 5 other peers.',
    note: 'Whoever runs peer 12D3KooWSahP5p has to update Starling: that program is the older one.',
  },
  { name: 'coordinator-lost', scene: 'lost', heading: 'Looking for the others again.' },
  { name: 'finished', scene: 'ended', heading: 'The run is over. Thank you.' },
  { name: 'error', scene: 'failing', heading: 'Not enough memory' },
]

test.each(Object.entries(looks))(
  '%s: no state has a barrier, a cut-off part, a complaint or a foreign request',
  async (name, look) => {
    const browser = await openBrowser()
    for (const { name: state, scene, heading, note, prepare, isOffer } of states) {
      const tab = await browser.newTab()
      const { page } = tab
      await page.setViewportSize(look.viewport)
      await page.emulateMedia({ colorScheme: look.colorScheme, reducedMotion: 'reduce' })
      await prepare?.(page)
      await page.goto(served.urlOf(scene))
      if (isOffer !== true) await clickStart(tab)
      await page.getByRole('heading', { level: 1, name: heading }).waitFor()
      if (note !== undefined) await page.locator('.banner', { hasText: note }).waitFor()
      if (scene === 'training' && isOffer !== true) await page.locator('.plot canvas').waitFor()
      await tab.screenshot(`page-${state}-${name}`)
      // the page has no frames, for which axe would open a second one to join their results
      const { violations } = await new AxeBuilder({ page }).setLegacyMode().analyze()
      expect(
        violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
        state,
      ).toEqual([])
      expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), state).toBe(true)
      expectClean(tab)
      await tab.context.close()
    }
  },
  statesMsMax,
)

test('before the click the page loads less than 60 KB of JavaScript, and nothing of the peer', async () => {
  const { url, close } = await serve(tabFolder)
  onTestFinished(close)
  const tab = await (await openBrowser()).newTab()
  await tab.page.goto(url + fragment)
  await tab.page.getByRole('button', { name: 'Start donating' }).waitFor()
  const paths = tab.requests.filter((one) => one.startsWith(url)).map((one) => new URL(one).pathname)
  const unexpected = paths.filter((path) => !/^\/(|(page|chunk)-\w+\.(js|css)|jobs\/\w+\.json)$/.test(path))
  expect(unexpected).toEqual([])
  const scripts = paths.filter((path) => path.endsWith('.js'))
  expect(scripts.length).toBeGreaterThan(0)
  const packed = await Promise.all(
    scripts.map(async (path) => gzipSync(await readFile(join(tabFolder, path))).length),
  )
  expect(packed.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(60_000)
  expect(tab.complaints).toEqual([])
})

test('Stop ends a donation that waits for a database which never answers', async () => {
  const { url, close } = await serve(tabFolder)
  onTestFinished(close)
  const { page } = await (await openBrowser()).newTab()
  await page.addInitScript(() => {
    const opened: string[] = []
    IDBFactory.prototype.open = (name) => {
      opened.push(name)
      return new EventTarget() as IDBOpenDBRequest
    }
    Object.assign(globalThis, { opened })
  })
  await page.goto(url + fragment)
  await page.getByRole('button', { name: 'Start donating' }).click()
  await page.waitForFunction(() => (globalThis as unknown as { opened: string[] }).opened.length > 0)
  await page.getByRole('button', { name: 'Stop' }).click()
  await page.getByRole('heading', { level: 1, name: 'Thank you.' }).waitFor()
})

test('with the keyboard alone: start, give less, pause, resume, stop', async () => {
  const tab = await (await openBrowser()).newTab()
  const { page } = tab
  // on a busy machine the tab would be told to do less, and this is about what the donor asks for
  const settings = JSON.stringify({ backsOff: false })
  await page.addInitScript((kept) => localStorage.setItem('starling/settings', kept), settings)
  await page.goto(served.urlOf('training'))
  await page.getByRole('button', { name: 'Start donating' }).waitFor()
  await press(page, 'Start donating', 'Enter')
  expect(await page.locator('h1').evaluate((heading) => heading === document.activeElement)).toBe(true)
  await press(page, 'Pause', 'Space')
  await page.getByRole('heading', { level: 1, name: 'Paused, as you asked.' }).waitFor()
  await press(page, 'Resume', 'Enter')
  await page.getByRole('heading', { level: 1, name: /^Training/ }).waitFor()
  await press(page, 'Share of the time', 'ArrowLeft')
  await press(page, 'Use the graphics card', 'Space')
  const limits = (await asked(tab)).map((one) => one as Record<string, unknown>)
  expect(limits.map(({ mayRun }) => mayRun)).toEqual([true, false, true, true, true])
  expect(limits.at(-1)).toMatchObject({ dutyCycle: 0.45, mayUseGpu: false })
  await press(page, 'Stop', 'Enter')
  await page.getByRole('heading', { level: 1, name: 'Thank you.' }).waitFor()
  expect((await asked(tab)).at(-1)).toBe('stop')
  expectClean(tab)
})

test('what was set is still set after a reload, and the donor is asked again, not started', async () => {
  const tab = await (await openBrowser()).newTab()
  const { page } = tab
  await page.goto(served.urlOf('training'))
  await page.getByRole('switch', { name: 'Go on in the background' }).click()
  await clickStart(tab)
  await page.getByRole('heading', { level: 1, name: /^Training/ }).waitFor()
  await page.reload()
  await page.getByRole('button', { name: 'Resume donating' }).waitFor()
  expect(await page.getByRole('switch', { name: 'Go on in the background' }).isChecked()).toBe(false)
  expect(await asked(tab)).toEqual([])
  await page.getByRole('button', { name: 'Forget that I did' }).click()
  await page.getByRole('button', { name: 'Start donating' }).waitFor()
})

test('a peer that falls silent is noticed, and what it had said is marked as old', async () => {
  const tab = await (await openBrowser()).newTab()
  await tab.page.goto(served.urlOf('training', true))
  await clickStart(tab)
  await tab.page.getByText('The peer in this tab does not answer.').waitFor({ timeout: 10_000 })
  await tab.page.locator('.stale').getByText('7,936').waitFor()
})

/** Makes the browser believe that the machine is not plugged in. */
async function onBattery(page: Page): Promise<void> {
  await page.addInitScript(() => {
    Object.assign(navigator, {
      getBattery: async () => Object.assign(new EventTarget(), { charging: false }),
    })
  })
}

/** What the page asked of the donation behind it: limits, and how to leave. */
async function asked({ page }: Pick<TestTab, 'page'>): Promise<unknown[]> {
  return page.evaluate(() => (window as unknown as { asked: unknown[] }).asked)
}

/** Presses Tab until the control called `name` has the focus, which must be visible, and then `key`. */
async function press(page: Page, name: string, key: string): Promise<void> {
  const wanted = page.getByLabel(name, { exact: true }).or(page.getByRole('button', { name, exact: true }))
  // no page has more controls than this between two that follow each other here
  for (let presses = 0; presses < 60; presses++) {
    if (await wanted.evaluate((element) => element === document.activeElement)) {
      expect(await wanted.evaluate((element) => element.matches(':focus-visible')), name).toBe(true)
      return page.keyboard.press(key)
    }
    await page.keyboard.press('Tab')
  }
  throw new Error(`the keyboard does not reach "${name}"`)
}

function expectClean({ requests, complaints }: TestTab): void {
  expect(complaints).toEqual([])
  const isOwn = (url: string) => url.startsWith(served.origin) || /^(data|blob):/.test(url)
  expect(requests.filter((url) => !isOwn(url))).toEqual([])
}
