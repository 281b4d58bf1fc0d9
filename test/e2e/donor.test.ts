/** What a donor does with a tab in the middle of a run, and what the run has of it: comes back, gives less, leaves. */

import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { wideModel, wideModelParameters } from '../integration/peers/wide-model.ts'
import { openOwnBrowser } from './browser/chromium.ts'
import { cpuSeconds } from './browser/cpu.ts'
import { clickStart, donate } from './browser/donate.ts'
import { endlessJob, lastRound, roundBy, roundOf } from './browser/endless.ts'
import { startTabSwarm } from './browser/tab-swarm.ts'

const width = 64

/** Bytes of one whole update in the job's codec, f32. */
const updateBytes = 4 * wideModelParameters(width)

/** What the data set takes at least: one byte a pixel. */
const dataBytesMin = 4_000 * 28 * 28

/** Rounds over which bytes are counted: a tenth of one more or less at either end does not matter. */
const countedRounds = 10

/** A day's limit, of which the run of a test uses nothing to speak of. */
const dataCapBytes = 1e9

/** What the page's log says of where model and data came from: bytes over the network, and bytes that were here. */
async function loadedBytes(page: Page): Promise<{ fetched: number; kept: number }> {
  const words = /Model and data: ([\d,]+) bytes fetched, ([\d,]+) from this browser's storage/
  const [, fetched, kept] = words.exec((await page.getByText(words).textContent())!)!
  const bytesOf = (text: string): number => Number(text.replaceAll(',', ''))
  return { fetched: bytesOf(fetched!), kept: bytesOf(kept!) }
}

/** What the page says that it took from the click to the first step. */
async function firstStep(page: Page): Promise<string> {
  const tile = page.locator('.tiles div').filter({ hasText: 'from your click to the first step' })
  const time = tile.getByText(/^[\d.]+\s(s|min)$/)
  await time.waitFor()
  return (await time.textContent())!
}

/** Bytes of scripts and WebAssembly that came over the network since the page was opened, not from the browser's cache. */
function programBytes(page: Page): Promise<number> {
  return page.evaluate(() =>
    performance
      .getEntriesByType('resource')
      .filter(({ name }) => /-\w+\.m?js$|\.mjs$|\.wasm$/.test(name))
      .reduce((sum, entry) => sum + (entry as PerformanceResourceTiming).transferSize, 0),
  )
}

test('a donor who comes back loads nothing again; near the limit of the day the tab moves half the bytes; Stop ends all work within a second', async () => {
  const files = { 'wide.onnx': wideModel(width) }
  const { link, nodes, nodeIds, observer } = await startTabSwarm({ nodes: 2, job: endlessJob(3), files })
  const browser = await openOwnBrowser()
  const tab = await browser.newTab()
  const { page } = tab
  await donate(tab, link, { mayUseGpu: false, dataCapBytes })
  await observer.until('the tab', () => observer.tabs().length === 1)
  const self = observer.tabs()[0]!
  const all = [...nodeIds, self]
  await roundOf(nodes[0]!, all)
  const cold = await loadedBytes(page)
  expect(cold.fetched).toBeGreaterThan(dataBytesMin)
  expect(cold.kept).toBe(0)
  expect(await programBytes(page)).toBeGreaterThan(1e6)
  const coldTime = await firstStep(page)

  // three quarters of the day's data are used: the governor saves from seven tenths on
  await page.addInitScript((bytes) => {
    const two = (value: number) => String(value).padStart(2, '0')
    const today = new Date()
    const day = `${today.getFullYear()}-${two(today.getMonth() + 1)}-${two(today.getDate())}`
    localStorage.setItem('starling/data-day', JSON.stringify({ day, bytes }))
  }, 0.75 * dataCapBytes)
  await page.reload()
  await clickStart(tab)
  await roundBy(nodes[0]!, self)
  const warm = await loadedBytes(page)
  expect(warm.fetched).toBe(0)
  expect(warm.kept).toBeGreaterThan(dataBytesMin)
  expect(await programBytes(page)).toBe(0)
  expect(observer.tabs()).toEqual([self])
  process.stdout.write(`first step after the click: ${coldTime} cold, ${await firstStep(page)} warm\n`)

  // int4 takes 0.53 bytes of each 4; a mean is taken whole; nothing is summed for others, so nothing else is moved
  await page.getByText('Saving data').waitFor()
  const saving = await observer.bytesPerRound(self, countedRounds)
  expect(saving.up / updateBytes).toBeGreaterThan(0.13)
  expect(saving.up / updateBytes).toBeLessThan(0.25)
  expect(saving.down / updateBytes).toBeGreaterThan(0.99)
  expect(saving.down / updateBytes).toBeLessThan(1.15)
  await page.getByRole('switch', { name: 'Limit the data of a day' }).click()
  await page.getByText('Saving no data any more').waitFor()
  const whole = await observer.bytesPerRound(self, countedRounds)
  expect(whole.up / updateBytes).toBeGreaterThan(0.9)
  expect((saving.up + saving.down) / (whole.up + whole.down)).toBeLessThan(0.65)

  await page.getByRole('button', { name: 'Stop', exact: true }).click()
  const clickedMs = performance.now()
  await page.getByText('Thank you.').first().waitFor()
  expect(performance.now() - clickedMs).toBeLessThan(1_000)
  expect(page.workers()).toEqual([])
  const before = cpuSeconds(browser.pid)
  const restMs = 1_000
  await new Promise((resolve) => setTimeout(resolve, restMs))
  expect((cpuSeconds(browser.pid) - before) / (restMs / 1000)).toBeLessThan(0.3)
  // the swarm goes on without it
  await nodes[0]!.committed(lastRound(nodes[0]!) + 3)
  expect(tab.complaints).toEqual([])
})
